"""Interactions of users with items: logs, tables and sparse matrices; a row is what one user had to do with."""

from .kind import InteractionKind as InteractionKind
from .options import InteractionDetails as InteractionDetails
from .options import details_of as details_of
