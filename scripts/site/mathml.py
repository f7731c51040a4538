r"""A Markdown extension: formulas become MathML while the site is built.

Browsers draw MathML themselves: nothing is fetched, no script runs, no fonts are shipped, and screen readers can read
it. ``$...$`` is a formula in a line; ``$$...$$`` and the ``.. math::`` of docstrings are formulas of their own.
"""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

FENCE = re.compile(r"^\s*(```|~~~)")
MATH_ROLE = re.compile(r":math:`([^`]+)`")
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([^`]+)`")
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.S)
DIRECTIVE = re.compile(r"^(\s*)\.\. math::\s?(.*)$")
INLINE = r"(?<![\\$\w])\$(?=\S)([^$\n]+?(?:\n[^$\n]+?)?)(?<=\S)\$(?![\d$])"

FUNCTION = re.compile(r"(<mi>(?:log|exp|arg|min|max)</mi>)(?=<m(?:i|n|frac|sub|sup|over)>)")
"""A function that is followed by its argument without brackets: a small space belongs between them."""
SPELLINGS = (
    (r"\\[bB]ig[lrm]?(?=[^a-zA-Z])", ""),  # MathML's brackets grow by themselves
    (r"\\textstyle\b", ""),
    (r"\\[td]frac", r"\\frac"),
    (r"\\frac\s*(\d)\s*(\d|[A-Za-z])", r"\\frac{\1}{\2}"),
    (r"\\(mathbb|mathcal|mathbf|mathrm)\s+([A-Za-z])", r"\\\1{\2}"),
    (r"\\operatorname\*", r"\\operatorname"),
    (r"\\arg(?=\\m)", r"\\mathrm{arg}\\,"),
)
"""LaTeX that the converter does not know, and the same in commands that it does."""


class FormulaError(ValueError):
    """A formula that could not be understood."""


def mathml(source: str, *, display: bool) -> str:
    r"""Return the MathML of a formula, with its source as the text to copy.

    Args:
        source: LaTeX, without the dollars.
        display: Whether it stands on a line of its own.

    Raises:
        FormulaError: If it cannot be converted, or would show a command by its name.

    Example:
        >>> "<mfrac>" in mathml(r"\frac12 x", display=False)
        True
        >>> mathml(r"\nosuchcommand", display=False)
        Traceback (most recent call last):
        ...
        scripts.site.mathml.FormulaError: ...
    """
    text = " ".join(source.split())
    braces = re.sub(r"\\[{}]", "", text)
    if braces.count("{") != braces.count("}"):
        raise FormulaError(f"`{source}` must have as many closing braces as opening ones.")
    for pattern, plain in SPELLINGS:
        text = re.sub(pattern, plain, text)
    try:
        made = convert(text, display="block" if display else "inline")
    except Exception as e:  # the converter has no base class of its own
        raise FormulaError(f"`{source}` must be a formula that latex2mathml knows, but it says {e!r}.") from e
    unknown = re.search(r"\\[a-zA-Z]+", html.unescape(re.sub(r"<[^>]+>", " ", made)))
    if unknown:
        raise FormulaError(f"`{unknown[0]}` in `{source}` is unknown to latex2mathml. Write it with other commands.")
    made = FUNCTION.sub(r'\1<mspace width="0.17em"/>', made)
    return made.replace("<math ", f'<math alttext="{html.escape(source.strip())}" ', 1)


class _Examples(Preprocessor):
    """Examples of docstrings, which are code from ``>>>`` to the next empty line."""

    def run(self, lines: list[str]) -> list[str]:
        """Return the lines with a fence around each example."""
        out, fenced, indent = list[str](), False, None
        for line in lines:
            fenced ^= bool(FENCE.match(line))
            if indent is None and not fenced and line.lstrip().startswith(">>> "):
                indent = line[: len(line) - len(line.lstrip())]
                out += ["", f"{indent}```pycon"]
            elif indent is not None and not line.strip():
                out.append(f"{indent}```")
                indent = None
            out.append(line)
        return out if indent is None else [*out, f"{indent}```"]


class _Blocks(Preprocessor):
    """Formulas on lines of their own, and what reStructuredText is left in docstrings."""

    def run(self, lines: list[str]) -> list[str]:
        """Return the lines with formulas stored and put back after everything else is rendered."""
        text = "\n".join(self._directives(lines))
        text = MATH_ROLE.sub(lambda m: f"${m[1].strip()}$", text)
        text = ROLE.sub(lambda m: f"`{m[1].rpartition('.')[2]}`", text)
        text = DISPLAY.sub(lambda m: self._stored(m[1]), text)
        return text.split("\n")

    def _stored(self, source: str) -> str:
        return "\n\n" + self.md.htmlStash.store(f'<div class="formula">{mathml(source, display=True)}</div>') + "\n\n"

    def _directives(self, lines: list[str]) -> list[str]:
        out, rest = list[str](), list(lines)
        while rest:
            line = rest.pop(0)
            found = DIRECTIVE.match(line)
            if found is None:
                out.append(re.sub(r"^(\s*\S.*[^:\s])::$", r"\1:", line))
                continue
            source, indent = [found[2]], len(found[1])
            if not found[2].strip():
                while rest and not rest[0].strip():
                    rest.pop(0)
            while rest and rest[0].strip() and len(rest[0]) - len(rest[0].lstrip()) > indent:
                source.append(rest.pop(0).strip())
            out += ["", found[1] + self._stored("\n".join(source)).strip(), ""]
        return out


class _Inline(InlineProcessor):
    """Formulas in a line."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        """Return the MathML and what it replaces."""
        return self.md.htmlStash.store(mathml(m[1], display=False)), m.start(0), m.end(0)


class Formulas(Extension):
    """The extension, by its class."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register: after code blocks are put aside, before emphasis is looked for."""
        md.preprocessors.register(_Examples(md), "senzai-examples", 26)
        md.preprocessors.register(_Blocks(md), "senzai-formulas", 24)
        md.inlinePatterns.register(_Inline(INLINE, md), "senzai-formula", 185)


def makeExtension(**settings: Any) -> Formulas:
    """Return the extension, as Markdown asks for it."""
    return Formulas(**settings)
