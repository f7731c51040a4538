"""Settings of differentially private training, what they come to, and the ledger of everything that saw the data."""

from __future__ import annotations

from functools import cache
from math import isfinite, sqrt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import SettingError
from ..core.extras import need
from ..core.secret import WORDS, Secret

Positive = Annotated[float, Field(gt=0)]
UNIT = "one row added or removed"
LEAST_SIGNAL = 1.0
"""Below this ratio the noise of the whole training outweighs even gradients that all point the same way."""


class FrozenSettings(BaseModel):
    """Base of frozen models that accept no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PrivateSettings(FrozenSettings):
    r"""What a private training may cost: :math:`(\varepsilon, \delta)`-differential privacy for one row.

    Args:
        epsilon: Largest epsilon of the whole run, statistics of the schema included.
        delta: Largest delta; by default a tenth of one over the number of rows, at most 1e-5.
        clip: Largest Euclidean norm of the gradient of one row.
        accountant: What adds the steps up, of Opacus: ``prv`` (tight) or ``rdp``.
        schema_share: Share of epsilon and delta for noisy counts of the columns: how frequent levels are, where
            numbers lie. Nothing but the public schema is used at 0.
        noise_seed: Makes sampling and noise come again, for trials. Whoever knows it can take the noise off, so such a
            run protects nobody.
    """

    epsilon: Positive
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    clip: Positive = 1.0
    accountant: Literal["prv", "rdp"] = "prv"
    schema_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    noise_seed: int | None = None

    def delta_for(self, n_rows: int) -> float:
        """Return delta, as set or for so many rows."""
        return self.delta if self.delta is not None else min(1e-5, 0.1 / n_rows)

    def secret(self) -> Secret:
        """Return a new key, or the one of the seed."""
        return Secret.fresh() if self.noise_seed is None else Secret.seeded(self.noise_seed)


class Entry(FrozenSettings):
    """A line of the ledger: something that could have been computed from the data.

    Args:
        what: What it is.
        how: ``noise`` (within the budget), ``public`` (known without the data), ``off``, or ``outside`` (computed from
            rows that the guarantee does not cover).
        why: In a sentence.
        epsilon: What it costs, where it costs.
        delta: Likewise.
    """

    what: str
    how: Literal["noise", "public", "off", "outside"]
    why: str
    epsilon: float = 0.0
    delta: float = 0.0


class SiteSpent(FrozenSettings):
    """What one of several sites that trained together has spent on its rows.

    Args:
        epsilon: Epsilon of all that left the site.
        delta: The delta that it goes with.
        n_rows: Its training rows.
        sample_rate: Probability with which a row is in a step.
        batch_size: Expected rows of a step.
        steps: Steps that it took.
        noise: Standard deviation of the noise over the clip.
        heard: Whether the site says so itself; otherwise it was silent at the end, and this is the most it may spend.
    """

    epsilon: Annotated[float, Field(ge=0)]
    delta: Annotated[float, Field(ge=0, lt=1)]
    n_rows: Annotated[int, Field(ge=0)] = 0
    sample_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    batch_size: Annotated[int, Field(ge=0)] = 0
    steps: Annotated[int, Field(ge=0)] = 0
    noise: Annotated[float, Field(ge=0)] = 0.0
    heard: bool = True


class Privacy(FrozenSettings):
    """What a private run guarantees, saved with it.

    Where several sites trained together, each row is at one of them: epsilon is the largest of the sites', and steps,
    rate and noise are those of the site that has it.

    Args:
        epsilon: Epsilon of everything together, as computed and not as asked for.
        delta: Delta of everything together.
        accountant: Whose arithmetic it is.
        unit: What is hidden: whether one such unit was among the data.
        n_rows: Training rows; taken as public.
        sample_rate: Probability with which a row is in a step.
        batch_size: Expected rows of a step.
        steps: Steps of the training.
        noise: Standard deviation of the noise over ``clip``.
        clip: Largest norm of a row's gradient.
        generator: Where the noise comes from.
        ledger: Everything that saw the data, or did not.
        sites: What each site spent, by name; none for rows at one place.
    """

    epsilon: float
    delta: float
    accountant: str
    unit: str = UNIT
    n_rows: int
    sample_rate: float
    batch_size: int
    steps: int
    noise: float
    clip: float
    generator: str = WORDS
    ledger: tuple[Entry, ...] = ()
    sites: dict[str, SiteSpent] = {}

    def sentence(self) -> str:
        """Return the guarantee in words."""
        return (
            f"({self.epsilon:.3g}, {self.delta:.3g})-differentially private for {self.unit}, by {self.accountant}: "
            f"{self.steps} steps, each with every row at a probability of {self.sample_rate:.3g} (about "
            f"{self.batch_size} of {self.n_rows}), gradients of rows cut to {self.clip:g}, noise {self.noise:.3g} "
            f"times that. Noise: {self.generator}.{self._of_sites()}"
        )

    def _of_sites(self) -> str:
        if not self.sites:
            return ""
        each = ", ".join(f"{name} {'' if s.heard else 'at most '}{s.epsilon:.3g}" for name, s in self.sites.items())
        return (
            f" It is the largest epsilon of {len(self.sites)} sites ({each}), for each row is at one of them; the "
            "steps are that site's. Noise was added before anything left a site, so it holds against the server and "
            "the other sites, too."
        )

    def lines(self) -> list[tuple[str, str, str]]:
        """Return the ledger: what, how, and why, with what it costs."""
        cost = {e: f" Epsilon {e.epsilon:.3g}, delta {e.delta:.2g}." if e.how == "noise" else "" for e in self.ledger}
        return [(e.what, e.how, f"{e.why}{cost[e]}") for e in self.ledger]


@cache
def epsilon_of(noise: float, sample_rate: float, steps: int, delta: float, *, accountant: str = "prv") -> float:
    r"""Return epsilon of ``steps`` subsampled Gaussian mechanisms, by an accountant of Opacus.

    Args:
        noise: Standard deviation of the noise over the sensitivity.
        sample_rate: Probability with which a row takes part in a step.
        steps: How many.
        delta: The delta that epsilon goes with.
        accountant: ``prv`` or ``rdp``.

    Raises:
        MissingExtraError: Opacus is not there.

    Example:
        >>> round(epsilon_of(1.0, 0.01, 100, 1e-5), 2) < round(epsilon_of(0.7, 0.01, 100, 1e-5), 2)
        True
    """
    import warnings

    module = need("opacus.accountants", extra="private", to="account for privacy")
    made: Any = module.create_accountant(mechanism=accountant)
    made.history = [(noise, sample_rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logarithms of 0, and orders at an end of their list: it says so in the number
        return float(made.get_epsilon(delta=delta))


@cache
def noise_for(epsilon: float, delta: float, sample_rate: float, steps: int, *, accountant: str = "prv") -> float:
    """Return the noise with which steps cost at most ``epsilon``, found by Opacus.

    Raises:
        SettingError: No noise is large enough.
        MissingExtraError: Opacus is not there.

    Example:
        >>> noise = noise_for(3.0, 1e-5, 0.05, 200)
        >>> 0.9 * 3 < epsilon_of(noise, 0.05, 200, 1e-5) <= 3
        True
    """
    import warnings

    module = need("opacus.accountants.utils", extra="private", to="account for privacy")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(module.get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=sample_rate, steps=steps,
                accountant=accountant, epsilon_tolerance=min(0.01, epsilon / 100),
            ))
    except (ValueError, RuntimeError, OverflowError) as err:
        raise SettingError(
            f"A private training needs a budget that some noise can keep, but with epsilon={epsilon:g}, "
            f"delta={delta:g} and {steps} steps of a share of {sample_rate:.3g} of the rows none does ({err}). Raise "
            "epsilon, take fewer steps, or give more rows."
        ) from err


def signal_to_noise(noise: float, batch_size: int, steps: int, n_parameters: int) -> float:
    r"""Return how far the best possible sum of gradients stands above the noise, over the whole training.

    Clipped gradients of ``L`` rows add up to a norm of at most ``L C`` a step, and over ``T`` steps to ``T L C``; the
    noise of ``P`` parameters to :math:`\sqrt{T P}\, \sigma C`.

    Example:
        >>> signal_to_noise(1.0, 100, 100, 10_000)
        10.0
    """
    return sqrt(steps) * batch_size / (noise * sqrt(n_parameters))


def refuse_hopeless(noise: float, *, batch_size: int, steps: int, n_parameters: int, epsilon: float) -> None:
    """Refuse a budget under which the model could learn nothing, before the first step.

    Raises:
        SettingError: The noise outweighs whatever gradients could say.
    """
    ratio = signal_to_noise(noise, batch_size, steps, n_parameters)
    if not isfinite(ratio) or ratio < LEAST_SIGNAL:
        raise SettingError(
            f"A private training needs gradients that stand out of the noise, but with epsilon={epsilon:g} the noise "
            f"is {noise:.3g} times the clip for {n_parameters} parameters, and {steps} steps of about {batch_size} "
            f"rows reach {ratio:.2g} of it at best. Raise epsilon, take larger batches, give more rows, or a smaller "
            "model (hidden=32, n_latent=4)."
        )
