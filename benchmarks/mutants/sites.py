"""Where cosmic-ray's operators can change the code, and the changes drawn from there."""

from __future__ import annotations

import difflib
import random
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

NEEDS_NAMES = ("core/VariableReplacer", "core/VariableInserter")  # operators that are told which variables to change
OPERATED = {
    "operator", "keyword", "number", "comparison", "factor", "not_test", "if_stmt", "while_stmt", "assert_stmt", "test",
    "except_clause", "decorator", "for_stmt",
}  # fmt: skip
BINARY = {"arith_expr", "term", "expr", "and_expr", "xor_expr", "shift_expr", "power"}
TYPES = {"None", "int", "str", "float", "bool", "bytes", "list", "dict", "set", "tuple", "object", "complex", "type"}
TYPING_DECORATORS = {"final", "override", "overload"}
COMPOUND = {"if_stmt", "while_stmt", "for_stmt", "with_stmt", "try_stmt", "funcdef", "classdef", "decorated"}


@dataclass(frozen=True)
class Mutant:
    """One change: what an operator makes of one place of a file."""

    file: str  # from the root of the repository
    where: str  # function or class
    line: int
    lines: tuple[int, int]  # of the statement, or of its header
    operator: str
    occurrence: int  # the operator's count in this file
    before: str
    after: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What stays when lines move."""
        return self.file, self.where, self.before, self.after

    def source(self, root: Path) -> str:
        """Return the file's text with the change in it."""
        return changed((root / self.file).read_text(encoding="utf-8"), self.operator, self.occurrence)

    def told(self) -> dict[str, Any]:
        return asdict(self)


@cache
def operators() -> dict[str, Any]:
    """Return cosmic-ray's operators by name."""
    return {name: get_operator(name)() for name in operator_names() if name not in NEEDS_NAMES}


def changed(source: str, operator: str, occurrence: int) -> str:
    """Return the source after one change."""
    return mutate_code(source, operators()[operator], occurrence) or source


def kind_of(operator: str) -> str:
    """Return what an operator replaces: ``Add`` for ``Add_Sub``."""
    words = operator.split("/")[-1].split("_")
    return "Not" if words[1:2] == ["Delete"] and words[2] == "Not" else "_".join(words[:2])


# --- places that no test could or should notice ---------------------------------------------------------------------
def ancestors(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each ancestor with the child that leads to the node."""
    while node.parent is not None:
        yield node.parent, node
        node = node.parent


def is_annotation(node: Any) -> bool:
    """Say whether a node is part of an annotation, or of a union of types."""
    for parent, child in ancestors(node):
        place = parent.children.index(child)
        if parent.type == "annassign" and place == 1:
            return True
        if parent.type == "tfpdef" and place == 2:
            return True
        if parent.type == "funcdef" and parent.annotation is child:
            return True
    return getattr(node, "value", "") == "|" and node.parent.type == "expr" and all(
        is_type(part) for part in node.parent.children[::2]
    )  # fmt: skip


def is_type(node: Any) -> bool:
    """Say whether an operand of ``|`` is a type, by its name."""
    names = re.findall(r"\w+", re.sub(r"\[.*", "", node.get_code(include_prefix=False), flags=re.DOTALL))
    return bool(names) and (names[-1] in TYPES or (names[-1][:1].isupper() and not names[-1].isupper()))


def is_message(node: Any) -> bool:
    """Say whether a node stands in the text of an error or a warning."""
    inside = False
    for parent, _ in ancestors(node):
        inside = inside or parent.type == "fstring"
        code = parent.get_code(include_prefix=False)[:60]
        if inside and (parent.type == "raise_stmt" or re.match(r"[\w.]*(Error|warn)\(", code)):
            return True
    return False


def is_left_out(node: Any) -> bool:
    """Say whether a node is typing, a message, ``__all__`` or under ``if TYPE_CHECKING``."""
    if node.type == "operator" and node.parent.type not in BINARY | {"factor", "comparison"}:
        return True  # a star of a signature or of a display is no operator
    if node.type == "decorator" and node.children[1].get_code().strip().split(".")[-1] in TYPING_DECORATORS:
        return True
    for parent, _ in [(node, node), *ancestors(node)]:
        if parent.type == "if_stmt" and "TYPE_CHECKING" in parent.children[1].get_code():
            return True
        if parent.type == "expr_stmt" and parent.children[0].get_code().strip() == "__all__":
            return True
    return is_annotation(node) or is_message(node)


# --- sites and samples ----------------------------------------------------------------------------------------------
def statement_lines(node: Any) -> tuple[int, int]:
    """Return the first and the last line of the statement around a node, or of the header of a compound one."""
    for parent, child in [(node, node), *ancestors(node)]:
        if parent.type == "simple_stmt":
            return parent.start_pos[0], parent.get_last_leaf().start_pos[0]
        if parent.type in COMPOUND:
            first = child if parent.type == "decorated" or (child is not node and parent.type == "try_stmt") else parent
            ends = [c.start_pos[0] for c in parent.children if c.type == "operator" and c.value == ":"]
            after = [e for e in ends if e >= node.start_pos[0]]
            return min(first.start_pos[0], node.start_pos[0]), after[0] if after else node.end_pos[0]
    return node.start_pos[0], node.end_pos[0]


def name_of_scope(node: Any) -> str:
    """Return the dotted name of the function or class around a node."""
    names = [parent.name.value for parent, _ in ancestors(node) if parent.type in ("funcdef", "classdef")]
    return ".".join(reversed(names))


Site = tuple[str, str, tuple[int, int]]


def sites_of(root: Path, file: str) -> dict[Site, list[tuple[str, int, Any]]]:
    """Return a file's sites: what each operator of one kind can make of one place."""
    counts: dict[str, int] = defaultdict(int)
    found: dict[Site, list[tuple[str, int, Any]]] = defaultdict(list)
    for node in ast_nodes(get_ast((root / file).read_text(encoding="utf-8"))):
        if node.type not in OPERATED:
            continue
        left_out = None
        for name, operator in operators().items():
            for start, _ in operator.mutation_positions(node):
                if left_out is None:
                    left_out = is_left_out(node)
                if not left_out:
                    found[file, kind_of(name), start].append((name, counts[name], node))
                counts[name] += 1
    return found


def files_of(root: Path, rooms: tuple[str, ...]) -> list[str]:
    """Return the files of the rooms."""
    return sorted(str(p.relative_to(root)) for room in rooms for p in (root / "src" / "senzai" / room).rglob("*.py"))


def mutant_of(root: Path, file: str, operator: str, occurrence: int, node: Any) -> Mutant | None:
    """Return one change as before and after, or nothing where it is no Python."""
    text = (root / file).read_text(encoding="utf-8")
    try:
        new = changed(text, operator, occurrence)
    except AttributeError:  # the tool does not replace an exception with a dotted name
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # `is` with a literal, which is the linter's to find
            compile(new, file, "exec", dont_inherit=True)
    except (SyntaxError, SyntaxWarning):
        return None
    lines = [x for x in difflib.ndiff(text.splitlines(), new.splitlines()) if x[:2] in ("- ", "+ ")]
    before, after = ("\n".join(x[2:].strip() for x in lines if x[0] == sign).strip() for sign in "-+")
    if " ".join(before.split()) == " ".join(after.split()):
        return None
    place = node.start_pos[0]
    return Mutant(file, name_of_scope(node), place, statement_lines(node), operator, occurrence, before, after)


def sample(root: Path, rooms: tuple[str, ...], n: int, seed: int) -> tuple[int, list[Mutant]]:
    """Return how many sites there are, and ``n`` changes: sites drawn without return, of each one of its changes."""
    sites: dict[Site, list[tuple[str, int, Any]]] = {}
    for file in files_of(root, rooms):
        sites |= sites_of(root, file)
    rng, drawn = random.Random(seed), []
    for site in rng.sample(sorted(sites), len(sites)):
        operator, occurrence, node = rng.choice(sites[site])
        if (found := mutant_of(root, site[0], operator, occurrence, node)) is not None:
            drawn.append(found)
        if len(drawn) == n:
            break
    return len(sites), drawn
