"""What is said of the families everywhere, and whether it holds on some data: one sentence each, with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Found = Mapping[str, Any]


def words_about(families: Found, floor: Found) -> list[dict[str, Any]]:
    """Return claims, whether each holds, and the numbers that say so; a claim whose families are not there is left out.

    Args:
        families: By name, each with its ``summary``.
        floor: What training rows get in place of samples.
    """
    told = {name: one["summary"] for name, one in families.items() if "frechet" in one["summary"]}
    several = all(s["runs"] > 1 for s in told.values())  # one run has no spread
    claims = [
        _extreme(told, "A GAN is the least stable to train.", "gan", _instability, most=True) if several else None,
        _extreme(told, "A GAN leaves most of the data uncovered.", "gan", lambda s: s["recall"]["mean"], most=False),
        _extreme(told, "A VAE's samples are the farthest from the data.", "vae", _distance, most=True),
        _extreme(told, "Diffusion is the closest to the data.", "flow matching", _distance, most=False),
        _extreme(told, "Diffusion is the slowest to sample from.", "flow matching",
                 lambda s: s["seconds_per_1000_samples"]["mean"], most=True),
        _likelihoods(told, floor),
    ]
    return [claim for claim in claims if claim is not None]


def _instability(s: Found) -> float:
    """Failed runs first, then the spread of the distance over seeds beside its mean."""
    frechet = s["frechet"]
    return float(1000 * s["failed"] + frechet["spread"] / max(frechet["mean"], 1e-12))


def _distance(s: Found) -> float:
    return float(s["frechet"]["mean"])


def _extreme(told: Found, claim: str, who: str, value: Any, *, most: bool) -> dict[str, Any] | None:
    if who not in told or len(told) < 2:
        return None
    numbers = {name: float(value(s)) for name, s in told.items()}
    best = (max if most else min)(numbers, key=lambda name: numbers[name])
    shown = ", ".join(f"{name} {v:.3g}" for name, v in sorted(numbers.items(), key=lambda kv: kv[1], reverse=most))
    return {"claim": claim, "holds": best == who, "because": shown}


def _likelihoods(told: Found, floor: Found) -> dict[str, Any] | None:
    if not {"vae", "flow"} <= set(told):
        return None
    bound, exact = told["vae"]["likelihood"], told["flow"]["likelihood"]
    because = f"bound {bound['value']:.3f}, exact {exact['value']:.3f} nats a row"
    if floor.get("log_likelihood") is not None:
        because += f", known truth {floor['log_likelihood']:.3f}"
    return {
        "claim": "A flow's exact likelihood is higher than the bound of a VAE.",
        "holds": exact["value"] > bound["value"], "because": because,
    }
