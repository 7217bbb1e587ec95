"""What the candidates of a probe came to: which of them is picked, and what is to be said of the choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from interpreter.parts.contract import Objective
from interpreter.parts.metrics.classification import predicted
from interpreter.stages.feeding import Frozen
from interpreter.stages.judging import Progress, lower_is_better
from interpreter.stages.work import Event, finding, finding_at_end

Z95 = 1.959964  # of a normal distribution: 95 % lie within


@dataclass(frozen=True, slots=True)
class Candidate:
    """A checkpoint that is looked at, by the name of its rule, and which head is on its encoder."""

    at: str  # "epoch-900", "best", "last"
    head: int
    frozen: Frozen


def ranked(candidates: Sequence[Candidate], progress: Sequence[Progress], pick: Mapping[str, Any]) -> list[int]:
    """Heads that had a finite value of the pick's metric, best first; of equal ones in the order of the page."""
    heads = dict.fromkeys(candidate.head for candidate in candidates)
    values = {head: best["value"] for head in heads if (best := progress[head].best) is not None}
    sign = 1 if lower_is_better(pick["best"]) else -1
    return sorted(values, key=lambda head: sign * values[head])


def picked(candidates: Sequence[Candidate], progress: Sequence[Progress], pick: Mapping[str, Any]) -> Candidate | None:
    """The candidate to go on with, None where no value was finite; of rules that mean one file the first."""
    tied = _tied(candidates, progress, pick)
    if not tied:
        return None
    return (min if pick["ties"] == "earliest" else max)(tied, key=lambda candidate: candidate.frozen.epoch)


def _tied(candidates: Sequence[Candidate], progress: Sequence[Progress], pick: Mapping[str, Any]) -> list[Candidate]:
    """The candidates with the best value, one of each file."""
    order = ranked(candidates, progress, pick)
    first = {candidate.head: candidate for candidate in reversed(candidates)}
    top = [head for head in order if _value(progress[head]) == _value(progress[order[0]])]
    return [first[head] for head in top]


def candidate_events(
    candidates: Sequence[Candidate], progress: Sequence[Progress], pick: Mapping[str, Any], end: int
) -> list[Event]:
    """What each candidate came to, in the order of the page; the one that was picked says why."""
    chosen = picked(candidates, progress, pick)
    said: list[Event] = []
    for number, candidate in enumerate(candidates, 1):
        best = progress[candidate.head].best
        line: Event = {
            "kind": "candidate",
            "epoch": end,
            "n": number,
            "checkpoint": candidate.at,
            "file": candidate.frozen.path.name,
        }
        line |= {"trained": candidate.frozen.epoch, "value": best and best["value"], "reached": best and best["epoch"]}
        said.append(line | ({"why": _why(candidates, progress, pick)} if candidate is chosen else {}))
    return said


def _why(candidates: Sequence[Candidate], progress: Sequence[Progress], pick: Mapping[str, Any]) -> str:
    tied = _tied(candidates, progress, pick)
    best = progress[tied[0].head].best
    assert best is not None
    text = f"best {best['metric']}, {best['value']:.6g}"
    if len(tied) == 1:
        return text
    return f"{text}, which {' and '.join(candidate.at for candidate in tied)} have: the {pick['ties']} is taken"


def spread(progress: Sequence[Progress]) -> dict[str, float] | None:
    """Lowest, highest and standard deviation of the heads' best values; None for fewer than two."""
    values = [_value(each) for each in progress if each.best is not None]
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return {"min": min(values), "max": max(values), "sd": sd}


def of_shared(candidates: Sequence[Candidate]) -> list[Event]:
    """A note for each checkpoint that several rules mean."""
    names: dict[int, list[str]] = {}
    for candidate in candidates:
        names.setdefault(candidate.head, []).append(candidate.at)
    several = [" and ".join(of) for of in names.values() if len(of) > 1]
    return [finding(0, "same-checkpoint", f"{each} are one checkpoint: one head stands for them", "note") for each in several]


def of_outputs(
    candidates: Sequence[Candidate], outputs: Mapping[int, Tensor], targets: Tensor, objective: Objective, metric: str, end: int
) -> list[Event]:
    """Findings on the outputs for val of each head at its best epoch, best head first. Shape: (N, ...) each, and (N,)."""
    names = {candidate.head: candidate.at for candidate in reversed(candidates)}
    said = [
        finding_at_end(
            end, "constant-predictions", f"with the head on {names[head]}, every validation example gets the same prediction"
        )
        for head, of in outputs.items()
        if objective.constant(of)
    ]
    if metric != "val/accuracy" or len(outputs) < 2:
        return said
    one, other = list(outputs)[:2]
    right = [predicted(objective.combined(outputs[head]).double().numpy()) == targets.numpy() for head in (one, other)]
    more, fewer = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    if more - fewer <= Z95 * math.sqrt(more + fewer):
        text = (
            f"{names[one]} and {names[other]}, the two best, are right where the other is wrong on {more} and {fewer} of"
            f" {len(targets)} validation examples: within the noise, so another sample could have picked another"
        )
        said.append(finding_at_end(end, "pick-within-noise", text, "note"))
    return said


def _value(progress: Progress) -> float:
    return math.nan if progress.best is None else float(progress.best["value"])
