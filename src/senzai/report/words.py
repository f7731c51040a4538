"""Sentences and remarks that several views share."""

from __future__ import annotations

from .blocks import Block, Empty, Section
from .findings import PLACES, ROW_DRAWS, Findings
from .numbers import number, plural

NO_AXIS = "The latents of this model have no single axis to move along."
NO_PAIR = "This takes at least two rows."


def sample_words(found: Findings, what: str) -> str:
    """Say what new rows are: ``48 new pictures, not selected, from latents drawn from the prior.``."""
    of = f"from latents drawn from the {found.source}" if found.model.infers else "drawn from the model"
    return f"{what}, not selected, {of}."


def reconstruction_words(found: Findings, what: str) -> list[str]:
    """Say what is compared with what."""
    words = [f"{what} Shown are {found.held.name}, drawn at random."]
    if found.shown is not None and found.shown.elbo is not None:
        words.append(f"The number is the evidence lower bound of the row in nats, a mean over "
                     f"{plural(ROW_DRAWS, 'draw')}; higher is better.")
    return words


def bound_of(found: Findings, i: int, digits: int = 4) -> str:
    """Return the lower bound of a row that is shown, or nothing where the model has none."""
    if found.shown is None or found.shown.elbo is None:
        return ""
    return number(float(found.shown.elbo[i]), digits)


def traversal_words(found: Findings) -> list[str]:
    """Say what is moved, and how far."""
    if found.codes is None or not found.traversals:
        return []
    order = "largest rate" if found.codes.rates is not None else "largest spread"
    n = found.codes.points.shape[1]
    first = f"Row {int(found.held.index[0])} is encoded and decoded again while one latent takes {PLACES} values, "
    return [
        f"{first}from the 1st to the 99th percentile over {plural(len(found.mapped.batch), 'row')}.",
        f"Shown are the {len(found.traversals)} of {n} latents with the {order}." if n > len(found.traversals) else "",
    ]


def interpolation_words(found: Findings) -> list[str]:
    """Say which points are shown."""
    if not found.paths:
        return []
    return [f"{PLACES} points on the straight line between the codes of two rows; the ends are their reconstructions."]


def rate_of(found: Findings, name: str) -> str:
    """Return the rate of a latent, where it is known."""
    if found.codes is None or found.codes.rates is None:
        return ""
    return f"{number(float(found.codes.rates[found.codes.names.index(name)]), 3)} nats"


# --- sections that several views make ---------------------------------------------------------------------------------
def reconstructions(words: list[str], blocks: list[Block]) -> Section:
    """Return the section of reconstructions."""
    return Section("reconstructions", "Reconstructions", words, blocks)


def traversals(found: Findings, words: list[str], blocks: list[Block]) -> Section:
    """Return the section of traversals; without any, it says why."""
    why = found.missing.get("traversals", NO_AXIS)
    return Section("traversals", "Latent traversals", *((words, blocks) if found.traversals else ([], [Empty(why)])))


def interpolations(found: Findings, words: list[str], blocks: list[Block]) -> Section:
    """Return the section of interpolations; without any, it says why."""
    why = found.missing.get("interpolations", NO_PAIR)
    return Section("between", "Interpolations", *((words, blocks) if found.paths else ([], [Empty(why)])))
