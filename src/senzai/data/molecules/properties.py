"""Numbers of molecules, as RDKit computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from senzai.core.errors import SettingError
from senzai.core.extras import need
from senzai.core.registry import suggestion

from . import chemistry

PROPERTIES: Mapping[str, str] = {
    "logp": "octanol-water partition, Wildman and Crippen's estimate",
    "qed": "quantitative estimate of drug-likeness, 0 to 1",
    "sa": "synthetic accessibility after Ertl and Schuffenhauer, 1 easy to 10 hard",
    "weight": "molecular weight in daltons",
    "tpsa": "topological polar surface area in square angstroms",
    "donors": "hydrogen-bond donors",
    "acceptors": "hydrogen-bond acceptors",
    "rotatable": "rotatable bonds",
    "rings": "rings",
    "atoms": "heavy atoms",
}
_PLACES = {
    "logp": ("rdkit.Chem.Crippen", "MolLogP"), "qed": ("rdkit.Chem.QED", "qed"),
    "sa": ("rdkit.Contrib.SA_Score.sascorer", "calculateScore"), "weight": ("rdkit.Chem.Descriptors", "MolWt"),
    "tpsa": ("rdkit.Chem.rdMolDescriptors", "CalcTPSA"), "donors": ("rdkit.Chem.rdMolDescriptors", "CalcNumHBD"),
    "acceptors": ("rdkit.Chem.rdMolDescriptors", "CalcNumHBA"),
    "rotatable": ("rdkit.Chem.rdMolDescriptors", "CalcNumRotatableBonds"),
    "rings": ("rdkit.Chem.rdMolDescriptors", "CalcNumRings"),
    "atoms": ("rdkit.Chem.rdMolDescriptors", "CalcNumHeavyAtoms"),
}


def computed(smiles: Sequence[str], name: str) -> np.ndarray[Any, Any]:
    """Return a number of molecules, ``(N,)``; NaN for what is none.

    Raises:
        SettingError: There is no such number.

    Example:
        >>> computed(["CCO", ""], "atoms").tolist()
        [3.0, nan]
    """
    if name not in _PLACES:
        known = list(PROPERTIES)
        raise SettingError(f"RDKit is asked for {', '.join(known)}, but got {name!r}.{suggestion(name, known)}")
    module, function = _PLACES[name]
    of: Callable[[Any], float] = getattr(need(module, extra="molecules", to="compute properties"), function)
    chem = chemistry.rdkit()
    found = (chem.MolFromSmiles(s) if s else None for s in smiles)
    return np.array([float("nan") if m is None or not m.GetNumAtoms() else float(of(m)) for m in found])
