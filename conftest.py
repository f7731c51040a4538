"""For tests and docstring examples alike: every one starts from the same random state and leaves no trace."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import senzai  # noqa: F401  (sets a variable of the environment, once)

# What libraries set for themselves when they are first used; none of it is ours to put back.
FOREIGN = ("PYTEST_", "COV_", "KMP_", "OMP_", "TORCH", "TRITON", "CUDA_", "RDBASE", "GRPC_")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--run-slow``."""
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker one thread: workers that share cores through threads slow each other down."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs more time, or a device, than there is."""
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--run-slow"):
            item.add_marker(pytest.mark.skip(reason="slow; add --run-slow"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


def _surroundings() -> dict[str, Any]:
    """What a test may change while it runs, but must put back."""
    return {
        "environment": {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)},
        "working directory": os.getcwd(),
        "default dtype": torch.get_default_dtype(),
        "number of threads": torch.get_num_threads(),
        "gradient mode": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def _restore(before: dict[str, Any]) -> None:
    for key in [k for k in os.environ if k not in before["environment"] and not k.startswith(FOREIGN)]:
        del os.environ[key]
    os.environ.update(before["environment"])
    os.chdir(before["working directory"])
    torch.set_default_dtype(before["default dtype"])
    torch.set_num_threads(before["number of threads"])
    torch.set_grad_enabled(before["gradient mode"])
    torch.use_deterministic_algorithms(before["deterministic algorithms"])


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, dict):  # name the variables, never print what may be private in them
        return ", ".join(sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k)))
    return f"{before} became {after}"


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Fail a test that leaves the process other than it found it, and put things back for the next one."""
    before = _surroundings()
    yield
    after = _surroundings()
    if after != before:
        _restore(before)
        leaks = [f"{name} ({_difference(before[name], after[name])})" for name in before if before[name] != after[name]]
        pytest.fail(f"The test must put back what it changes, but it left: {'; '.join(leaks)}.", pytrace=False)


@pytest.fixture(autouse=True)
def same_random_state(nothing_leaks: None) -> Iterator[None]:
    """Start every test from seed 0 and give the caller's random state back afterwards."""
    states = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        yield
    random.setstate(states[0])
    np.random.set_state(states[1])
