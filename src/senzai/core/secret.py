"""Random numbers that nobody can guess without a key, and that come again with it: for the noise of privacy.

The streams are SHAKE-256 (FIPS 202) of a 256-bit key and a path, so each number is a function of *(key, purpose,
step)*:
a run that is stopped and resumed draws the same ones, and without the key they cannot be told from chance.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
KEY_BYTES = 32
WORDS = "SHAKE-256 with a 256-bit key of the operating system"


@dataclass(frozen=True)
class Secret:
    """A key, and the streams of numbers that belong to it.

    Args:
        key: 32 bytes; never shown.
        known: Whether the key came from a seed, so that whoever knows the seed knows every number.

    Example:
        >>> a = Secret.seeded(1)
        >>> bool((a.normal(3, "noise", 0) == Secret.seeded(1).normal(3, "noise", 0)).all())
        True
        >>> bool((a.normal(3, "noise", 0) == a.normal(3, "noise", 1)).any())
        False
    """

    key: bytes = field(repr=False)
    known: bool = False

    @classmethod
    def fresh(cls) -> Secret:
        """Return a key from the operating system."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def seeded(cls, seed: int) -> Secret:
        """Return the key of a seed, for trials that must come out alike; it protects nobody who must be protected."""
        return cls(hashlib.sha256(f"senzai seed {seed}".encode()).digest(), known=True)

    def _bits(self, n: int, path: tuple[int | str, ...]) -> NDArray[np.uint64]:
        text = json.dumps(path, ensure_ascii=True).encode()  # so that no two paths are written alike
        raw = hashlib.shake_256(self.key + text).digest(8 * n)
        return np.frombuffer(raw, np.uint64)

    def uniform(self, n: int, *path: int | str) -> Floats:
        """Return ``n`` uniform numbers in (0, 1), of 53 bits each; neither end is ever drawn."""
        return (((self._bits(n, path) >> np.uint64(11)).astype(np.float64)) + 0.5) * 2.0**-53

    def normal(self, n: int, *path: int | str) -> Floats:
        """Return ``n`` standard normal numbers in double precision (Box and Muller)."""
        half = (n + 1) // 2
        u = self.uniform(2 * half, *path)
        radius, angle = np.sqrt(-2 * np.log(u[:half])), 2 * np.pi * u[half:]
        found: Any = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:n]
        return np.asarray(found, np.float64)
