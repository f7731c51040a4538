"""Verbs of a run: each is registered by a module of its own; see :mod:`senzai.runs.verbs.registry`."""
