"""Where a fit's weights come from, as `start` says it; and the reading of references to results."""

from __future__ import annotations

from typing import Literal

from interpreter.check.types import Origin
from interpreter.errors import Place, Problem, Problems
from interpreter.source.nodes import Mapping, Node
from interpreter.spec.names import ResultRef, result_ref, wrong_checkpoint
from interpreter.spec.page import PageText
from interpreter.spec.stages import Start


class Origins:
    """Reads the `start` of stages of one page."""

    def __init__(self, page: PageText, problems: Problems) -> None:
        self.page, self.problems = page, problems

    def read(self, node: Node | None, said: Literal["random"] | Start | None, path: str) -> Origin | None:
        """The origin that `said`, written at `node`, means; None with what is wrong."""
        if said is None:
            return Origin("previous")
        assert node is not None
        if said == "random":
            return Origin("random")
        assert isinstance(said, Start) and isinstance(node, Mapping)
        if said.file is not None:
            renamed = tuple(sorted((said.map or {}).items()))
            return Origin("file", said.take, file=said.file, sha256=said.sha256 or "", map=renamed, place=node.place)
        assert said.source is not None
        place = node.items["from"].place
        ref = self.result(said.source, place, f"{path}.start.from")
        if ref is None:
            return None
        if "*" in (ref.point, ref.checkpoint):
            text = "a start is one checkpoint of one arm"
            hint = "to go on from each point, begin the arm's chain with it"
            self.problems.add(Problem("bad-reference", text, place, f"{path}.start.from", got=said.source, hint=hint))
            return None
        arm = f"{ref.arm}[{ref.point}]" if ref.point else ref.arm
        entry = f"{ref.date}/{ref.entry}" if ref.entry else ""
        return Origin("result", said.take, entry, arm, ref.stage, ref.checkpoint, said.new_channels, place=place)

    def result(self, text: str, place: Place, path: str) -> ResultRef | None:
        """`text` as a result of this page's day or an earlier one; None with what is wrong."""
        ref = result_ref(text)
        if ref is None:
            expected = "stage@best, arm[point].stage@last or DATE/entry/arm.stage@best"
            wrong, hint = wrong_checkpoint(text)
            told = f"there is no checkpoint `{wrong}`" if wrong else "this names no checkpoint"
            self.problems.add(Problem("bad-reference", told, place, path, expected, wrong or text, hint))
            return None
        if ref.date > self.page.date:
            self.problems.add(later(text, ref.date, self.page.date, place, path))
            return None
        return ref


def later(text: str, date: str, own: str, place: Place, path: str = "") -> Problem:
    """A reference to a day after the page's own."""
    message = f"a page refers to its own date or an earlier one; {date} is after {own}"
    return Problem("later-reference", message, place, path, got=text)
