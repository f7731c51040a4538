"""Report: what a trained run looks like, on one page that loads nothing; it reads runs and trains nothing."""

from .page import build_report as build_report
from .page import write_report as write_report
