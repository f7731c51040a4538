"""The command line: each verb reads what was typed, calls the library once, and prints.

Nothing here imports torch before a verb needs it, so that ``senzai --help`` is quick.
"""

from .door import app as app
from .door import main as main
