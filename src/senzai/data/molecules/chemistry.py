"""What RDKit and SELFIES do for the kind: parse and clean, symbols there and back, draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from senzai.core.extras import need


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
