"""Counts of genes in cells, and other wide tables of counts with facts about rows and columns."""

from .kind import CountKind as CountKind
from .options import CountDetails as CountDetails
from .options import details_of as details_of
