"""The verbs of a trained model on tensors: encode, reconstruct, sample, traverse, interpolate.

All run without gradients, in evaluation mode, in pieces that fit memory. Without a seed they give points, not draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch, Data, cat, each
from ..core.errors import CombinationError, SettingError, ShapeError
from ..core.random import Noise, derive, using
from ..core.row_noise import RowKeys, RowNoise
from ..distributions.ops import draw, expected
from ..distributions.spaces import Real, Space
from .base import Classifies, Inference, LatentModel, Latents, latent_model
from .generative import Generative
from .modes import judging
from .structured import Structured

ROWS = 1024
SPREAD_DRAWS = 64


def in_pieces(batch: Batch, rows: int = ROWS) -> Iterator[tuple[int, Batch]]:
    """Yield ``(first row, piece)``."""
    for start in range(0, len(batch), rows):
        yield start, batch.take(slice(start, start + rows))


def _noise(seed: int | None, piece: Batch, keys: RowKeys, n_samples: int = 1) -> Noise:
    """Return the noise of some rows: a function of the seed and of what is in a row, not of where it stands."""
    if seed is None:
        return Noise(point=True)
    return RowNoise.of(seed, n_samples, keys(piece), range(n_samples), device=piece.device)


def _over(
    model: Generative, batch: Batch, seed: int | None, read: Callable[[Inference, Batch], tuple[Data, ...]],
    n_samples: int = 1, keys: RowKeys | None = None,
) -> tuple[Data, ...]:
    found: list[tuple[Data, ...]] = []
    known, latent = RowKeys() if keys is None else keys, latent_model(model)
    with judging(model):
        for _, piece in in_pieces(batch):
            with using(_noise(seed, piece, known, n_samples)):
                found.append(read(latent.infer(piece, n_samples), piece))
    return tuple(cat(list(parts)) for parts in zip(*found, strict=True))


def _latents(found: tuple[Data, ...]) -> Latents:
    return tuple(z for z in found if not isinstance(z, dict))


def encode(model: Generative, batch: Batch, *, seed: int | None = None, keys: RowKeys | None = None) -> Latents:
    """Return the latents of each row, ``(N, *event)`` per group: the posterior's point, or a draw if seeded.

    A row's draw does not depend on its place or on other rows: see ``senzai.core.row_noise``; ``keys`` are handed on
    where data come in several batches.
    """
    return _latents(_over(model, batch, seed, lambda seen, _: seen.latents(), keys=keys))


def posterior_scales(model: Generative, batch: Batch) -> Latents:
    """Return the posterior standard deviation of each row, ``(N, *event)`` per group.

    Where it has no formula (a flow, say) it is estimated from draws, always the same ones.
    """

    def read(seen: Inference, _: Batch) -> Latents:
        scales = (torch.zeros_like(g.z) if g.q is None else _scale(g.q).expand_as(g.z) for g in seen.groups)
        return tuple(seen.chosen(s) for s in scales)

    try:
        return _latents(_over(model, batch, None, read))
    except NotImplementedError:
        drawn = _over(model, batch, 0, lambda seen, _: tuple(g.z.std(0) for g in seen.groups), SPREAD_DRAWS)
        return _latents(drawn)


def _scale(q: Distribution) -> Tensor:
    scale: Tensor = q.stddev
    return scale


def spaces_of(model: LatentModel, z: Latents) -> tuple[Space, ...]:
    """Return where each group of latents lives."""
    return model.spaces or (Real(),) * len(z)


def reconstruct(model: Generative, batch: Batch, *, seed: int | None = None, keys: RowKeys | None = None) -> Data:
    """Return the expected value of p(x | z) at the latents of each row, ``(N, *event)``; a draw if seeded."""
    latent = latent_model(model)

    def read(seen: Inference, piece: Batch) -> tuple[Data, ...]:
        if seed is None and seen.point is not None:
            return (expected(latent.generate(seen.point, latent.given(piece))),)
        p = seen.likelihood
        made: Data = expected(p) if seed is None else draw(p, grad=False, lead=1)
        return (each(seen.chosen, made),)

    return _over(model, batch, seed, read, keys=keys)[0]


def classify(model: Generative, batch: Batch) -> Tensor:
    """Return the log probability of each class for each row, ``(N, n_classes)``.

    Raises:
        CombinationError: The model has no classifier.
    """
    if not isinstance(model, Classifies) or not model.n_classes:
        raise CombinationError(
            f"Classes are predicted by a model with a classifier, but {type(model).__name__} has none. "
            "Fit one of the recipes m1, m2 and m1-m2."
        )
    found = []
    with judging(model), using(Noise(point=True)):
        for _, piece in in_pieces(batch):
            found.append(model.classify(piece))
    return torch.cat(found)


def complete(model: Generative, batch: Batch, *, seed: int | None = None, keys: RowKeys | None = None) -> Data:
    """Return rows of which a part is kept and the rest predicted from it; a draw of the rest if seeded.

    Raises:
        CombinationError: The model was not made for that.
    """
    if not isinstance(model, Structured):
        raise CombinationError(
            f"The rest of a row is predicted by a model that was fitted for that, but got {type(model).__name__}. "
            "Fit the recipe cvae-structured."
        )
    found: list[Data] = []
    known = RowKeys() if keys is None else keys
    with judging(model):
        for _, piece in in_pieces(batch):
            with using(_noise(seed, piece, known)):
                found.append(model.complete(piece.tensor, piece.c, noise=seed is not None))
    return cat(found)


def sample(
    model: Generative, n: int, *, seed: int, c: Tensor | None = None, noise: bool = True, temperature: float = 1.0
) -> Data:
    """Return ``n`` new rows, ``(n, *event)``.

    Args:
        model: Trained model.
        n: How many.
        seed: Seed of the draws.
        c: Condition, one row per sample.
        noise: Draw from p(x | z), as the model defines it; else show its expected value (smooth pictures).
        temperature: Factor on the normal numbers that the latents are made from; 1 is the model. A standard normal is
            drawn that much narrower or wider, a mixture or a flow around each of its modes.

    Raises:
        SettingError: ``n`` is negative or the temperature not positive.
        CombinationError: The temperature is not 1, and the space of the latents has no centre.
    """
    check_draws(model, n, temperature)
    device = model.device
    found: list[Data] = []
    with judging(model):
        for start in range(0, n, ROWS):
            rows = min(ROWS, n - start)
            given = None if c is None else c[start : start + rows]
            with using(Noise.seeded(derive(seed, "sample", start), device=device)):
                found.append(model.simulate(rows, given, temperature=temperature, noise=noise))
    return cat(found)


def check_draws(model: Generative, n: int, temperature: float) -> None:
    """Refuse to draw no rows, or at a temperature that latents of the model cannot have; see :func:`sample`."""
    if n < 1 or not temperature > 0:
        raise SettingError(f"`n >= 1` and `temperature > 0` must hold, but got n={n!r}, temperature={temperature!r}.")
    model.check_temperature(temperature)


def decode(model: Generative, z: Latents, *, c: Tensor | None = None) -> Data:
    """Return the expected value of p(x | z), ``(N, *event)``; of several modalities, one such tensor for each."""
    latent = latent_model(model)
    with judging(model):
        return cat([
            expected(latent.generate(tuple(g[i : i + ROWS] for g in z), None if c is None else c[i : i + ROWS]))
            for i in range(0, len(z[0]), ROWS)
        ])


def interpolate(model: Generative, a: Batch, b: Batch, *, steps: int = 8) -> Data:
    """Return decoded points between the latents of rows of ``a`` and ``b``, ``(steps, N, *event)``.

    See :func:`between` for the path.

    Raises:
        SettingError: Fewer than two steps.
    """
    z, c = between(model, a, b, steps=steps)
    flat = decode(model, z, c=c)
    return each(lambda t: t.reshape(steps, len(a), *t.shape[1:]), flat)


def between(model: Generative, a: Batch, b: Batch, *, steps: int = 8) -> tuple[Latents, Tensor | None]:
    """Return latents between those of rows of ``a`` and ``b``, ``(steps * N, *event)`` per group, and their condition.

    The path is the shortest one of the latent space: a straight line, or an arc of a great circle; for codes, the codes
    nearest to the straight line between their vectors. A condition changes along a straight line.

    Raises:
        SettingError: Fewer than two steps.
        ShapeError: The latents of the ends have different shapes: other numbers of rows, or of steps of a sequence.
    """
    if steps < 2:
        raise SettingError(f"`steps >= 2` must hold, both ends included, but got steps={steps!r}.")
    latent = latent_model(model)
    za, zb = encode(model, a), encode(model, b)
    if [u.shape for u in za] != [v.shape for v in zb]:
        raise ShapeError(
            f"There is a way between latents of one shape, but these have {[tuple(u.shape[1:]) for u in za]} and "
            f"{[tuple(v.shape[1:]) for v in zb]}. Give as many rows, of as many steps, for both ends."
        )
    weights = torch.linspace(0, 1, steps, device=za[0].device)
    ends = zip(spaces_of(latent, za), za, zb, strict=True)
    line = tuple(torch.cat([s.between(u, v, float(w)) for w in weights]) for s, u, v in ends)
    ca, cb = model.given(a), model.given(b)
    c = None if ca is None or cb is None else torch.cat([torch.lerp(ca, cb, float(w)) for w in weights])
    return line, c


def traverse(
    model: Generative, batch: Batch, *, dim: int, values: Tensor | None = None, group: int = 0
) -> Data:
    """Return decoded rows with one latent dimension set to each of ``values``, ``(len(values), N, *event)``.

    By default the values are seven that the space of the latents proposes (-3 to 3 for real ones); see :func:`moved`.

    Raises:
        SettingError: There is no such dimension, or the space has no such value.
    """
    z, c = moved(model, batch, dim=dim, values=values, group=group)
    flat = decode(model, z, c=c)
    return each(lambda t: t.reshape(len(z[0]) // len(batch), len(batch), *t.shape[1:]), flat)


def moved(
    model: Generative, batch: Batch, *, dim: int, values: Tensor | None = None, group: int = 0
) -> tuple[Latents, Tensor | None]:
    """Return the latents of rows with one dimension set to each of ``values``, and their condition.

    On a space with constraints the other coordinates are rescaled in proportion. Where latents are codes, a
    dimension is the place of a code and values are codes.

    Raises:
        SettingError: There is no such dimension, or the space has no such value.
    """
    z = encode(model, batch)
    space = spaces_of(latent_model(model), z)[group]
    values = torch.tensor(space.steps()) if values is None else values
    width = z[group].shape[-1]
    if not -width <= dim < width:
        raise SettingError(f"`dim` must be one of 0 … {width - 1}, but got {dim!r}.")
    if not z[group].is_floating_point() and bool((values != values.round()).any()):
        raise SettingError(f"Codes are whole numbers, but got the values {values.tolist()}. Give whole numbers.")
    changed = z[group].repeat(len(values), *[1] * (z[group].ndim - 1))
    told = values.to(changed).repeat_interleave(len(batch))
    told = told.reshape(-1, *[1] * (changed.ndim - 2)).expand(changed.shape[:-1])  # every step of a sequence alike
    changed = space.with_coordinate(changed, dim, told)
    others = [g.repeat(len(values), *[1] * (g.ndim - 1)) for g in z]
    others[group] = changed
    given = model.given(batch)
    return tuple(others), None if given is None else given.repeat(len(values), 1)
