"""What is said of sets of new molecules beside those that were learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from senzai.core.extras import need
from senzai.core.random import derive

from .chemistry import clean, rdkit
from .properties import computed

PAIRS = 2000
"""Molecules that are compared with each other, at most."""
COMPARED = ("logp", "qed", "sa", "weight")
"""Properties whose distributions are compared."""
UNIQUE = {"unique_1k": 1000, "unique_10k": 10_000}


def fingerprints(smiles: Sequence[str]) -> list[Any]:
    """Return Morgan fingerprints of radius 2 with 2,048 bits."""
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    return [make.GetFingerprint(rdkit().MolFromSmiles(s)) for s in smiles]


def similarities(a: Sequence[Any], b: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return Tanimoto similarities of fingerprints, ``(len(a), len(b))``."""
    from rdkit import DataStructs

    return np.array([DataStructs.BulkTanimotoSimilarity(one, list(b)) for one in a])


def scaffolds(smiles: Sequence[str]) -> Counter[str]:
    """Return how often each Bemis-Murcko scaffold occurs; chains have the empty one."""
    lib = need("rdkit.Chem.Scaffolds.MurckoScaffold", extra="molecules", to="find scaffolds")
    return Counter(str(lib.MurckoScaffoldSmiles(smiles=s)) for s in smiles)


def fragments(smiles: Sequence[str]) -> Counter[str]:
    """Return how often each piece between BRICS bonds occurs."""
    lib = need("rdkit.Chem.BRICS", extra="molecules", to="break molecules into fragments")
    chem = rdkit()
    broken = (chem.MolToSmiles(lib.BreakBRICSBonds(chem.MolFromSmiles(s))) for s in smiles)
    return Counter(piece for whole in broken for piece in whole.split("."))


def passes_pains(smiles: Sequence[str]) -> float:
    """Return the share of molecules without a pattern that interferes with assays, of RDKit's catalogue PAINS."""
    lib = need("rdkit.Chem.FilterCatalog", extra="molecules", to="look for patterns")
    catalogue = lib.FilterCatalog(lib.FilterCatalogParams.FilterCatalogs.PAINS)
    return float(np.mean([not catalogue.HasMatch(rdkit().MolFromSmiles(s)) for s in smiles]))


def frechet_chemnet(made: Sequence[str], known: Sequence[str]) -> float:
    """Return the Fréchet ChemNet distance of two sets of molecules, with the network of the package `fcd`.

    It means something for 5,000 molecules a set and more; with fewer it is too large.

    Reference:
        Fréchet ChemNet Distance: A Metric for Generative Models for Molecules in Drug Discovery (Preuer et al., 2018).
        https://arxiv.org/abs/1803.09518

    Raises:
        MissingExtraError: The package is not installed.
    """
    lib = need("fcd", extra="fcd", to="compute the Fréchet ChemNet distance")
    return float(lib.get_fcd(list(made), list(known)))


def cosine(a: Counter[str], b: Counter[str]) -> float:
    """Return the cosine of two vectors of counts.

    Example:
        >>> cosine(Counter(a=1, b=1), Counter(a=1))
        0.7071067811865475
    """
    top = sum(n * b[k] for k, n in a.items())
    return float(top / np.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values())))


def set_figures(made: Sequence[str], known: Sequence[str], *, seed: int = 0) -> dict[str, float]:
    r"""Return what is usually said of new molecules beside those that were learned from.

    ``valid``: share that RDKit parses. ``unique``: share of different ones among the valid; ``unique_1k`` and
    ``unique_10k`` among the first 1,000 and 10,000 valid ones, where there are so many. ``novel``: share of the
    different ones that are not among the known. ``internal_diversity``: one minus the mean Tanimoto similarity of pairs
    of different valid ones; ``internal_diversity_2``: one minus the root of the mean of their squares.
    ``nearest_similarity``: mean of the largest similarity to a known one. ``fragments`` and ``scaffolds``: cosine of
    the counts of BRICS fragments and of Bemis-Murcko scaffolds of both sets. ``passes_pains``: share without a pattern
    of RDKit's catalogue PAINS, which is a part of what MOSES filters by. ``distance_logp`` and others: Wasserstein
    distance of the distributions of a property, in its unit.

    Reference:
        Molecular Sets (MOSES): A Benchmarking Platform for Molecular Generation Models (Polykovskiy et al., 2020).
        https://arxiv.org/abs/1811.12823

    Args:
        made: New molecules as SMILES; an empty text is none.
        known: Molecules that were learned from, canonical.
        seed: Which of very many are compared.

    Example:
        >>> found = set_figures(["CCO", "CCO", "CC", "C1CC", ""], ["CC", "CCC"])
        >>> found["valid"], round(found["unique"], 3), found["novel"]
        (0.6, 0.667, 0.5)
    """
    valid = [s for s in (clean(m) for m in made) if s is not None]
    different = sorted(set(valid))
    if not different:
        return {"valid": 0.0}
    figures = {
        "valid": len(valid) / len(made), "unique": len(different) / len(valid),
        "novel": len(set(different) - set(known)) / len(different),
    }
    figures |= {name: len(set(valid[:n])) / n for name, n in UNIQUE.items() if len(valid) >= n}
    rng = np.random.default_rng(derive(seed, "molecules"))
    some, beside = _some(rng, different), _some(rng, sorted(set(known)))
    prints = fingerprints(some)
    if len(some) > 1:
        near = similarities(prints, prints)
        pairs = len(some) * (len(some) - 1)
        figures["internal_diversity"] = float(1 - (near.sum() - len(some)) / pairs)
        figures["internal_diversity_2"] = float(1 - np.sqrt(((near**2).sum() - len(some)) / pairs))
    figures["passes_pains"] = passes_pains(some)
    if beside:
        figures["nearest_similarity"] = float(similarities(prints, fingerprints(beside)).max(1).mean())
        figures["scaffolds"] = cosine(scaffolds(valid), scaffolds(known))
        ours, theirs = _some(rng, valid), _some(rng, list(known))
        figures["fragments"] = cosine(fragments(ours), fragments(theirs))
        figures |= {f"distance_{name}": distance(computed(ours, name), computed(theirs, name)) for name in COMPARED}
    return figures


def distance(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Return the Wasserstein distance of two sets of numbers.

    Example:
        >>> distance(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
        2.0
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(a[np.isfinite(a)], b[np.isfinite(b)]))


def _some(rng: np.random.Generator, smiles: list[str]) -> list[str]:
    return smiles if len(smiles) <= PAIRS else [smiles[i] for i in rng.permutation(len(smiles))[:PAIRS]]
