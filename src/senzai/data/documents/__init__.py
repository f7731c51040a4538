"""Documents as counts of words: texts, count files, and tables or sparse matrices of documents by words."""

from .kind import DocumentKind as DocumentKind
from .options import DocumentDetails as DocumentDetails
from .options import details_of as details_of
