"""Tables: mixed columns with missing values, from any file or frame, and exactly back."""

from .kind import TableKind as TableKind
