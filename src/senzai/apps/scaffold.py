"""A small, installable, tested package to start from: a part, a recipe, a kind or a verb of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from ..core.errors import OutputError, SettingError
from ..core.files import replacing_folder, user_path

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True)
class Template:
    """What can be begun.

    Args:
        title: One line about the package.
        use: How it is used once it is installed.
        hyphens: Whether its name has hyphens where a name of Python has underscores.
    """

    title: str
    use: str
    hyphens: bool = False


TEMPLATES: Final = {
    "part": Template("A prior for senzai.", "senzai fit digits --out runs/new --set prior={{name}}"),
    "recipe": Template("A recipe for senzai.", "senzai fit digits --out runs/new --recipe {{name}}", hyphens=True),
    "kind": Template("A kind of data for senzai.", "senzai fit rows.{{name}} --out runs/new"),
    "verb": Template("A verb for senzai.", "senzai {{command}} RUN DATA"),
}
"""By the word that stands in ``senzai new WORD NAME``."""


def write_package(what: str, name: str, folder: str | Path | None = None) -> Path:
    """Write a package to start from, and return its folder.

    Args:
        what: One of :data:`TEMPLATES`.
        name: What the part, recipe, kind or verb is to be called.
        folder: A new folder; by default ``senzai-NAME`` where one is.

    Raises:
        SettingError: There is no such template, or the name cannot be one.
        OutputError: The folder exists, or cannot be written.

    Example:
        >>> import tempfile
        >>> made = write_package("part", "wide_normal", Path(tempfile.mkdtemp()) / "new")
        >>> sorted(str(p.relative_to(made)) for p in made.rglob("*") if p.is_file())
        ['README.md', 'pyproject.toml', 'src/senzai_wide_normal/__init__.py', 'tests/test_wide_normal.py']
    """
    if what not in TEMPLATES:
        raise SettingError(f"What a package adds is one of {', '.join(TEMPLATES)}, but got {what!r}. Choose one.")
    if not NAME.fullmatch(name):
        raise SettingError(
            f"A name is lower-case letters, digits and - or _ between them, but got {name!r}. For example wide_normal."
        )
    words = _words(what, name)
    target = user_path(folder or words["package"], output=True)
    if target.exists():
        raise OutputError(f"A package gets a new folder, but {str(target)!r} exists. Name another one: --out FOLDER")
    with replacing_folder(target) as tmp:
        for place, text in _texts(what, words).items():
            (tmp / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp / place).write_text(text, encoding="utf-8")
    return target


def _words(what: str, name: str) -> dict[str, str]:
    """Return what stands for each placeholder of the templates."""
    plain, hyphened = name.replace("-", "_"), name.replace("_", "-")
    return {
        "name": hyphened if TEMPLATES[what].hyphens else plain, "function": plain, "setting": f"{plain}_components",
        "Name": "".join(word.capitalize() for word in plain.split("_")), "package": f"senzai-{hyphened}",
        "module": f"senzai_{plain}", "command": hyphened, "title": TEMPLATES[what].title, "use": TEMPLATES[what].use,
    }


def _texts(what: str, words: dict[str, str]) -> dict[str, str]:
    """Return the text of every file by its place in the folder."""
    return {
        "pyproject.toml": _filled("pyproject", words), "README.md": _filled("readme", words),
        f"src/{words['module']}/__init__.py": _filled(what, words),
        f"tests/test_{words['function']}.py": _filled(f"test_{what}", words),
    }


def _filled(template: str, words: dict[str, str]) -> str:
    text = (files(__package__) / "templates" / f"{template}.txt").read_text(encoding="utf-8")
    for _ in range(2):  # what is filled in may have placeholders of its own
        text = re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], text)
    return text
