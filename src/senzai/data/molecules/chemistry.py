"""What RDKit and SELFIES do for the kind: parse and clean, symbols there and back, draw, and compare sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from senzai.core.extras import need
from senzai.core.random import derive

PAIRS = 2000
"""Molecules that are compared with each other, at most."""


def rdkit() -> Any:
    """Return RDKit's chemistry, which writes nothing to the terminal.

    Raises:
        MissingExtraError: It is not installed.
    """
    need("rdkit.RDLogger", extra="molecules", to="read molecules").DisableLog("rdApp.*")
    return need("rdkit.Chem", extra="molecules", to="read molecules")


def selfies() -> Any:
    """Return the package of SELFIES."""
    return need("selfies", extra="molecules", to="write molecules as symbols")


def clean(smiles: str) -> str | None:
    """Return a molecule's canonical SMILES, of its largest part; ``None`` where it is no molecule.

    Charges and stereo marks stay. A salt keeps the part with most heavy atoms, of equal ones the heaviest.

    Example:
        >>> clean("OCC"), clean("CC(=O)[O-].[Na+]"), clean("C1CC")
        ('CCO', 'CC(=O)[O-]', None)
    """
    chem = rdkit()
    found = chem.MolFromSmiles(smiles) if smiles.strip() else None
    if found is None or not found.GetNumAtoms():
        return None
    parts = chem.GetMolFrags(found, asMols=True)
    if len(parts) > 1:
        weight = need("rdkit.Chem.Descriptors", extra="molecules", to="weigh molecules").MolWt
        found = max(parts, key=lambda m: (m.GetNumHeavyAtoms(), weight(m), chem.MolToSmiles(m)))
    return str(chem.MolToSmiles(found))


def symbols_of(smiles: str) -> list[str] | None:
    """Return the SELFIES symbols of a molecule; ``None`` where it has none.

    Example:
        >>> symbols_of("C=O")
        ['[C]', '[=O]']
    """
    lib = selfies()
    try:
        return list(lib.split_selfies(lib.encoder(smiles)))
    except lib.EncoderError:
        return None


def smiles_of(symbols: Sequence[str]) -> str:
    """Return the canonical SMILES of some symbols, whatever they are; empty where they make nothing.

    Example:
        >>> smiles_of(["[C]", "[=O]", "[Branch1]"])
        'C=O'
    """
    made = selfies().decoder("".join(symbols))
    found = rdkit().MolFromSmiles(made) if made else None
    return "" if found is None else str(rdkit().MolToSmiles(found))


def drawing(smiles: str, *, width: int = 240, height: int = 180) -> str:
    """Return the structure as SVG, on no ground."""
    lib = need("rdkit.Chem.Draw.rdMolDraw2D", extra="molecules", to="draw molecules")
    drawer = lib.MolDraw2DSVG(width, height)
    drawer.drawOptions().clearBackground = False
    found = rdkit().MolFromSmiles(smiles)
    if found is not None:
        lib.PrepareAndDrawMolecule(drawer, found)
    drawer.FinishDrawing()
    return str(drawer.GetDrawingText())


# --- sets of molecules ------------------------------------------------------------------------------------------------
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

    ``valid``: share that RDKit parses. ``unique``: share of different ones among the valid. ``novel``: share of the
    different ones that are not among the known. ``internal_diversity``: one minus the mean Tanimoto similarity of pairs
    of different valid ones. ``nearest_similarity``: mean of the largest similarity to a known one. ``scaffolds``:
    cosine of the counts of Bemis-Murcko scaffolds of both sets.

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
    rng = np.random.default_rng(derive(seed, "molecules"))
    some, beside = (fingerprints(_some(rng, s)) for s in (different, sorted(set(known))))
    if len(some) > 1:
        near = similarities(some, some)
        figures["internal_diversity"] = float(1 - (near.sum() - len(some)) / (len(some) * (len(some) - 1)))
    if beside:
        figures["nearest_similarity"] = float(similarities(some, beside).max(1).mean())
        figures["scaffolds"] = cosine(scaffolds(valid), scaffolds(known))
    return figures


def _some(rng: np.random.Generator, smiles: list[str]) -> list[str]:
    return smiles if len(smiles) <= PAIRS else [smiles[i] for i in rng.permutation(len(smiles))[:PAIRS]]

