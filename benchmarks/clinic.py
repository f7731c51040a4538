"""The clinic in full: every sick model diagnosed and cured, every healthy one diagnosed.

``python -m benchmarks.clinic``. The sick are retrained with the first remedy where it is a matter of settings. Results
go to ``results/clinic.json`` after every patient, so that a run that is stopped leaves what it found.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from senzai.face import cure
from senzai.testing.clinic import HEALTHY, SICK, Patient

from .common import machine, write


def sick(patient: Patient) -> dict[str, Any]:
    """Fit, diagnose, cure."""
    began = time.perf_counter()
    run, rows, found = patient.examined()
    first = found.first
    row: dict[str, Any] = {
        "patient": patient.name, "illness": patient.illness, "first": first and first.name,
        "right": first is not None and first.name == patient.illness,
        "findings": [[f.name, f.value, f.threshold] for f in found.findings],
    }
    if row["right"] and first is not None and first.remedy.can_be_tried:
        second = cure(run, rows, before=found, **patient.options)
        row |= {
            "remedy": {k: str(v) for k, v in first.remedy.settings.items()}, "before": second.quantity[0],
            "after": second.quantity[1], "threshold": first.threshold, "improved": second.improved,
            "kept": second.kept, "findings_after": [f.name for f in second.after.findings],
        }
    return {**row, "seconds": time.perf_counter() - began}


def healthy(patient: Patient) -> dict[str, Any]:
    """Fit and diagnose."""
    began = time.perf_counter()
    _, _, found = patient.examined()
    alarms = [[f.name, f.value, f.threshold] for f in found.findings if f.grade != "note"]
    return {"patient": patient.name, "alarms": alarms, "seconds": time.perf_counter() - began}


def summary(ill: list[dict[str, Any]], well: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts and everything behind them."""
    return {
        "right_first": sum(r["right"] for r in ill), "sick": len(ill),
        "false_alarms": sum(bool(r["alarms"]) for r in well), "healthy": len(well),
        "cures_tried": sum("improved" in r for r in ill), "cures_improved": sum(bool(r.get("improved")) for r in ill),
        "machine": machine(), "patients": {"sick": ill, "healthy": well},
    }


def main() -> None:
    """Run all patients."""
    ill: list[dict[str, Any]] = []
    well: list[dict[str, Any]] = []
    for patient in (*SICK, *HEALTHY):
        kept, look = (ill, sick) if patient.illness else (well, healthy)
        kept.append(look(patient))
        sys.stdout.write(f"{ {k: v for k, v in kept[-1].items() if k != 'findings'} }\n")
        sys.stdout.flush()
        write("clinic", summary(ill, well))


if __name__ == "__main__":
    main()
