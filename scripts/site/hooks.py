"""What MkDocs calls while it builds the site: pages made from the code, links to the repository, checks.

The pages of the reference are made for every module that there is, so that there is no list to forget.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PICTURES = ROOT / "build" / "gallery"
LEFT_OUT = ("templates", "__main__")
FROM_ROOT = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages that lie beside the README, and their names in the site."""
LINK = re.compile(r"\[([^\]\n]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(((?:\.\./)*gallery/[\w-]+\.(?:png|svg))\)")
OUTSIDE = re.compile(r"https?://(?!www\.w3\.org/)[^\"'\s)]+")

log = logging.getLogger("mkdocs.senzai")


def modules() -> Iterator[str]:
    """Yield the name of every public module, a package before what is in it."""
    for path in sorted((SOURCE / "senzai").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(p in LEFT_OUT or p.startswith("_") for p in parts):
            yield ".".join(parts)


def page_of(module: str) -> str:
    """Return where the page of a module lies.

    Example:
        >>> page_of("senzai.data.kind"), page_of("senzai.data")
        ('reference/data/kind.md', 'reference/data/index.md')
    """
    below = module.split(".")[1:]
    is_package = (SOURCE / module.replace(".", "/")).is_dir()
    return "/".join(["reference", *below, "index.md"] if is_package else ["reference", *below[:-1], f"{below[-1]}.md"])


def reference_nav(names: list[str], parent: str = "senzai") -> list[Any]:
    """Return the modules as a tree for the navigation."""
    depth = parent.count(".") + 1
    entries: list[Any] = [page_of(parent)]
    for name in (n for n in names if n.startswith(f"{parent}.") and n.count(".") == depth):
        is_package = page_of(name).endswith("/index.md")
        entries.append({name.rpartition(".")[2]: reference_nav(names, name) if is_package else page_of(name)})
    return entries


def _there(entry: Any, docs: Path) -> Any:
    """Return an entry of the navigation, or ``None`` where its page is optional and not there."""
    if isinstance(entry, dict):
        (title, value), = entry.items()
        kept = _there(value, docs)
        return None if kept is None else {title: kept}
    if isinstance(entry, list):
        return [k for k in (_there(e, docs) for e in entry) if k is not None] or None
    return entry if entry in FROM_ROOT.values() or entry not in OPTIONAL or (docs / entry).is_file() else None


OPTIONAL = ("serving.md", "studio.md", "exporting.md", "sharing.md", "tracking.md", "tuning.md")
"""Pages that may be absent; any other page that the navigation names has to be there."""


def leaves(nav: list[Any]) -> Iterator[str]:
    """Yield the pages that a navigation names.

    Example:
        >>> list(leaves(["index.md", {"Guides": ["how-to.md", {"Verbs": "verbs.md"}]}]))
        ['index.md', 'how-to.md', 'verbs.md']
    """
    for entry in nav:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from leaves(value) if isinstance(value, list) else [value]


def complete(nav: list[Any], docs: Path) -> list[Any]:
    """Return a navigation without optional pages that are not there, and with pages that it does not name.

    A page right below ``docs/`` that has no place of its own becomes one of the guides, under its own title.
    """
    kept = [e for e in (_there(entry, docs) for entry in nav) if e is not None]
    named = set(leaves(kept))
    for entry in kept:
        if isinstance(entry, dict) and "Guides" in entry:
            entry["Guides"] = [*entry["Guides"], *(p.name for p in sorted(docs.glob("*.md")) if p.name not in named)]
    return kept


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation, and put the reference into it."""
    nav = complete(config.nav or [], Path(config.docs_dir))
    config.nav = [*nav, {"Reference": reference_nav(list(modules()))}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference, those beside the README, and the pictures of the gallery."""
    names = list(modules())
    for name in names:
        files.append(File.generated(config, page_of(name), content=reference_page(name, names)))
    for source, page in FROM_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for picture in sorted(PICTURES.glob("*.*")) if PICTURES.is_dir() else ():
        files.append(File.generated(config, f"gallery/{picture.name}", content=picture.read_bytes()))
    return files


def reference_page(name: str, names: list[str]) -> str:
    """Return the page of a module: what its docstrings say, and links to the modules in it."""
    inside = [n for n in names if n.rpartition(".")[0] == name]
    here = page_of(name)
    lines = [f"# {name}", "", f"::: {name}", "    options:", "      show_root_heading: false", ""]
    if inside:
        lines += ["## Modules", ""]
        lines += [f"- [{n}]({Path(page_of(n)).relative_to(Path(here).parent)})" for n in inside]
    return "\n".join(lines) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository into their names, and pictures that were not made into a note."""
    here = Path(page.file.src_uri).parent
    is_root = page.file.src_uri in FROM_ROOT.values()

    def link(found: re.Match[str]) -> str:
        text, target = found[1], found[2].partition("#")
        path = target[0].removeprefix("docs/") if is_root else target[0]
        path = {**FROM_ROOT, **{f"../{k}": v for k, v in FROM_ROOT.items()}}.get(path, path)
        if is_root:
            return f"[{text}]({path}{target[1]}{target[2]})" if (ROOT / "docs" / path).exists() else text
        beyond = (ROOT / "docs" / here / path).resolve()
        in_site = beyond.is_relative_to(ROOT / "docs") or files.get_file_from_path(str(here / path))
        return f"[{text}]({path}{target[1]}{target[2]})" if in_site else text

    def picture(found: re.Match[str]) -> str:
        name = found[2].rpartition("/")[2]
        return found[0] if (PICTURES / name).is_file() else f"*({found[1]}: made by `scripts/gallery`.)*"

    return LINK.sub(link, PICTURE.sub(picture, markdown))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the language of Japanese pages, and refuse a page that would fetch something from elsewhere."""
    if page.file.src_uri.startswith("ja/"):
        output = output.replace('<html lang="en"', '<html lang="ja"', 1)
    for tag in re.findall(r"<(?:script|img|iframe|source|link rel=\"(?:stylesheet|preload|icon)\")[^>]*>", output):
        if OUTSIDE.search(tag):
            log.warning("%s would fetch from elsewhere: %s", page.file.src_uri, tag[:200])
    return output


def on_startup(command: str, dirty: bool) -> None:
    """Let pages be rendered with the code of this copy, whatever else is installed."""
    if str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
