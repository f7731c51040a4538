"""Exported models without torch: what ``senzai export`` wrote, on data as people have them.

What may enter: NumPy, JSON and onnxruntime, and nothing else of senzai. The same files are a package of their own,
``senzai-runtime``, which is imported as ``senzai_runtime``.

Example::

    from senzai import runtime

    model = runtime.load("exported")
    codes = model.encode({"age": [31, None], "city": ["Ulm", "Bonn"]})
    rows = model.sample(5, seed=0)
"""

from .errors import ExportedModelError as ExportedModelError
from .model import ExportedModel as ExportedModel
from .model import load as load
from .stream import Stream as Stream

__all__ = ["ExportedModel", "ExportedModelError", "Stream", "load"]
