"""Where a value stands, in words: a line of a page, the `set` or the sweep of an arm, a profile, or nowhere."""

from __future__ import annotations

from interpreter.errors import PageError, Place
from interpreter.source.nodes import Mapping, walk
from interpreter.spec.library import Library

_SWEEPS = ("vary", "zip", "points", "one_at_a_time")


class Origins:
    """Tells places of the pages of one library; `own` is the file that needs no name."""

    def __init__(self, library: Library, own: str = "") -> None:
        self.library, self.own = library, own
        self._pages: dict[str, dict[tuple[int, int], str]] = {}

    def words(self, place: Place | None) -> str:
        """`specs/2024-06-28.yaml:16`, `profile laptop, line 44`, `set of arm slow, line 14`; `default` without a place."""
        if place is None:
            return "default"
        said = self._changed_by(place)
        if not said:
            return f"{place.file}:{place.line}"
        at = f"line {place.line}" if place.file == self.own else f"{place.file}:{place.line}"
        return f"{said}, {at}"

    def _changed_by(self, place: Place) -> str:
        """What changed the value that stands at `place`, "" where it is a definition's own."""
        steps = self._paths(place.file).get((place.line, place.column), "").split(".")
        if len(steps) < 4 or steps[0] != "entries":
            return ""
        if steps[2] == "profiles":
            return f"profile {steps[3]}"
        if steps[2] == "arms" and len(steps) > 4:
            if steps[4] == "set":
                return f"set of arm {steps[3]}"
            if steps[4] in _SWEEPS:
                return f"sweep of arm {steps[3]}"
        return ""

    def _paths(self, file: str) -> dict[tuple[int, int], str]:
        """What stands where in a page: (line, column) -> dotted path, the longest of those that begin there."""
        if file not in self._pages:
            found: dict[tuple[int, int], str] = {}
            try:
                tree = self.library.page(self.library.project.root / file).tree
            except PageError:
                tree = Mapping(Place(file, 1, 1), {}, {})
            for path, node in walk(tree):
                found[node.place.line, node.place.column] = path
                if isinstance(node, Mapping):
                    for key, place in node.keys.items():
                        found[place.line, place.column] = f"{path}.{key}".lstrip(".")
            self._pages[file] = found
        return self._pages[file]
