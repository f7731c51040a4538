"""Families and distributions: pure functions from raw numbers to ``torch.distributions``; no parameters, no nets."""

from . import draws as draws
