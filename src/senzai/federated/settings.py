"""Settings of a federation: frozen, checked, kept with the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..core.errors import SettingError
from ..core.registry import suggestion
from ..data.options import names_in
from ..training.privacy import PrivateSettings

Positive = Annotated[float, Field(gt=0)]
DEFAULTS: dict[str, dict[str, float]] = {
    "fedavg": {}, "fedprox": {"mu": 0.01}, "fedadam": {"eta": 0.01, "beta1": 0.9, "beta2": 0.99, "tau": 0.001},
    "trimmed-mean": {"trim": 0.2},
}
"""Settings of each strategy."""


DOT = "private."
"""How settings of a budget begin: ``private.epsilon``."""


class Federation(BaseModel):
    """How sites train together.

    Args:
        rounds: How often the sites train and the server averages.
        local_steps: Optimiser steps of a site in a round.
        moments: Whether the moments of a site's optimiser are ``fresh`` in each round, so that sites have no memory, or
            ``kept`` by the site as long as its process runs.
        strategy: ``fedavg`` (McMahan et al. 2017), ``fedprox`` (Li et al. 2020), ``fedadam`` (Reddi et al. 2021) or
            ``trimmed-mean`` (Yin et al. 2018), all Flower's.
        strategy_settings: ``mu`` of fedprox; ``eta``, ``beta1``, ``beta2``, ``tau`` of fedadam; ``trim`` of
            trimmed-mean, the share that is cut off at each end.
        weigh: Whether a site counts by its ``rows``, or all ``sites`` count alike.
        min_sites: Fewest sites that a round needs; the first round waits for ``sites``.
        sites: How many sites the first round waits for; by default ``min_sites``.
        wait: Seconds to wait for the sites that a round needs.
        timeout: Seconds that a round waits for a site; a site that does not answer is left out of the round.
        bound: Longest update that a site may send, a Euclidean norm over all parameters. Longer ones are shortened to
            it, and the page of the round says so. ``"auto"`` takes three times the median of the round, ``None`` none.
        secure: Secure aggregation (SecAgg+, Bell et al. 2020, Flower's): the server sees the mean alone. What is summed
            is quantised: see ``quantum``. The bound is kept by the sites themselves, because nobody else could.
        range: With ``secure``, largest change of a parameter in a round; larger ones are cut off.
        own: Beginnings of the names of parameters that never leave a site, such as ``prior`` or ``posterior``.
        site_column: Name of a column that is added at each site and says which site a row is of.
        passes: How often numbers are counted for the schema, in finer intervals each time.
        measure: Whether sites also send their loss on held-out rows, once a round.
        noise: Differential privacy per site: noise multiplier of a Gaussian that the server adds to the mean of updates
            that were shortened to ``bound`` (a number then); all sites count alike. ε is for whole sites.
        delta: δ for which ε is told.
        private: Differential privacy per row: every site trains with clipped gradients of rows and noise of its own,
            within this budget (:class:`senzai.training.privacy.PrivateSettings`), and keeps a ledger. ε is for one row
            of one site, and holds against the server, too. Columns are told by a public schema.

    Example:
        >>> Federation.parse({"rounds": 3, "strategy": "fedprox", "mu": 0.1}).strategy_settings
        {'mu': 0.1}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: Annotated[int, Field(ge=1)] = 20
    local_steps: Annotated[int, Field(ge=1)] = 100
    moments: Literal["fresh", "kept"] = "fresh"
    strategy: Literal["fedavg", "fedprox", "fedadam", "trimmed-mean"] = "fedavg"
    strategy_settings: dict[str, float] = {}
    weigh: Literal["rows", "sites"] = "rows"
    min_sites: Annotated[int, Field(ge=1)] = 2
    sites: Annotated[int, Field(ge=1)] | None = None
    wait: Positive = 600.0
    timeout: Positive = 600.0
    bound: Positive | Literal["auto"] | None = "auto"
    secure: bool = False
    range: Positive = 1.0
    own: tuple[str, ...] = ()
    site_column: str | None = None
    passes: Annotated[int, Field(ge=1, le=5)] = 2
    measure: bool = False
    noise: Positive | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    private: PrivateSettings | None = None

    @field_validator("own", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return names_in(value)

    @model_validator(mode="after")
    def _together(self) -> Federation:
        known = DEFAULTS[self.strategy]
        if wrong := sorted(set(self.strategy_settings) - set(known)):
            raise ValueError(f"{self.strategy} has no setting {wrong[0]!r}; it has {', '.join(known) or 'none'}")
        if self.secure and self.strategy == "trimmed-mean":
            raise ValueError("a trimmed mean needs every update, and secure aggregation hides them: give up one")
        if self.secure and self.min_sites < 3:
            raise ValueError("secure aggregation hides a site among others: min_sites must be 3 or more")
        if self.noise is not None and not isinstance(self.bound, float):
            raise ValueError("noise is in units of the bound: give bound=NUMBER")
        if self.noise is not None and (self.secure or self.strategy != "fedavg"):
            raise ValueError("noise is added to the plain mean of all sites: strategy=fedavg without secure")
        if self.private is not None:
            self._within_budgets()
        if self.sites is not None and self.sites < self.min_sites:
            raise ValueError(f"sites={self.sites} is fewer than min_sites={self.min_sites}")
        return self

    def _within_budgets(self) -> None:
        if self.measure:
            raise ValueError("losses of held-out rows have no noise, and private covers all rows: leave measure out")
        if self.site_column is not None:
            raise ValueError("private sites take the columns of a public schema as they are: leave site_column out")

    @property
    def told(self) -> dict[str, float]:
        """Settings of the strategy, with its defaults."""
        return {**DEFAULTS[self.strategy], **self.strategy_settings}

    @property
    def mu(self) -> float:
        """Weight of the proximal term of local training."""
        return self.told.get("mu", 0.0)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Federation:
        """Return settings from plain values; those of a strategy stand beside the others.

        Raises:
            SettingError: A name is unknown, a value out of range, or two do not go together.
        """
        known = set(cls.model_fields)
        inner = {name for told in DEFAULTS.values() for name in told}
        for name in values:
            if name not in known | inner and not name.startswith(DOT):
                raise SettingError(
                    f"Unknown setting of a federation {name!r}.{suggestion(name, sorted(known | inner))} "
                    f"Known: {', '.join(sorted(known | inner))}."
                )
        plain = {k: v for k, v in values.items() if k in known}
        budget = {k.removeprefix(DOT): v for k, v in values.items() if k.startswith(DOT)}
        if budget:
            plain["private"] = {**(plain.get("private") or {}), **budget}
        own = {k: v for k, v in values.items() if k in inner}
        if own:
            plain["strategy_settings"] = {**plain.get("strategy_settings", {}), **own}
        if plain.get("private") is not None and "passes" in values:
            raise SettingError(
                "Private sites count their columns once, in the bins of the public schema, but got "
                f"passes={values['passes']!r}. Leave it out."
            )
        try:
            return cls.model_validate(plain)
        except ValidationError as err:
            first = err.errors()[0]
            name = ".".join(map(str, first["loc"])) or "the settings of a federation"
            raise SettingError(
                f"{name} must be possible, but {first['msg'].removeprefix('Value error, ')}. Give another value."
            ) from None
