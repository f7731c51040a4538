"""Settings from ``--set key=value`` and ``--config FILE.toml``: plain names, with a dot for settings of a part."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import SettingError

KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*|schema\..+")
WHOLE_NUMBERS = re.compile(r"-?\d+(,-?\d+)+,?|-?\d+,")
TOP = ("recipe", "kind", "out")
"""What a file may say about the run itself, beside settings."""


def parse_set(given: Sequence[str]) -> dict[str, Any]:
    """Return settings typed as ``key=value``; the last of several for one key wins.

    Values are read as JSON where they are JSON, ``300,300`` as a list of whole numbers, else as text.

    Raises:
        SettingError: One has no ``=``, no value, or a key that cannot be a name.

    Example:
        >>> parse_set(["lr=0.01", "hidden=300,300", "ema=null", "size=32x48", "prior.n_components=8"])
        {'lr': 0.01, 'hidden': [300, 300], 'ema': None, 'size': '32x48', 'prior.n_components': 8}
    """
    found = {}
    for text in given:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value or not KEY.fullmatch(key):
            raise SettingError(f"A setting is written key=value, but got {text!r}. Write it like --set lr=0.01.")
        found[key] = parse_value(value)
    return found


def private_settings(given: Sequence[str]) -> dict[str, Any]:
    """Return the settings of private training, typed as ``epsilon=3`` or ``epsilon=3,delta=1e-5``.

    Example:
        >>> private_settings(["epsilon=3,delta=1e-5", "clip=0.5"])
        {'private.epsilon': 3, 'private.delta': 1e-05, 'private.clip': 0.5}
    """
    parts = [part for text in given for part in text.split(",")]
    return {f"private.{name}": value for name, value in parse_set(parts).items()}


def parse_given(given: Sequence[str]) -> dict[str, str]:
    """Return values to condition on, typed as ``name=value``; names and values may hold anything.

    Raises:
        SettingError: One has no ``=`` or no name, or two for one name differ.

    Example:
        >>> parse_given(["income=>50K", "age =30"])
        {'income': '>50K', 'age': '30'}
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise SettingError(f'--given is written NAME=VALUE, but got {text!r}. Write it like --given "age=30".')
        if found.get(name, value) != value:
            raise SettingError(
                f"--given has one value for a name, but got {name}={found[name]} and {name}={value}. Leave one out."
            )
        found[name] = value
    return found


def parse_value(text: str) -> Any:
    """Return a value as it was typed: JSON where it is JSON, ``300,300`` as a list of whole numbers, else text."""
    if WHOLE_NUMBERS.fullmatch(text):
        return [int(part) for part in text.split(",") if part]
    try:
        return json.loads(text, parse_constant=str)  # NaN is no JSON
    except json.JSONDecodeError:
        return text


def read_config(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    r"""Return what a TOML file says about the run (recipe, kind, out), and its settings.

    A table holds the settings of a part, and ``name`` in it is the part itself.

    Raises:
        SettingError: The file cannot be read, or is not TOML.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "fit.toml"
        >>> _ = file.write_text('recipe = "vae"\nlr = 0.01\n[prior]\nname = "mixture"\nn_components = 32\n')
        >>> read_config(file)
        ({'recipe': 'vae'}, {'lr': 0.01, 'prior': 'mixture', 'prior.n_components': 32})
    """
    import tomllib

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise SettingError(f"--config names a file to read, but {str(path)!r} cannot be: {err.strerror}.") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SettingError(f"--config names a TOML file, but {str(path)!r} is none: {err}. Correct that line.") from err
    for name in TOP:
        if not isinstance(raw.get(name, ""), str):
            raise SettingError(f"In {str(path)!r}, {name} must be text, but is {raw[name]!r}. Put it in quotes.")
    top = {name: raw.pop(name) for name in TOP if name in raw}
    return top, dict(_flat(raw))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix[:-1] if name == "name" and prefix else f"{prefix}{name}", value
