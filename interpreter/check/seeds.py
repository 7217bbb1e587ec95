"""The seeds of each stage of a chain, from `seeds: 5`, `{from: 5, n: 5}`, `{min: 6, max: 20}` or one of these for each stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from interpreter.check.types import Growth
from interpreter.errors import Problem, Problems
from interpreter.source.nodes import Mapping, Node, Scalar, kind_of
from interpreter.spec.grammar import Adaptive
from interpreter.spec.names import did_you_mean
from interpreter.spec.typed import read

MAX_SEEDS = 10_000
_FORMS = frozenset({"from", "n", "min", "max", "until", "alpha"})
_NONE_GIVEN = (0,)


@dataclass(frozen=True, slots=True)
class Seeded:
    """Stage name -> seeds; the stages that were given seeds of their own; and how these are added to, if they are."""

    of: dict[str, tuple[int, ...]]
    levels: tuple[str, ...] = ()
    growth: Growth | None = None


def is_adaptive(node: Node | None) -> bool:
    """Whether `seeds` says for the whole chain that seeds are added as claims need them."""
    return isinstance(node, Mapping) and bool({"min", "max"} & set(node.items))


class Seeds:
    """Reads `seeds` of one entry. `only`: as many, and no more, instead of what adaptive seeds begin with."""

    def __init__(self, root: Mapping, problems: Problems, only: int | None = None) -> None:
        stages = root.items["stages"]
        assert isinstance(stages, Mapping)
        self.stages, self.problems, self.only = tuple(stages.items), problems, only

    def of(self, node: Node | None, names: list[str]) -> Seeded:
        """The seeds of the stages `names` of a chain."""
        if node is None:
            return Seeded(dict.fromkeys(names, _NONE_GIVEN))
        if isinstance(node, Mapping) and not set(node.items) & _FORMS:
            return self._by_stage(node, names)
        seeds, adaptive = self._range(node, "seeds")
        return Seeded(dict.fromkeys(names, seeds), (), self._growth(adaptive, tuple(names)))

    def _by_stage(self, node: Mapping, names: list[str]) -> Seeded:
        given: dict[str, tuple[int, ...]] = {}
        growing: dict[str, Adaptive] = {}
        known = dict.fromkeys([*self.stages, *names])
        for name, below in node.items.items():
            if name not in known:
                text, hint = f"there is no stage `{name}`", did_you_mean(name, known)
                self.problems.add(Problem("unknown-stage", text, node.keys[name], "seeds", got=name, hint=hint))
            given[name], adaptive = self._range(below, f"seeds.{name}")
            if adaptive is not None:
                growing[name] = adaptive
        levels = tuple(name for name in names if name in given)
        current = levels[0] if levels else ""
        out: dict[str, tuple[int, ...]] = {}
        along: dict[str, list[str]] = {}
        for name in names:  # a stage that is not named goes along with the one before it
            current = name if name in given else current
            out[name] = given.get(current, _NONE_GIVEN)
            along.setdefault(current, []).append(name)
        # Trials are numbered in nested order: what is added to the outermost level that varies leaves their numbers alone.
        varying = [name for name in levels if len(given[name]) > 1 or name in growing]
        for level in varying[1:]:
            if level in growing:
                text = f"seeds are added to `{level}` as claims need them, and `{varying[0]}` before it varies too"
                hint = f"one seed for `{varying[0]}`, or seeds that are added there: replicates are counted at that level"
                self.problems.add(Problem("bad-seeds", text, node.items[level].place, f"seeds.{level}", hint=hint))
        first = varying[0] if varying else ""
        growth = self._growth(growing.get(first), tuple(along.get(first, ())))
        return Seeded(out, levels, growth)

    def _growth(self, adaptive: Adaptive | None, stages: tuple[str, ...]) -> Growth | None:
        if adaptive is None:
            return None
        least, most = (self.only, self.only) if self.only is not None else (adaptive.min, adaptive.max)
        return Growth(stages, least, most, adaptive.alpha)

    def _range(self, node: Node, path: str) -> tuple[tuple[int, ...], Adaptive | None]:
        if isinstance(node, Scalar) and type(node.value) is int and 1 <= node.value <= MAX_SEEDS:
            return _seeds(0, node.value), None
        if isinstance(node, Mapping) and set(node.items) == {"from", "n"}:
            first, n = (_count(node.items[key]) for key in ("from", "n"))
            if first is not None and n is not None and 1 <= n <= MAX_SEEDS:
                return _seeds(first, n), None
        if isinstance(node, Mapping) and is_adaptive(node):
            said = read(Adaptive, node, self.problems, path)
            return (_seeds(0, self.only or said.min), said) if said is not None else (_NONE_GIVEN, None)
        text = "seeds are a number of seeds, where they begin and how many, or how few and how many claims may need"
        expected = f"1 to {MAX_SEEDS}, {{from: 5, n: 5}} or {{min: 6, max: 20}}"
        got = node.text if isinstance(node, Scalar) else kind_of(node)
        self.problems.add(Problem("bad-seeds", text, node.place, path, expected, got))
        return _NONE_GIVEN, None


@lru_cache(maxsize=64)
def _seeds(first: int, n: int) -> tuple[int, ...]:
    """So many seeds; one tuple serves all arms, of which a sweep has many."""
    return tuple(range(first, first + n))


def _count(node: Node) -> int | None:
    """A whole number from 0 up, or None."""
    return node.value if isinstance(node, Scalar) and type(node.value) is int and node.value >= 0 else None
