"""Tables: mixed columns with missing values, from any file or frame, and exactly back."""

from . import amounts as amounts
from . import codec as codec
from .column import Column as Column
from .column import TableDetails as TableDetails
from .inference import cuts_of as cuts_of
from .kind import TableKind as TableKind
from .kind import details_of as details_of
from .kind import table_of as table_of
