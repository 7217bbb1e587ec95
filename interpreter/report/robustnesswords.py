"""A chart of robustness in words: its caption, what is to be seen in it, and the table of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interpreter.report.content import Grid
from interpreter.report.robustnesspoints import Drawn, Point
from interpreter.report.words import MINUS, NOTHING, capital, count, names
from interpreter.spec.robustness import AnyLine, FittedLine
from interpreter.spec.views import Chart
from interpreter.verdicts.effective_robustness import CREDITED, Fit, effective_robustness

_TOLD = 6  # arms named in the caption
_ALT = 8  # models told one by one to those who don't see them

Pairs = Mapping[str, tuple[float, float]]


def called(line: AnyLine, fit: Fit | None = None) -> str:
    """What a line is called beside the drawing."""
    if not isinstance(line, FittedLine):
        return f"credited to {CREDITED[line]}"
    assert fit is not None
    return f"{line.fit} fit to {fit.models} models, R² {fit.r_squared:.3f}"


def caption(
    chart: Chart,
    points: Sequence[Point],
    lines: Sequence[Drawn],
    lacking: Sequence[str],
    missing: Sequence[str],
    references: Pairs,
) -> str:
    """What is drawn, what the lines are, and what is missing."""
    said = [chart.caption] if chart.caption else []
    counts = sorted({(p.n_in, p.n_out) for p in points if p.n_in and p.n_out})
    bars = " or ".join(f"{n_in:,} and {n_out:,}" for n_in, n_out in counts[:3]) + (" ..." if len(counts) > 3 else "")
    said.append(
        f"{'A point an arm' if len(points) > 1 else 'The arm'}; bars: exact binomial 95 % intervals over the examples, {bars}."
        if counts
        else "A point an arm; on how many examples it was measured is not known, so there are no intervals."
    )
    unknown = [p.arm for p in points if not (p.n_in and p.n_out)]
    if counts and unknown:
        said.append(f"Without intervals, their numbers of examples being unknown: {names(unknown, _TOLD)}.")
    if any(p.acc_in.n > 1 and not p.faint for p in points):
        said.append("Of several seeds the point is their mean, the small ones are single seeds.")
    said += [_line_words(line) for line in lines]
    said += [f"{capital(text)}." for text in missing]
    if lacking:
        said.append(f"Not drawn, without a place on these axes or without both accuracies: {names(lacking, _TOLD)}.")
    if references:
        said.append(f"From elsewhere, as they were told: {names(list(references))}.")
    return " ".join(said)


def _line_words(line: Drawn) -> str:
    if line.fit is None:
        assert not isinstance(line.asked, FittedLine)
        at = line.line
        sign = MINUS if at.intercept < 0 else "+"
        text = f"{at.scale}(out) = {at.slope:g} {at.scale}(in) {sign} {abs(at.intercept):g}"
        return f"Credited to {CREDITED[line.asked]} in code, and not checked in the paper: {text}."
    words = line.fit.words.replace(" -", f" {MINUS}")
    return f"{capital(words)}; in the table each of them is judged by the line through the others."


def alternative(title: str, points: Sequence[Point], lines: Sequence[Drawn], references: Pairs) -> str:
    """What is to be seen, for readers who don't see it."""
    own = [p for p in points if not p.faint]
    said = [f"{title}. {count(len(points), 'point')}"]
    faint = [p for p in points if p.faint]
    if faint:
        both = [p.acc_in.mean or 0.0 for p in faint], [p.acc_out.mean or 0.0 for p in faint]
        ends = [f"{_short(min(v))} to {_short(max(v))}" for v in both]
        said.append(f"{count(len(faint), 'imported model')} from {ends[0]} on the original and {ends[1]} on the shifted data")
    for p in own[:_ALT]:
        shares = _short(p.acc_in.mean or 0.0), _short(p.acc_out.mean or 0.0)
        text = f"{p.arm}: {shares[0]} on the original, {shares[1]} on the shifted data"
        of = [
            f"{_points(a.mean)} points above the line, {line.name}"
            for a, line in zip(p.above, lines, strict=True)
            if a.mean is not None
        ]
        said.append(", ".join([text, *of]))
    said += [f"{label}, from elsewhere: {_short(pair[0])}, {_short(pair[1])}" for label, pair in references.items()]
    return "; ".join(said) + "."


def grid(name: str, title: str, chart: Chart, points: Sequence[Point], lines: Sequence[Drawn], references: Pairs) -> Grid:
    """The numbers of the drawing: a row a point, own arms first, then by accuracy on the shifted data."""
    assert chart.in_ is not None and chart.out is not None
    ordered = sorted(points, key=lambda p: (p.faint, -(p.acc_out.mean or 0.0)))
    several = any(p.acc_in.n > 1 for p in points)
    columns = [
        "model",
        "family",
        *(["seeds"] if several else []),
        chart.in_,
        chart.out,
        *(f"above: {line.name}" for line in lines),
    ]
    rows = []
    exact = []
    for p in ordered:
        shares = [_share(of.mean, p.over_examples(original=original)) for of, original in ((p.acc_in, True), (p.acc_out, False))]
        above = [_above(a.mean, half) for a, half in zip(p.above, p.half, strict=True)]
        rows.append((p.arm, p.family, *([str(p.acc_in.n)] if several else []), *shares, *above))
        told: list[float | int | str | None] = [p.name, p.family, p.acc_in.n]
        for of, n, original in ((p.acc_in, p.n_in, True), (p.acc_out, p.n_out, False)):
            told += [of.mean, *(p.over_examples(original=original) or (None, None)), of.ci, n]
        for a, half in zip(p.above, p.half, strict=True):
            told += [a.mean, half, a.ci]
        exact.append(tuple(told))
    footer = []
    for label, pair in references.items():
        above = [_above(_of_reference(pair, line), None) if line.fit is None else NOTHING for line in lines]
        footer.append((label, "from elsewhere", *([NOTHING] if several else []), *(_share(x, None) for x in pair), *above))
    heads = [f"{metric}.{what}" for metric in (chart.in_, chart.out) for what in ("mean", "lo", "hi", "ci_seeds", "n")]
    heads += [f"above: {line.name}.{what}" for line in lines for what in ("mean", "half_examples", "ci_seeds")]
    said = "Accuracies with exact binomial 95 % intervals over examples"
    said += (
        "; percentage points above each line, ± what other examples of both sets would leave, the line taken as exact"
        if lines
        else ""
    )
    said += "; each model is left out of the line it is judged by" if any(line.fit for line in lines) else ""
    return Grid(
        f"{name}-points", f"{title}: the numbers", f"{said}.", tuple(columns), tuple(rows), tuple(footer),
        ("model", "family", "seeds", *heads), tuple(exact),
    )  # fmt: skip


def _of_reference(pair: tuple[float, float], line: Drawn) -> float:
    return float(effective_robustness(np.array([pair[0]]), np.array([pair[1]]), line.line)[0])


def _short(share: float) -> str:
    return f"{100 * share:.1f} %"


def _share(value: float | None, ends: tuple[float, float] | None) -> str:
    if value is None:
        return NOTHING
    return f"{100 * value:.2f} %" + (f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})" if ends else "")


def _points(value: float) -> str:
    return f"{100 * value:+.2f}".replace("-", MINUS)


def _above(value: float | None, half: float | None) -> str:
    if value is None:
        return NOTHING
    return _points(value) + (f" ± {100 * half:.2f}" if half is not None else "")
