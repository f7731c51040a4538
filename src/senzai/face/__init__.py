"""Face: what a user holds, ``fit``, ``resume``, ``load`` and the run with its verbs; data in, the same kind out."""

from ..core.errors import RunInterrupted as RunInterrupted
from .comparing import compare as compare
from .curing import cure as cure
from .fit import fit as fit
from .fit import resume as resume
from .further import train_on as train_on
from .run import Run as Run
from .run import load as load
