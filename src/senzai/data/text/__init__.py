"""Texts: symbols one after another."""

from .kind import TextKind as TextKind
