"""Tables: mixed columns with missing values, from any file or frame, and exactly back."""

from . import amounts as amounts
from . import codec as codec
from .kind import TableKind as TableKind
from .kind import cuts_of as cuts_of
