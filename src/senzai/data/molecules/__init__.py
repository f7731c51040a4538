"""Molecules: SELFIES symbols one after another, so that every row that is made is a valid molecule."""

from .chemistry import drawing as drawing
from .kind import MoleculeKind as MoleculeKind
