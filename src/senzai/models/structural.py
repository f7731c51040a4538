"""A structural causal model of a table: each column from its causes and from noise of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, final, get_args

import torch
from torch import Tensor
from torch.distributions import Independent

from ..core.batch import Batch
from ..core.causal_graph import CausalGraph, Edge
from ..core.errors import CombinationError, InputError, SettingError
from ..core.examples import example
from ..core.random import Noise, current_noise, derive, using
from ..core.registry import suggestion
from ..core.spec import part
from ..distributions.columns import MixedColumns
from ..distributions.exogenous import explain, realise
from ..distributions.mixed import MixedFamily
from ..distributions.ops import draw
from ..parts.mechanisms import ColumnMechanisms
from .causal import CausalModel
from .generative import Generative
from .modes import judging
from .order_search import found_by_order

Search = Literal["orders", "gradients"]


@part("model", "structural")
@example(recipe="causal-table", data="mixed", settings={"graph": "x0>x1;x1>x2;x0>x4"})
@final
class Structural(Generative, CausalModel):
    r"""Columns in a graph of causes, :math:`x_i = f_i(x_{pa(i)}, e_i)` with independent noise :math:`e_i`.

    .. math:: \log p(x) = \sum_i \log p_i(x_i \mid x_{pa(i)})

    An autoencoder of causes whose encoder is exact: the latents are the noise of each column, which follows from a row
    without a network (see ``senzai.distributions.exogenous``), so that the evidence is no bound. With linear mechanisms
    and normal columns it is the linear-Gaussian structural model. Entries that are missing, or that have a missing
    cause, are not scored; a density is given for data without missing entries alone.

    Reference:
        Causality: Models, Reasoning, and Inference (Pearl, 2009), chapters 1.4 and 7.1.
        Counterfactual Off-Policy Evaluation with Gumbel-Max Structural Causal Models (Oberst and Sontag, 2019), for
        categories. https://arxiv.org/abs/1905.05824

    Args:
        family: Family of the columns.
        names: Names of the columns.
        edges: Pairs of a cause and its effect.
        hidden: Hidden units of each mechanism; 0 for linear ones.
        activation: Their activation.
        masked: Whether training rows have missing entries.
        learned: Whether the arrows are looked for instead; there are none at first.
        search: How they are looked for: ``orders``, the best order of columns by the Bayesian information criterion,
            when the model looks at rows before training; ``gradients``, in training, by the objective ``graph_search``.
        price: Factor on what an arrow must pay in a search of orders; 1 is the criterion.

    Raises:
        SettingError: The search is unknown, or an arrow costs less than nothing.

    Example:
        >>> family = MixedFamily(sorts=("normal", "normal"), sizes=(0, 0))
        >>> model = Structural(family, ("dose", "effect"), (("dose", "effect"),))
        >>> model.intervene(3, {"dose": 2.0}, seed=0)[:, 0]
        tensor([2., 2., 2.])
    """

    def __init__(
        self, family: MixedFamily, names: tuple[str, ...], edges: tuple[Edge, ...], *, hidden: int = 32,
        activation: str = "silu", masked: bool = False, learned: bool = False, search: Search = "orders",
        price: float = 1.0,
    ) -> None:
        super().__init__()
        if search not in get_args(Search):
            raise SettingError(
                f"`search` is one of {', '.join(get_args(Search))}, but got {search!r}."
                f"{suggestion(str(search), list(get_args(Search)))} Choose one."
            )
        if not price >= 0:
            raise SettingError(f"`price >= 0` must hold, but got price={price!r}. Use 1 for the criterion itself.")
        self.family, self.event, self.masked, self.learned = family, (len(names),), masked, learned
        self.search, self.price = search, price
        self._given = CausalGraph(tuple(names), tuple((str(a), str(b)) for a, b in edges))
        causes = tuple(tuple(names.index(c) for c in self._given.parents(n)) for n in names)
        if learned:
            causes = (tuple(range(len(names))),) * len(names)
            self.register_buffer("found", torch.zeros(len(names), len(names), dtype=torch.bool))  # effect, cause
            self.register_buffer("was_settled", torch.zeros((), dtype=torch.bool))
        self.mechanisms = ColumnMechanisms(family, causes, hidden=hidden, activation=activation)

    found: Tensor
    was_settled: Tensor

    @property
    def graph(self) -> CausalGraph:
        """Which column causes which: as given, or as found."""
        if not self.learned:
            return self._given
        names = self._given.nodes
        return CausalGraph(names, tuple((names[j], names[i]) for i, j in self.found.nonzero().tolist()))

    @property
    def is_learned(self) -> bool:
        """Whether the arrows were looked for."""
        return self.learned

    @property
    def settled(self) -> bool:
        """Whether the graph is known: given, or found and no longer changed."""
        return not self.learned or bool(self.was_settled)

    @property
    def looks_first(self) -> bool:
        """Whether the graph is found in the rows that the model looks at before training."""
        return self.learned and self.search == "orders"

    def initialise(self, batch: Batch) -> None:
        """Start columns at their marginals; if the search is one of orders, find the graph and keep it."""
        super().initialise(batch)
        if self.looks_first:
            self._keep(found_by_order(self.mechanisms, batch, price=self.price))

    def settle(self, least: float = 0.1) -> None:
        """Keep the graph that the strengths of arrows say, from now on.

        Args:
            least: Strength below which there is no arrow.
        """
        if not self.settled:
            self._keep(without_circles(self.mechanisms.strengths().detach(), least))

    def _keep(self, arrows: Tensor) -> None:
        self.found.copy_(arrows.T)
        self.was_settled.fill_(True)

    @property
    def exact(self) -> bool:
        """Whether all rows are whole, and there is a graph."""
        return not self.masked and self.settled

    # --- density ----------------------------------------------------------------------------------------------------
    def columns(self, x: Tensor, mask: Tensor | None = None) -> MixedColumns:
        """Return the distribution of each column given its causes in the same row."""
        p = self.family(self.mechanisms(x, mask, self._edges()), self.event)
        assert isinstance(p, Independent)
        assert isinstance(p.base_dist, MixedColumns)
        return p.base_dist

    def score(self, batch: Batch) -> Tensor:
        """Return the log density of each row, ``(B,)``; what is missing or has a missing cause adds nothing."""
        x, seen = batch.tensor, batch.observed
        if seen is not None:  # nothing may depend on what stands where nothing was observed
            x = torch.where(seen, x, torch.zeros_like(x))
        each = self.columns(x, seen).log_prob(x)
        if seen is None:
            return each.sum(-1)
        lacking = (~seen).to(each.dtype) @ self._sees().T.to(each.dtype) > 0
        return torch.where(seen & ~lacking, each, 0.0).sum(-1)

    def _edges(self) -> Tensor | None:
        return self.found if self.learned and self.settled else None

    def _sees(self) -> Tensor:
        found = self._edges()
        return self.mechanisms.allowed if found is None else found

    def log_prob(self, batch: Batch) -> Tensor | None:
        """Return the exact log density of each row, ``(B,)``; ``None`` where entries are missing."""
        if not self.exact or batch.observed is not None:
            return None
        return self.score(batch)

    # --- rows -------------------------------------------------------------------------------------------------------
    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Tensor:
        """Draw ``n`` rows, causes before effects."""
        with using(replace(current_noise(), spread=temperature)):
            return self._follow(self._blank(n), {})

    def intervene(self, n: int, values: Mapping[str, float], *, seed: int) -> Tensor:
        """Return ``n`` rows in which columns are set; see :meth:`CausalModel.intervene`."""
        with judging(self), using(Noise.seeded(derive(seed, "do"), device=self.device)):
            return self._follow(self._blank(n), values)

    def counterfactual(self, batch: Batch, values: Mapping[str, float], *, seed: int) -> Tensor:
        """Return rows as they would have been; what does not follow from what is set stays as it is.

        Raises:
            InputError: A row lacks an entry, so that its noise is not known.
        """
        x, seen = batch.tensor.to(torch.float64), batch.observed
        if seen is not None and not bool(seen.all()):
            row = int((~seen.all(1)).nonzero()[0])
            raise InputError(
                f"What would have been follows from what was, but row {row} (from 0) lacks an entry. Fill the rows in "
                "first, or leave that one out."
            )
        generator = torch.Generator().manual_seed(derive(seed, "abduction"))

        def uniform(shape: tuple[int, ...]) -> Tensor:
            u = torch.rand(shape, generator=generator, dtype=torch.float64).to(x.device)
            return u.clamp(1e-12, 1 - 1e-12)

        with judging(self):
            noise = [explain(p, x[:, at], uniform) for at, p in self.columns(x).groups]
            return self._replay(x, noise, values)

    def _replay(self, x: Tensor, noise: list[Tensor], values: Mapping[str, float]) -> Tensor:
        """Return rows made again from their noise, in which columns are set."""
        out = self._set(x.clone(), values)
        below = self.graph.below(values) - set(values)
        for generation in self.graph.generations:
            moved = [self._place(name) for name in generation if name in below]
            if not moved:
                continue
            new = x.new_zeros(x.shape)
            for (at, p), e in zip(self.columns(out).groups, noise, strict=True):
                new[:, at] = realise(p, e).to(new)
            out[:, moved] = new[:, moved]
        return out

    def _follow(self, x: Tensor, values: Mapping[str, float]) -> Tensor:
        """Draw the columns that are not set, causes before effects."""
        x = self._set(x, values)
        for generation in self.graph.generations:
            free = [self._place(name) for name in generation if name not in values]
            if free:
                drawn = draw(self.columns(x), (), grad=False)
                x[:, free] = drawn[:, free].to(x)
        return x

    def _set(self, x: Tensor, values: Mapping[str, float]) -> Tensor:
        for name, value in values.items():
            x[:, self._place(name)] = value
        return x

    def _place(self, name: str) -> int:
        return self.graph.nodes.index(name)

    def _blank(self, n: int) -> Tensor:
        return torch.zeros(n, *self.event, device=self.device)

    def forward(self, batch: Batch) -> Tensor:
        """Return :meth:`score`."""
        return self.score(batch)


def without_circles(strength: Tensor, least: float) -> Tensor:
    """Return arrows, cause first, from the strongest down as long as they make no circle.

    Args:
        strength: Of each arrow, ``(d, d)``.
        least: Strength below which there is none.

    Example:
        >>> without_circles(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), 0.1).int().tolist()
        [[0, 1], [0, 0]]
    """
    d = len(strength)
    kept = torch.zeros(d, d, dtype=torch.bool)
    reach = torch.eye(d, dtype=torch.bool)  # from, to
    for at in strength.flatten().argsort(descending=True).tolist():
        cause, effect = divmod(at, d)
        if float(strength[cause, effect]) < least or cause == effect:
            continue
        if not bool(reach[effect, cause]):
            kept[cause, effect] = True
            reach |= reach[:, cause].unsqueeze(1) & reach[effect].unsqueeze(0)
    return kept


def need_nothing_given(n_condition: int) -> None:
    """Refuse a condition: whatever a column depends on is one of its causes.

    Raises:
        CombinationError: There is one.
    """
    if n_condition:
        raise CombinationError(
            "In a graph of causes everything a column depends on is a column, but the data come with a condition. "
            "Leave condition=... out, and name its columns in the graph."
        )
