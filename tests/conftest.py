"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# The same examples every time, and no stopwatch: a busy machine is not a fault of the code.
hypothesis.settings.register_profile("senzai", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("senzai")


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Where public data sets lie; tests that need one are skipped where there are none."""
    folder = Path(os.environ.get("SENZAI_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}; set SENZAI_DATA to a folder that has them")
    return folder
