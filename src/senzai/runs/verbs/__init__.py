"""What people do with a run: each verb is registered by a module of its own; see :mod:`senzai.runs.verbs.registry`."""
