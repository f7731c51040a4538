"""The clinic in full: every sick model diagnosed and cured, every healthy one diagnosed.

``python -m benchmarks.clinic``. The sick are retrained with the first remedy where it is a matter of settings. Results
go to ``results/clinic.json`` after every patient, so that a run that is stopped leaves what it found.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

from senzai.runs import cure
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


def other_seeds(seeds: tuple[int, ...] = (1, 2)) -> list[dict[str, Any]]:
    """Diagnose all patients with other weights, batches and splits: seeds on which no threshold was chosen."""
    found = []
    for seed in seeds:
        wrong, alarms = [], []
        for patient in (*SICK, *HEALTHY):
            again = replace(patient, settings={**patient.settings, "seed": seed, "split_seed": seed})
            findings = [f.name for f in again.examined()[2].findings if f.grade != "note" or patient.illness]
            if patient.illness and findings[:1] != [patient.illness]:
                wrong.append([patient.name, patient.illness, findings])
            elif not patient.illness and findings:
                alarms.append([patient.name, findings])
        found.append({
            "seed": seed, "right_first": len(SICK) - len(wrong), "sick": len(SICK), "false_alarms": len(alarms),
            "healthy": len(HEALTHY), "wrong": wrong, "alarms": alarms,
        })
    return found


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
    write("clinic", {**summary(ill, well), "other_seeds": other_seeds()})


if __name__ == "__main__":
    main()
