"""Modules that have a new name: the old one works for one version more, with a warning that says the new one."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

RENAMED: Final = {
    "core.quiet": "core.warning_filters",
    "core.steering": "core.local_random",
    "dist": "distributions",
    "dist.around": "distributions.wrapping",
    "dist.bends": "distributions.flow_steps",
    "dist.full": "distributions.full_normal",
    "distributions.unfold": "distributions.copies",
    "distributions.variates": "distributions.gamma_poisson",
    "face": "runs",
    "face.after": "runs.training.after_fit",
    "face.augment": "runs.verbs.augment",
    "face.comparing": "runs.verbs.compare",
    "face.diagnosing": "runs.verbs.diagnose",
    "face.filling": "runs.verbs.impute",
    "face.given": "runs.verbs.given",
    "face.judging": "runs.verbs.evaluate",
    "face.scoring": "runs.verbs.score",
    "face.streams": "runs.verbs.stream",
    "parts.autoregressive": "parts.flow_steps",
    "parts.bent": "parts.posteriors.flow",
    "parts.borrowed": "parts.priors.aggregate",
    "parts.chained": "parts.likelihoods.autoregressive",
    "parts.chains": "parts.priors.autoregressive",
    "parts.code_priors": "parts.priors.codes",
    "parts.codebooks": "parts.quantisers.codebooks",
    "parts.coders": "parts.quantisers.coders",
    "parts.committed": "parts.posteriors.collapse_free",
    "parts.flows": "parts.priors.flow",
    "parts.grids": "parts.quantisers.scalar",
    "parts.matching": "parts.priors.flow_matching",
    "parts.momenta": "parts.posteriors.hamiltonian",
    "parts.placed": "parts.priors.manifold",
    "parts.refined": "parts.posteriors.semi_amortised",
    "parts.resampled": "parts.priors.resampled",
    "parts.slopes": "parts.posteriors.gradients",
    "parts.two_stage": "parts.priors.two_stage",
}
"""Old name and new name below ``senzai``. A module of a renamed room that kept its own name follows its room."""


def new_name(old: str) -> str | None:
    """Return the name that an old one was changed to.

    Example:
        >>> new_name("senzai.dist.mixed"), new_name("senzai.parts.bent"), new_name("senzai.core")
        ('senzai.distributions.mixed', 'senzai.parts.posteriors.flow', None)
    """
    package, _, rest = old.partition(".")
    if rest in RENAMED:
        return f"{package}.{RENAMED[rest]}"
    room, _, inside = rest.partition(".")
    return f"{package}.{RENAMED[room]}.{inside}" if inside and room in RENAMED else None


def old_attributes(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a module whose classes have new names; the old ones work with a warning.

    Args:
        module: Its name.
        names: Old name to new one; ``other.module:Name`` where it lies elsewhere now.

    Example:
        >>> import warnings
        >>> get = old_attributes("senzai.core.registry", {"Names": "Registry"})
        >>> with warnings.catch_warnings(record=True):
        ...     warnings.simplefilter("always")
        ...     get("Names").__name__
        'Registry'
    """

    def found(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        where, _, new = names[name].rpartition(":")
        warnings.warn(
            f"`{module}.{name}` is called `{where or module}.{new}` now, and the old name ends with version 0.3. "
            f"Use `{new}`.",
            DeprecationWarning, stacklevel=2,
        )
        return getattr(importlib.import_module(where or module), new)

    return found


def old_method(old: str, new: str) -> Callable[..., Any]:
    """Return a method that has a new name under its old one; it works with a warning.

    Args:
        old: Its old name.
        new: Its new name.

    Example:
        >>> import warnings
        >>> class Ramp:
        ...     def factor(self, step):
        ...         return step / 10
        ...     at = old_method("at", "factor")
        >>> with warnings.catch_warnings(record=True) as found:
        ...     warnings.simplefilter("always")
        ...     Ramp().at(5), str(found[0].message)
        (0.5, '`Ramp.at` is called `Ramp.factor` now, and the old name ends with version 0.3. Use `factor`.')
    """

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = type(self).__name__
        warnings.warn(
            f"`{name}.{old}` is called `{name}.{new}` now, and the old name ends with version 0.3. Use `{new}`.",
            DeprecationWarning, stacklevel=2,
        )
        return getattr(self, new)(*args, **kwargs)

    method.__doc__ = f"Old name of :meth:`{new}`."
    return method


class _Loader(Loader):
    def __init__(self, name: str) -> None:
        self.name = name

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the empty one that was made for the old name."""
        sys.modules[module.__name__] = importlib.import_module(self.name)


class OldNames(MetaPathFinder):
    """Finds modules by their old names; first of all, since a renamed room's folder would be searched otherwise."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the module is now, with a warning; ``None`` for other modules."""
        if not name.startswith("senzai."):
            return None
        new = new_name(name)
        if new is None or importlib.util.find_spec(new) is None:
            return None
        warnings.warn(
            f"`{name}` is called `{new}` now, and the old name ends with version 0.3. Import `{new}`.",
            DeprecationWarning, stacklevel=2,
        )
        return ModuleSpec(name, _Loader(new), is_package=True)


def install() -> None:
    """Let old names be found in this process."""
    if not any(isinstance(f, OldNames) for f in sys.meta_path):
        sys.meta_path.insert(0, OldNames())
