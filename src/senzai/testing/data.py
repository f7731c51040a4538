"""Small data of every kind of value, for examinations: a few rows that any model can be built for and trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..core.batch import Batch, only
from ..core.random import forked
from ..core.registry import Registry
from ..data.proposal import Choice, Modality, Proposal, several

N_CLASSES = 3


@dataclass(frozen=True)
class Data:
    """Rows of one kind, and what such data propose to a recipe.

    Args:
        event: Shape of one row.
        family: Likelihood family proposed.
        draw: ``(n, event) -> x``, rows first, from torch's global generator.
        settings: Settings of the family.
        shared: Raw numbers learned once.
        network: Network proposed.
        encoder: Encoder proposed, where it is another than the network.
        ragged: Whether rows end early, each somewhere else.
        modalities: Names of the small data that rows have side by side; some rows lack the last of them.
    """

    event: tuple[int, ...]
    family: str
    draw: Callable[[int, tuple[int, ...]], Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    network: str = "mlp"
    encoder: Choice | None = None
    ragged: bool = False
    modalities: tuple[str, ...] = ()

    @property
    def proposal(self) -> Proposal:
        """What such data propose."""
        network = Choice(self.network)
        if self.modalities:
            found = {name: Modality(DATA[name].event, DATA[name].proposal) for name in self.modalities}
            return several(found)
        return Proposal(
            likelihood=Choice(self.family, self.settings), encoder=self.encoder or network, decoder=network,
            shared=self.shared,
        )

    def rows(
        self, n: int, *, seed: int = 0, event: tuple[int, ...] | None = None, n_classes: int = 0, n_condition: int = 0,
        masked: bool = False, n_numbers: int = 0,
    ) -> Batch:
        """Return ``n`` rows; labels and numbers of which some are unknown, conditions and masks as asked for."""
        if self.modalities:
            return self._side_by_side(n, seed, n_classes=n_classes, n_condition=n_condition, masked=masked)
        with forked(seed):
            x = self.draw(n, event or self.event)
            y = torch.arange(n) % n_classes if n_classes else None
            known = torch.arange(n) % 3 != 1 if n_classes else None
            c = torch.nn.functional.one_hot(torch.arange(n) % n_condition, n_condition).float() if n_condition else None
            mask = torch.rand(x.shape) < 0.7 if masked else None
            numbers = torch.randn(n, n_numbers) if n_numbers else None
        if numbers is not None:
            numbers[1::3, 0] = torch.nan
        lengths = 1 + torch.arange(n) % x.shape[1] if self.ragged else None
        return Batch(x, c=c, y=y, y_known=known, mask=mask, lengths=lengths, numbers=numbers)

    def _side_by_side(self, n: int, seed: int, **asked: Any) -> Batch:
        parts = {name: DATA[name].rows(n, seed=seed + i, **asked) for i, name in enumerate(self.modalities)}
        whole = next(iter(parts.values()))
        mask = {k: only(b.mask) for k, b in parts.items() if b.mask is not None}
        lengths = {k: only(b.lengths) for k, b in parts.items() if b.lengths is not None}
        return replace(
            whole, x={k: b.tensor for k, b in parts.items()}, mask=mask or None, lengths=lengths or None,
            present={self.modalities[-1]: torch.arange(n) % 3 != 2},
        )


def _real(n: int, event: tuple[int, ...]) -> Tensor:
    z = torch.randn(n, 1)
    return 0.5 + 0.8 * z.view(n, *[1] * len(event)) + 0.6 * torch.randn(n, *event)


def _whole(top: int) -> Callable[[int, tuple[int, ...]], Tensor]:
    return lambda n, event: torch.randint(top, (n, *event)).float()


def _count(n: int, event: tuple[int, ...]) -> Tensor:
    return torch.poisson(torch.full((n, *event), 1.5))


def _inside(n: int, event: tuple[int, ...]) -> Tensor:
    return torch.rand(n, *event) * 0.9 + 0.05


MIXED = {
    "sorts": ("normal", "category", "binary", "count", "steps"), "sizes": (0, 3, 2, 0, 4), "cuts": ((-1.0, 0.0, 1.0),)
}


SPIKES = {"spikes": (-3.5, None, None, 0.0, 2.0)}
"""Which value of each column has a probability of its own."""


def _mixed(n: int, event: tuple[int, ...]) -> Tensor:
    codes = [_whole(size)(n, ()) for size in (3, 2, 4)]
    numbers = torch.where(torch.rand(n) < 0.3, -3.5, torch.randn(n))
    return torch.stack([numbers, codes[0], codes[1], _count(n, ()), codes[2]], 1)


def _symbols(n: int, event: tuple[int, ...]) -> Tensor:
    """Return symbols of which row ``i`` ends after ``1 + i % T`` steps."""
    end = torch.arange(n).unsqueeze(1) % event[0]
    return torch.where(torch.arange(event[0]) < end, 1 + _whole(4)(n, event), 0.0)


DATA: Registry[Data] = Registry("small data")
"""Small data by name; the kinds of values of ``senzai.distributions.Support``, and pictures."""

for _name, _data in {
    "real": Data((4,), "normal", _real, shared=("scale",)),
    "binary": Data((6,), "bernoulli", _whole(2)),
    "sequences": Data((4, 2), "normal", _real),
    "ragged": Data((4, 2), "normal", _real, shared=("scale",), ragged=True),
    "pair": Data((10,), "normal", _real, modalities=("ragged", "binary")),
    "pictures": Data((1, 8, 8), "bernoulli", _whole(2), network="conv"),
    "waves": Data((1, 24), "normal", _real, shared=("scale",), network="waves"),
    "volumes": Data((1, 6, 5, 4), "normal", _real, shared=("scale",), network="volume"),
    "count": Data((3,), "negative_binomial", _count),
    "unit": Data((4,), "continuous_bernoulli", _inside),
    "interval": Data((4,), "beta", _inside),
    "positive": Data((4,), "log_normal", lambda n, event: _real(n, event).exp()),
    "levels": Data((3,), "discretised_logistic", _whole(8), settings={"levels": 8}),
    "category": Data((3,), "categorical", _whole(4), settings={"n": 4}),
    "mixed": Data(
        (5,), "mixed", _mixed, settings=MIXED | SPIKES, encoder=Choice("table", MIXED)
    ),
    "symbols": Data(
        (5,), "recurrent_tokens", _symbols, settings={"n": 5}, encoder=Choice("recurrent_tokens", {"n": 5}), ragged=True
    ),
    "ordinal": Data((3,), "ordinal", _whole(4), settings={"n": 4}),
}.items():
    DATA.add(_name)(_data)
