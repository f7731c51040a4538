"""Report: what a trained run looks like, as one page that needs nothing but a browser; it reads runs and trains nothing."""

from .page import RunLike as RunLike
from .page import build_report as build_report
from .page import write_report as write_report
