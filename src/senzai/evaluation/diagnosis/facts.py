"""The measured facts that checks look at: plain numbers, gathered once; ``None`` where something is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Told:
    """What is known about a run beside its model and rows.

    Args:
        history: Lines of ``history.jsonl``.
        beta: Weight of the rate in the objective, where it has one.
        n_samples: Draws per row of the objective.
        objective: Name of the objective's class.
        settled_after: Step at which the objective takes its final form.
        total_steps: Steps that were taken.
        n_train: Training rows.
        validated: Whether validation rows chose the weights.
        gains: Gain in nats of held-out codes, and its error, under each sampler that was fitted after training.
        sampler: Name of the one that samples are drawn from.
        columns: Names of the entries of a row.
        codes: Code numbers of rows, and the size of the code book, for quantised latents of one's own.
        lr: Learning rate.
        bounds: Whether the objective bounds the evidence, so that rate and distortion have one unit.
        comparable: Whether losses of different steps can be compared; not if a learning critic contributes to them.
        hidden: Widths of the encoder's hidden layers; none for convolutions, ``None`` where not known.
        given: Names of the settings that the user chose.
    """

    history: tuple[Mapping[str, Any], ...] = ()
    beta: float | None = None
    n_samples: int = 1
    objective: str = ""
    settled_after: int | None = None
    total_steps: int | None = None
    n_train: int | None = None
    validated: bool = True
    gains: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sampler: str = "prior"
    columns: tuple[str | int, ...] = ()
    codes: tuple[Any, int] | None = None
    lr: float | None = None
    bounds: bool = True
    comparable: bool = True
    hidden: tuple[int, ...] | None = None
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiagnosisFacts:
    """Everything the checks may look at. All nats are per row; rows are held out unless the name says otherwise.

    Args:
        told: What the run knows besides.
        elbo: Mean bound.
        elbo_se: Its standard error.
        spread: Standard deviation of the bound over rows.
        distortion: Mean distortion.
        rate: Mean rate.
        rates: Mean rate of each latent dimension.
        active: Latent dimensions whose mean varies over rows.
        n_latent: Latent dimensions.
        price: Nats of distortion that a nat of rate buys, where the encoder stands.
        log_p: Importance-weighted log-likelihood.
        looseness: Log-likelihood minus the bound that was trained.
        looseness_se: Its standard error.
        amortisation: Best normal posterior of each row against the encoder's.
        amortisation_se: Its standard error.
        generalisation: Bound of training rows minus that of held-out rows.
        generalisation_se: Its standard error.
        dispersion: Mean squared error of posterior predictions over their variance, on training rows.
        bulk: The same for the median entry, over what it is for a normal.
        tails: Share of entries more than five predicted standard deviations away, less that of the model's own draws.
        outside: Share of predicted draws outside the range of the data.
        values: What all values are: ``binary``, ``count``, ``levels``, ``unit``, ``bounded`` or ``real``.
        density: Whether the likelihood is a density, not a mass.
        structure: Largest eigenvalue of the correlations of residuals over the edge of pure noise.
        column_share: Share of one column in the variation of the distortion.
        column: Which.
        reconstruction_sharpness: High-frequency energy of reconstructions over that of the data.
        sample_sharpness: The same of samples.
        samples_frechet: Frechet distance of samples to data, over the total variance of the data.
        samples_frechet_se: Its standard error.
        reconstructions_frechet: The same of reconstructions.
        variety: Effective number of different samples over that of as many reconstructions.
        memorisation: Chance that a sample is nearer to a training row than a held-out row is.
        memorisation_se: Its standard error.
        duplicates: Share of held-out rows that are training rows too.
        n_dims: Entries of a row.
        used_codes: Share of the code book that rows use.
        n_codes: Size of the code book.
        mig: Mutual information gap against known factors.
        gradient_power: Mean square of the derivatives of a circuit's angles at fresh starts, the least of all circuits.
        missing: Why a fact is not known.
    """

    told: Told = field(default_factory=Told)
    elbo: float | None = None
    elbo_se: float | None = None
    spread: float | None = None
    distortion: float | None = None
    rate: float | None = None
    rates: tuple[float, ...] | None = None
    active: int | None = None
    n_latent: int | None = None
    price: float | None = None
    log_p: float | None = None
    looseness: float | None = None
    looseness_se: float | None = None
    amortisation: float | None = None
    amortisation_se: float | None = None
    generalisation: float | None = None
    generalisation_se: float | None = None
    dispersion: float | None = None
    bulk: float | None = None
    tails: float | None = None
    outside: float | None = None
    values: str | None = None
    density: bool | None = None
    structure: float | None = None
    column_share: float | None = None
    column: str | None = None
    reconstruction_sharpness: float | None = None
    sample_sharpness: float | None = None
    samples_frechet: float | None = None
    samples_frechet_se: float | None = None
    reconstructions_frechet: float | None = None
    variety: float | None = None
    memorisation: float | None = None
    memorisation_se: float | None = None
    duplicates: float | None = None
    n_dims: int | None = None
    used_codes: float | None = None
    n_codes: int | None = None
    mig: float | None = None
    gradient_power: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def history(self) -> tuple[Mapping[str, Any], ...] | None:
        """Lines of the history, if there are any."""
        return self.told.history or None

    @property
    def beta(self) -> float | None:
        """Weight of the rate."""
        return self.told.beta

    @property
    def settled_after(self) -> int | None:
        """End of the warm-up."""
        return self.told.settled_after

    @property
    def total_steps(self) -> int | None:
        """Steps taken."""
        return self.told.total_steps

    @property
    def objective(self) -> str | None:
        """Name of the objective's class."""
        return self.told.objective or None

    @property
    def n_train(self) -> int | None:
        """Training rows."""
        return self.told.n_train

    def numbers(self) -> dict[str, Any]:
        """Return what is known, as plain values."""
        skipped = ("told", "missing")
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}
        return {k: v for k, v in found.items() if v is not None}
