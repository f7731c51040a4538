"""What the runtime raises: every message is the rule, what came, the way out."""

from __future__ import annotations


class ExportedModelError(ValueError):
    """Something that an exported model was given, or asked for, cannot work."""
