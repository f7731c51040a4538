"""Files of structures (SDF): molecules with their fields, read and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.files import replacing

from .. import texts
from ..limits import guarded, need_regular
from . import chemistry


def read(path: Path, names: Sequence[str] = ()) -> texts.Texts:
    """Return the SMILES of an SDF file, an empty text where a block cannot be read, and fields that were asked for.

    Raises:
        InputError: There is no structure in it.
    """
    chem = chemistry.rdkit()
    with guarded(need_regular(path)):
        found = list(chem.SDMolSupplier(str(path))) if path.stat().st_size else []
    if not found:
        raise InputError(f"An SDF file holds structures, but {str(path)!r} has none.")
    smiles = ["" if m is None else str(chem.MolToSmiles(m)) for m in found]
    marks: dict[str, Any] = {}
    for name in names:
        column = [m.GetProp(name) if m is not None and m.HasProp(name) else None for m in found]
        if any(value is not None for value in column):
            marks[name] = np.array(column, dtype=object)
    return texts.Texts(smiles, "file", marks=marks)


def write(smiles: Sequence[str], path: Path, fields: Mapping[str, Sequence[Any]] | None = None) -> None:
    """Write molecules drawn flat, with a field for each name; what is no molecule is an empty structure.

    Args:
        smiles: Molecules.
        path: Where to.
        fields: Values of each molecule, by name.
    """
    chem = chemistry.rdkit()
    from rdkit.Chem import rdDepictor

    with replacing(path) as place:
        writer = chem.SDWriter(str(place))
        for i, text in enumerate(smiles):
            molecule = chem.MolFromSmiles(text or "") or chem.MolFromSmiles("")
            rdDepictor.Compute2DCoords(molecule)
            for name, values in (fields or {}).items():
                molecule.SetProp(name, _text(values[i]))
            writer.write(molecule)
        writer.close()


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
