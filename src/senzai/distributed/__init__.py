"""Verbs as functions of batches for engines that people have: Ray Data, Spark and Dask; no engine of our own."""

from __future__ import annotations

from .batches import BatchVerb as BatchVerb
from .batches import map_batches as map_batches
from .databases import to_database as to_database

__all__ = ["BatchVerb", "map_batches", "to_database"]
