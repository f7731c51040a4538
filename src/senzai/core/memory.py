"""How much memory is available."""

from __future__ import annotations

import os
from contextlib import suppress
from math import inf
from pathlib import Path


def free_memory() -> float:
    """Return the bytes of memory that this process can still use, within what the system has and its limits allow.

    Example:
        >>> free_memory() > 0
        True
    """
    return max(0.0, min(_system_memory(), *_limits()))


def _system_memory() -> float:
    """Return free memory with what the system would give up for it: files that it keeps in memory do not count."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * int(next(x for x in lines if x.startswith("MemAvailable")).split()[1])
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return 4e9


def _limits() -> list[float]:
    """Return what limits of the process (``ulimit``) and of its container leave, where there are any."""
    left = [inf]
    with suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        lines = Path("/proc/self/status").read_text().splitlines()
        for name, used in (("RLIMIT_DATA", "VmData"), ("RLIMIT_AS", "VmSize")):
            most = resource.getrlimit(getattr(resource, name))[0]
            if most != resource.RLIM_INFINITY:
                left.append(most - 1024 * int(next(x for x in lines if x.startswith(used)).split()[1]))
    with suppress(OSError, ValueError, StopIteration):
        group = Path("/sys/fs/cgroup")
        most, stat = int((group / "memory.max").read_text()), (group / "memory.stat").read_text().splitlines()
        left.append(most - int(next(x for x in stat if x.startswith("anon ")).split()[1]))  # files read do not count
    return left
