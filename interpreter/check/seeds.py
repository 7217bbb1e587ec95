"""The seeds of each stage of a chain, from `seeds: 5`, `{from: 5, n: 5}` or one of these for each stage."""

from __future__ import annotations

from functools import lru_cache

from interpreter.errors import Problem, Problems, Severity
from interpreter.source.nodes import Mapping, Node, Scalar, kind_of
from interpreter.spec.grammar import Adaptive
from interpreter.spec.names import did_you_mean
from interpreter.spec.typed import read

MAX_SEEDS = 10_000
Seeded = tuple[dict[str, tuple[int, ...]], tuple[str, ...]]


class Seeds:
    """Reads `seeds` of one entry."""

    def __init__(self, root: Mapping, problems: Problems) -> None:
        stages = root.items["stages"]
        assert isinstance(stages, Mapping)
        self.stages, self.problems = tuple(stages.items), problems

    def of(self, node: Node | None, names: list[str]) -> Seeded:
        """Stage name -> seeds for the stages `names` of a chain, and those of them that were given seeds of their own."""
        if node is None:
            return dict.fromkeys(names, (0,)), ()
        if isinstance(node, Mapping) and not set(node.items) & {"from", "n", "min", "max", "until", "alpha"}:
            return self._by_stage(node, names)
        return dict.fromkeys(names, self._range(node, "seeds")), ()

    def _by_stage(self, node: Mapping, names: list[str]) -> Seeded:
        given: dict[str, tuple[int, ...]] = {}
        known = dict.fromkeys([*self.stages, *names])
        for name, below in node.items.items():
            if name not in known:
                text, hint = f"there is no stage `{name}`", did_you_mean(name, known)
                self.problems.add(Problem("unknown-stage", text, node.keys[name], "seeds", got=name, hint=hint))
            given[name] = self._range(below, f"seeds.{name}")
        levels = tuple(name for name in names if name in given)
        current = given[levels[0]] if levels else (0,)
        out = {}
        for name in names:  # a stage that is not named goes along with the one before it
            current = given.get(name, current)
            out[name] = current
        return out, levels

    def _range(self, node: Node, path: str) -> tuple[int, ...]:
        if isinstance(node, Scalar) and type(node.value) is int and 1 <= node.value <= MAX_SEEDS:
            return _seeds(0, node.value)
        if isinstance(node, Mapping) and set(node.items) == {"from", "n"}:
            first, n = (_count(node.items[key]) for key in ("from", "n"))
            if first is not None and n is not None and 1 <= n <= MAX_SEEDS:
                return _seeds(first, n)
        if isinstance(node, Mapping) and {"min", "max"} & set(node.items):
            return self._adaptive(node, path)
        text = "seeds are a number of seeds, or where they begin and how many"
        expected = f"1 to {MAX_SEEDS}, or {{from: 5, n: 5}}"
        got = node.text if isinstance(node, Scalar) else kind_of(node)
        self.problems.add(Problem("bad-seeds", text, node.place, path, expected, got))
        return (0,)

    def _adaptive(self, node: Mapping, path: str) -> tuple[int, ...]:
        said = read(Adaptive, node, self.problems, path)
        if said is None:
            return (0,)
        text = f"adding seeds until claims are decided is not built yet: planned with the first {said.min}"
        self.problems.add(Problem("not-built-yet", text, node.place, path, severity=Severity.NOTE))
        return _seeds(0, said.min)


@lru_cache(maxsize=64)
def _seeds(first: int, n: int) -> tuple[int, ...]:
    """So many seeds; one tuple serves all arms, of which a sweep has many."""
    return tuple(range(first, first + n))


def _count(node: Node) -> int | None:
    """A whole number from 0 up, or None."""
    return node.value if isinstance(node, Scalar) and type(node.value) is int and node.value >= 0 else None
