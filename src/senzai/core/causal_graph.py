"""Directed graphs without cycles over named things: which of them causes which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from .errors import SettingError
from .extras import need
from .registry import suggestion

ARROW, END = ">", ";"
Edge = tuple[str, str]


@dataclass(frozen=True)
class CausalGraph:
    """Named nodes and the arrows between them, cause first; there is no way from a node back to itself.

    Args:
        nodes: Names, in the order of what they stand for.
        edges: Pairs of a cause and its effect.

    Raises:
        SettingError: An arrow is from or to something unknown, or arrows go in a circle.

    Example:
        >>> graph = CausalGraph(("bp", "age", "bmi"), (("age", "bmi"), ("bmi", "bp")))
        >>> graph.order, graph.parents("bp"), sorted(graph.below(["bmi"]))
        (('age', 'bmi', 'bp'), ('bmi',), ['bp'])
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        for name in (name for edge in self.edges for name in edge):
            if name not in self.nodes:
                raise SettingError(
                    f"A graph is over {', '.join(self.nodes[:20])}, but an arrow is from or to {name!r}."
                    f"{suggestion(name, list(self.nodes))}"
                )
        _ = self.order

    @cached_property
    def _causes(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for cause, effect in self.edges:
            if cause not in found[effect]:
                found[effect].append(cause)
        return {name: tuple(sorted(causes, key=self.nodes.index)) for name, causes in found.items()}

    def parents(self, name: str) -> tuple[str, ...]:
        """Return the direct causes of a node, in the order of nodes."""
        return self._causes[name]

    @cached_property
    def generations(self) -> tuple[tuple[str, ...], ...]:
        """Nodes by the length of the longest way to them: those without a cause, then those that need only these, ...

        Raises:
            SettingError: Arrows go in a circle.
        """
        done: set[str] = set()
        found: list[tuple[str, ...]] = []
        while len(done) < len(self.nodes):
            ready = tuple(n for n in self.nodes if n not in done and done.issuperset(self._causes[n]))
            if not ready:
                raise SettingError(
                    f"A graph of causes has no circle, but got {' > '.join(self._circle(done))}. Take an arrow out."
                )
            found.append(ready)
            done.update(ready)
        return tuple(found)

    def _circle(self, done: set[str]) -> list[str]:
        """Return one circle among nodes that are not done: each has a cause among them."""
        way = [next(n for n in self.nodes if n not in done)]
        while (cause := next(c for c in self._causes[way[-1]] if c not in done)) not in way:
            way.append(cause)
        return [*way[way.index(cause) :], cause][::-1]

    @property
    def order(self) -> tuple[str, ...]:
        """Nodes with every cause before its effects."""
        return tuple(name for generation in self.generations for name in generation)

    def below(self, names: Iterable[str]) -> set[str]:
        """Return everything that some nodes are a cause of, directly or not, without the nodes themselves."""
        start, found = set(names), set()
        for name in self.order:
            if any(cause in start or cause in found for cause in self._causes[name]):
                found.add(name)
        return found - start

    def cut(self, names: Iterable[str]) -> CausalGraph:
        """Return the graph without the arrows into some nodes: that of an intervention on them.

        Example:
            >>> CausalGraph(("a", "b", "c"), (("a", "b"), ("b", "c"))).cut(["b"]).edges
            (('b', 'c'),)
        """
        fixed = set(names)
        return CausalGraph(self.nodes, tuple(e for e in self.edges if e[1] not in fixed))

    def text(self) -> str:
        """Return the arrows as a user writes them.

        Example:
            >>> CausalGraph(("a", "b"), (("a", "b"),)).text()
            'a>b'
        """
        return END.join(f"{cause}{ARROW}{effect}" for cause, effect in self.edges)


def mentioned(text: str) -> tuple[str, ...]:
    """Return every name in a text of arrows, those that stand alone as well.

    Example:
        >>> mentioned("age > bmi > bp; sex")
        ('age', 'bmi', 'bp', 'sex')
    """
    names = (name.strip() for name in text.replace("->", ARROW).replace(ARROW, END).split(END))
    return tuple(dict.fromkeys(filter(None, names)))


def parsed(text: str) -> tuple[Edge, ...]:
    """Return the arrows that a text says: ``a>b;b>c``, or longer ways ``a>b>c``; a node may stand alone.

    Raises:
        SettingError: Something is left out.

    Example:
        >>> parsed("age > bmi > bp; sex")
        (('age', 'bmi'), ('bmi', 'bp'))
    """
    found: list[Edge] = []
    for piece in filter(None, (p.strip() for p in text.replace("->", ARROW).split(END))):
        names = [name.strip() for name in piece.split(ARROW)]
        if not all(names):
            raise SettingError(f'An arrow is written cause>effect, but got {piece!r}. Write it like "age>bmi;bmi>bp".')
        found += pairwise(names)
    return tuple(dict.fromkeys(found))


def as_text(value: Any) -> Any:
    """Return a graph that came as an object, a file or pairs as the text that a user would write; text stays itself.

    Args:
        value: A graph of networkx, the path of a GML file, pairs of names, a mapping from an effect to its causes, or
            text.

    Raises:
        SettingError: It is none of these, or the file cannot be read.

    Example:
        >>> as_text([("a", "b"), ("b", "c")]), as_text({"c": ["a", "b"]}), as_text("a>b")
        ('a>b;b>c', 'a>c;b>c', 'a>b')
    """
    if isinstance(value, Path) or (isinstance(value, str) and value.strip().lower().endswith(".gml")):
        value = _of_file(str(value).strip())
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = [(cause, effect) for effect, causes in value.items() for cause in causes]
    edges = value.edges if hasattr(value, "edges") else value
    if callable(edges):
        if hasattr(value, "is_directed") and not value.is_directed():
            raise SettingError("A graph of causes has arrows, but this one has no directions. Give a networkx.DiGraph.")
        edges = edges()
    pairs: list[Any] = list(edges) if isinstance(edges, Iterable) else [()]
    if any(not isinstance(pair, tuple | list) or len(pair) < 2 for pair in pairs):
        raise SettingError(f'A graph is text like "age>bmi", a GML file or a networkx.DiGraph, but got {value!r}.')
    return END.join(f"{pair[0]}{ARROW}{pair[1]}" for pair in pairs)


def _of_file(path: str) -> Any:
    networkx = need("networkx", extra="causal", to="read a graph from a GML file")
    try:
        return networkx.read_gml(path)
    except OSError as err:
        raise SettingError(f"A graph is read from a GML file, but {path!r} cannot be: {err.strerror}.") from err
    except networkx.NetworkXError as err:
        raise SettingError(f"A graph is read from a GML file, but {path!r} is none: {err}.") from err
