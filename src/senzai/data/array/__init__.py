"""Arrays: rows of numbers of one sort."""

from .kind import ArrayKind as ArrayKind
