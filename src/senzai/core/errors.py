"""Every error senzai raises on purpose, with the exit code the command line gives it.

SenzaiError                  base; exit 1: the run failed
├── UserError                exit 2: something the user gave cannot work
│   ├── InputError           data that breaks a rule (also a ValueError)
│   │   └── ShapeError       a tensor of another shape than a part asked for
│   ├── SettingError         a setting out of range or unknown (also a ValueError)
│   ├── UnknownNameError     a name that is not registered (also a LookupError)
│   ├── CombinationError     parts that cannot work together, refused when they are built
│   ├── BundleError          a run folder that is damaged, foreign or newer
│   ├── OutputError          a place that cannot be written (also an OSError)
│   └── MissingExtraError    an optional package is not installed (also an ImportError)
└── TrainingError            training broke down and could not be rescued

RunInterrupted               exit 128 + signal: a signal stopped training; everything up to then is saved. It is a
                             KeyboardInterrupt and not an Exception, so that code that catches errors can still be
                             stopped

A message is *the rule, what came, the way out*.
"""

from __future__ import annotations


class SenzaiError(Exception):
    """Base of every error raised on purpose."""

    exit_code = 1


class UserError(SenzaiError):
    """Something the user gave cannot work; the message says what to change."""

    exit_code = 2


class InputError(UserError, ValueError):
    """Data break a rule."""


class ShapeError(InputError):
    """A tensor does not have the shape that a part needs."""


class SettingError(UserError, ValueError):
    """A setting is unknown or out of range."""


class UnknownNameError(UserError, LookupError):
    """A name is not in its registry."""


class CombinationError(UserError, ValueError):
    """Parts that cannot work together."""


class BundleError(UserError, ValueError):
    """A run folder is damaged, foreign, or made by a newer version."""


class OutputError(UserError, OSError):
    """A file or folder cannot be written."""


class MissingExtraError(UserError, ImportError):
    """An optional package is not installed."""


class TrainingError(SenzaiError, RuntimeError):
    """Training broke down and could not be rescued."""


class RunInterrupted(KeyboardInterrupt):
    """A signal (Ctrl-C or SIGTERM) stopped training; everything up to then is saved.

    As any :class:`KeyboardInterrupt` it passes ``except Exception``: a loop of fits that catches their errors ends too.
    """

    def __init__(self, message: str, signal: int = 2) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal
