"""The conclusion, filled in: {{ verdict.NAME }} and {{ measure.ARM.NAME }} become what was computed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from interpreter.errors import ReportError
from interpreter.plan.points import select
from interpreter.report.statistics import Summary, summaries
from interpreter.report.words import count, decimals, interval, names, number, percent, plus_minus, state_word
from interpreter.verdicts.types import Judgement, Verdict

_HOLE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.S)


def fill(text: str, judgement: Judgement) -> str:
    """`text` (Markdown) with every {{ ... }} replaced. Raises: ReportError for a name that isn't there."""
    verdicts = {verdict.claim.name: verdict for verdict in judgement.verdicts}
    measured = summaries(judgement.measures)

    def value(found: re.Match[str]) -> str:
        kind, _, rest = found.group(1).partition(".")
        if kind == "verdict" and rest in verdicts:
            return verdict_text(verdicts[rest])
        if kind == "measure":
            arm, _, measure = rest.rpartition(".")
            points = select(judgement.entry.arms, arm)
            if len(points) == 1 and measure in judgement.entry.entry.measures:
                return summary_text(measured.get((points[0].name, measure)))
            if len(points) > 1:
                raise ReportError(
                    f"{judgement.entry.id}: the conclusion asks for `{found.group(1)}`, and `{arm}` has {len(points)} points",
                    hint=f"name one: {names([point.name for point in points], 6)}",
                )
        known = [f"verdict.{name}" for name in verdicts]
        known += [
            f"measure.{arm}.{measure}"
            for arm in (a.name for a in judgement.entry.arms)
            for measure in judgement.entry.entry.measures
        ]
        near = get_close_matches(found.group(1), known, 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise ReportError(
            f"{judgement.entry.id}: the conclusion asks for `{found.group(1)}`, which isn't there",
            hint=f"{hint}there are: {names(known, 24)}" if known else "the entry has no claims and no measures",
        )

    return _HOLE.sub(value, text)


def verdict_text(verdict: Verdict) -> str:
    """A verdict within a sentence, as Markdown: **supported** (−0.031, 95 % interval −0.05 to −0.01, n = 5)."""
    word = f"**{state_word(verdict.state).text}**"
    if verdict.effect is None:
        return word
    bounds = interval(verdict.lo, verdict.hi)
    details = [effect_text(verdict)]
    details += [f"{percent(verdict.level)} interval {bounds}"] if bounds else []
    return f"{word} ({', '.join([*details, f'n = {verdict.n}'])})"


def effect_text(verdict: Verdict) -> str:
    """The effect, with digits that fit its interval."""
    if verdict.lo is None or verdict.hi is None:
        return number(verdict.effect, decimals(abs(verdict.effect or 0.0) / 10))
    return plus_minus(verdict.effect, (verdict.hi - verdict.lo) / 2).split(" ± ")[0]


def summary_text(summary: Summary | None) -> str:
    """A measure of an arm within a sentence: 1.672 ± 0.012 (n = 5)."""
    if summary is None or summary.n == 0:
        return "(no data yet)"
    return f"{plus_minus(summary.mean, summary.ci)} (n = {summary.n})"


def disagreements(judgement: Judgement) -> tuple[str, ...]:
    """Where the author's stated states (`concludes:`) are not the computed ones, a sentence each.

    Raises: ReportError when `concludes` names a claim that isn't there.
    """
    verdicts = {verdict.claim.name: verdict for verdict in judgement.verdicts}
    out = []
    for claim, stated in judgement.entry.entry.concludes.items():
        if claim not in verdicts:
            raise ReportError(
                f"{judgement.entry.id}: `concludes` names `{claim}`, which isn't a claim",
                hint=f"claims: {names(tuple(verdicts), 24)}",
            )
        computed = verdicts[claim].state
        if computed != stated:
            said, found = state_word(stated).text, state_word(computed).text
            out.append(f"{claim}: the author concluded “{said}”, and the numbers now say “{found}”.")
    return tuple(out)


def states_in_words(verdicts: Sequence[Verdict]) -> str:
    """How many verdicts of each state: "2 supported, 1 undecided"."""
    return counted([verdict.state for verdict in verdicts]) or count(0, "claim")


def counted(states: Sequence[str]) -> str:
    """States with how often each occurs: "2 supported, 1 undecided"."""
    order: dict[str, int] = {}
    for state in states:
        order[state] = order.get(state, 0) + 1
    return ", ".join(f"{n} {state_word(state).text}" for state, n in order.items())
