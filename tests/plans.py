"""Plans and records made by hand, for tests that need some without training anything.

    project = make_project(tmp_path)
    plan = make_plan({"naive": ["lba"], "curriculum": ["easy", "lba"]}, seeds=3, epochs=8)
    write_records(project, plan, lambda arm, seed, stage: {"val/loss": [...], "val/accuracy": [...]})

Stages are keyed as real ones are (the hash of an identity), so that arms share what they share. Records have the
layout of `runs/<key>/`: stage.json, attempts/, events.jsonl, predictions/, checkpoints/, DONE.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpreter.check.types import Growth
from interpreter.errors import Place, Problem
from interpreter.plan.types import ArmPlan, EntryPlan, Input, Plan, SourceNeed, Stage, Trial
from interpreter.project import Project, load_project
from interpreter.spec.canonical import digest, key_of
from interpreter.spec.claims import Claim
from interpreter.spec.entry import Entry
from interpreter.spec.measures import Measure

History = Mapping[str, Sequence[float]]
"""Metric ("val/loss") -> one value an epoch."""

ENVIRONMENT = {"python": "3.11.9", "torch": "2.14.1", "lightning": "2.6.6", "timm": "1.0.31", "numpy": "2.4.6",
               "git_commit": "0123abcd", "source_hash": "beef"}  # fmt: skip
NUMERICS = {"threads": 1, "device": "cpu", "precision": "32", "tf32": False, "loader_workers": 0}
DIGITS = {"type": "digits", "source": "embedded"}
MLP = {"type": "mlp", "hidden": [32]}


def make_project(root: Path) -> Project:
    """An empty project at `root`: expt.toml, specs/ and runs/."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "expt.toml").write_text("")
    (root / "specs").mkdir(exist_ok=True)
    (root / "runs").mkdir(exist_ok=True)
    return load_project(root)


def make_fit(
    name: str = "lba", seed: int = 0, epochs: int = 8, inputs: tuple[Input, ...] = (), set_: Mapping[str, Any] | None = None,
    sources: tuple[SourceNeed, ...] = (),
) -> Stage:  # fmt: skip
    """A fit of an MLP to the digits. `set_` maps dotted paths of settings ("head.dropout") to values."""
    settings: dict[str, Any] = {
        "objective": {"type": "classification"},
        "data": dict(DIGITS),
        "model": dict(MLP),
        "head": {"hidden": None, "dropout": 0.0},
        "schedule": {"epochs": epochs, "batch_size": 64, "optimizer": {"type": "adam", "lr": 0.001},
                     "lr_schedule": {"type": "constant"}, "clip": None, "precision": "32", "early_stopping": None},
        "keep": {"best": "val/loss", "every": None, "last": True},
        "start": {"kind": "stage", "take": "encoder"} if inputs else {"kind": "random"},
        "streams": {"data": "d161", "occurrence": len(inputs)},
    }  # fmt: skip
    for path, value in (set_ or {}).items():
        *above, last = path.split(".")
        node = settings
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    return _stage("fit", name, settings, inputs, sources, seed)


def make_evaluate(of: Stage, name: str = "final", part: str = "test") -> Stage:
    """An evaluation of the best checkpoint of the fit `of` on one part of its data."""
    settings = {"data": dict(of.settings["data"]), "part": part, "name": name, "objective": of.settings["objective"],
                "model": of.settings["model"], "head": of.settings["head"]}  # fmt: skip
    return _stage("evaluate", name, settings, (Input("weights", of.key, "best", "all"),), of.sources, of.seed)


def _stage(
    kind: str, name: str, settings: Mapping[str, Any], inputs: tuple[Input, ...], sources: tuple[SourceNeed, ...], seed: int
) -> Stage:
    identity = {
        "kind": kind,
        "name": name,  # real identities leave it out; here it keeps stages apart that differ in nothing else
        "settings": settings,
        "inputs": [{"key": i.key, "checkpoint": i.checkpoint, "take": i.take} for i in inputs],
        "sources": [s.fingerprint for s in sources],
        "seed": seed,
    }
    return Stage(key_of(identity), kind, name, identity, settings, inputs, sources, seed)


def make_claim(
    text: str, on: str = "accuracy", margin: float = 0.0, name: str = "claim",
    points: Mapping[str, Sequence[str]] | None = None, chosen_by: str = "", **fields: Any,
) -> Claim:  # fmt: skip
    """A claim from "a < b", "a > b" or "a ~ b", where a and b are arms and b may be a number.

    An arm may have a quantifier, "all thaw < naive"; `points` maps "thaw" to the full names of its points.
    """
    from interpreter.spec.claims import Side

    def side(words: Sequence[str]) -> Side:
        *quantifier, arm = words
        arms = tuple((points or {}).get(arm, ()))
        picks = chosen_by if quantifier == ["best"] else ""
        return Side(arm=arm, measure=on, arms=arms, quantifier=quantifier[0] if quantifier else "", chosen_by=picks)  # type: ignore[arg-type]

    relation = next(word for word in text.split() if word in "<>~")
    left, right = (part.split() for part in text.split(f" {relation} "))
    try:
        other, kind = Side(number=float(right[0])), "value"
    except ValueError:
        other, kind = side(right), "likeness" if relation == "~" else "order"
    fields.setdefault("kind", kind)
    fields.setdefault("hash", digest(f"{text} {on} {margin}"))
    return Claim(name, left=side(left), relation=relation, right=other, margin=margin, text=text, **fields)  # type: ignore[arg-type]


def factors_of(name: str) -> dict[str, str]:
    """The factors that the name of a point tells: {"size": "1"} of "wide[size=1]"."""
    inside = name.partition("[")[2].removesuffix("]")
    pairs = [one.partition("=") for one in inside.split(",")] if inside else []
    return {factor: label for factor, _, label in pairs}


def make_plan(
    arms: Mapping[str, Sequence[str]] | None = None, *, seeds: int | Sequence[int] = 3, epochs: int | Mapping[str, int] = 8,
    evaluate: Sequence[str] = (), baseline: str = "", page: str = "2024-06-28", name: str = "first", profile: str = "",
    set_: Mapping[str, Mapping[str, Any]] | None = None, levels: Mapping[str, int] | None = None,
    measures: Mapping[str, Measure] | None = None, claims: Iterable[Claim] = (), problems: tuple[Problem, ...] = (),
    sources: tuple[SourceNeed, ...] = (), growth: Growth | None = None, **entry_fields: Any,
) -> Plan:  # fmt: skip
    """A page of one entry. `arms` maps an arm to the fits of its chain (default: naive: [lba]). "thaw[patience=3]" is a
    point of the sweep "thaw".

    evaluate: names of evaluate stages at the end of every chain. baseline: the baseline arm (default: the first).
    set_: arm -> dotted settings of that arm's last fit. levels: stage -> the one seed it has in every trial.
    epochs: for all stages, or by stage name. growth: how seeds are added to every arm.
    entry_fields: further fields of Entry (references, charts, conclusion, ...).
    """
    arms = arms or {"naive": ["lba"]}
    seeds = range(seeds) if isinstance(seeds, int) else seeds
    stages: dict[str, Stage] = {}
    planned = []
    for arm, fits in arms.items():
        trials = []
        for seed in seeds:
            chain: list[Stage] = []
            for position, fit in enumerate(fits):
                inputs = (Input("start", chain[-1].key, "best", "encoder"),) if chain else ()
                changed = (set_ or {}).get(arm) if position == len(fits) - 1 else None
                count = epochs if isinstance(epochs, int) else epochs[fit]
                chain.append(make_fit(fit, (levels or {}).get(fit, seed), count, inputs, changed, sources))
            last = chain[-1]
            chain += [make_evaluate(last, evaluation) for evaluation in evaluate]
            for stage in chain:
                stages.setdefault(stage.key, stage)
            used = {stage.name: stage.seed for stage in chain}
            trials.append(Trial(arm, seed, used, tuple((stage.name, stage.key) for stage in chain)))
        given = tuple(fit for fit in fits if fit in (levels or {}))
        planned.append(ArmPlan(arm, (*fits, *evaluate), arm == (baseline or next(iter(arms))), fits[-1], tuple(evaluate),
                               tuple(trials), given, base=arm.partition("[")[0], factors=factors_of(arm),
                               growth=growth))  # fmt: skip
    file = f"specs/{page}.yaml"
    text = f"expt: 1\ndate: {page}\nentries:\n  {name}: {{}}\n"
    entry_fields.setdefault("title", "A first try")
    entry = Entry(
        name=name, place=Place(file, 4, 3, len(name)), measures=dict(measures or {}), claims=tuple(claims), **entry_fields
    )
    entries = (EntryPlan(page, f"{page}/{name}", profile, entry, tuple(planned), problems),)
    return Plan(page, profile, file, text, digest(text), f"Page of {page}", entries, stages)


@dataclass(frozen=True)
class Predictions:
    """Predictions to write with a record: of `split`, targets (N,) or (N, K), outputs (epochs, N, K)."""

    split: str
    ids: Sequence[str]
    targets: Sequence[Any]
    outputs: Sequence[Sequence[Sequence[float]]]
    segments: int = 1


def write_records(
    project: Project, plan: Plan, history: Callable[[str, int, str], History], *, baseline: Mapping[str, float] | None = None,
    rules: Mapping[str, Mapping[str, float]] | None = None,
) -> None:  # fmt: skip
    """Write a finished record of every stage of `plan`. `history(arm, seed, stage name)` gives its metrics.

    A stage shared by arms is written once, for the first arm. An evaluate stage's history has one value a metric.
    """
    written: set[str] = set()
    for entry in plan.entries:
        for arm in entry.arms:
            for trial in arm.trials:
                for name, key in trial.stages:
                    if key not in written:
                        written.add(key)
                        told = history(arm.name, trial.seed, name)
                        write_record(project, plan.stages[key], told, baseline=baseline, rules=rules)


def write_record(
    project: Project, stage: Stage, history: History, *, done: bool = True, baseline: Mapping[str, float] | None = None,
    findings: Sequence[tuple[int, str, str]] = (), predictions: Sequence[Predictions] = (),
    tables: Mapping[str, Any] | None = None, numerics: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None, minute: int = 0,
    early_stopping: bool = False, how: str = "", rules: Mapping[str, Mapping[str, float]] | None = None,
) -> Path:  # fmt: skip
    """Write runs/<key>/ of a first attempt at `stage`: as many epochs as `history` has values. Returns the folder.

    done: with its end and DONE; else it stopped there (how: "failed", "stopped", "died", or "" for still running).
    findings: (epoch from 0, code, text). baseline: of the rule that ignores the input, unnamed as records were first written;
    rules: named ones. tables: split -> confusion matrix of the last epoch. minute: of 2024-06-28
    12:00 UTC at which it started; an epoch takes a second.
    """
    folder = start_record(project, stage)
    begin_attempt(folder, 1, 0, numerics=numerics, environment=environment, minute=minute)
    kind = "random" if not stage.inputs else stage.inputs[0].key
    data = stage.settings["data"]
    lines: list[dict[str, Any]] = [
        {"kind": "start", "attempt": 1, "epoch": 0, "from": kind, "carried": ["encoder"] if stage.inputs else [], "why": "start"},
        {"kind": "data", "attempt": 1, "epoch": 0, "name": data["type"], "origin": "real, embedded",
         "facts": {"n": {"train": 1437, "val": 180, "test": 180}}},
        {"kind": "phase", "attempt": 1, "epoch": 0, "phase": 0, "trainable": ["all"], "why": "start"},
    ]  # fmt: skip
    if baseline:
        lines.append({"kind": "baseline", "attempt": 1, "epoch": 0, "metrics": _spell(baseline)})
    for rule, of in (rules or {}).items():
        lines.append({"kind": "baseline", "attempt": 1, "epoch": 0, "rule": rule, "metrics": _spell(of)})
    measured = len(predictions[0].ids) if stage.kind == "evaluate" and predictions else None
    lines += [line if measured is None else {**line, "examples": measured} for line in epoch_events(history, 1, minute=minute)]
    count = len(next(iter(history.values()), ()))
    lines += [{"kind": "finding", "attempt": 1, "epoch": e, "code": c, "text": t, "severity": "warning"} for e, c, t in findings]
    lines += [{"kind": "table", "attempt": 1, "epoch": count - 1, "split": split, "name": "confusion", "value": value}
              for split, value in (tables or {}).items()]  # fmt: skip
    segments = {p.split: write_predictions(folder, p) for p in predictions}
    why = "early stopping" if early_stopping else "planned epochs"
    if done:
        lines.append({"kind": "end", "attempt": 1, "epoch": count, "planned": stage.epochs, "reached": count, "why": why})
    append_events(folder, lines)
    if done:
        finish_record(folder, stage, history, predictions=segments, why=why, minute=minute)
    elif how:
        end_attempt(folder, 1, how, count, minute=minute)
    return folder


def start_record(project: Project, stage: Stage) -> Path:
    """Make runs/<key>/ with its stage.json. Returns the folder."""
    folder = project.runs / stage.key
    (folder / "attempts").mkdir(parents=True, exist_ok=True)
    (folder / "checkpoints").mkdir(exist_ok=True)
    value = {
        "format": 1, "key": stage.key, "kind": stage.kind, "name": stage.name, "identity": stage.identity,
        "settings": stage.settings,
        "inputs": [{"role": i.role, "key": i.key, "checkpoint": i.checkpoint, "take": i.take} for i in stage.inputs],
        "sources": [{"name": s.name, "fingerprint": s.fingerprint} for s in stage.sources], "seed": stage.seed,
    }  # fmt: skip
    (folder / "stage.json").write_text(json.dumps(value))
    return folder


def begin_attempt(
    folder: Path, attempt: int, resume_epoch: int, *, numerics: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None, minute: int = 0,
) -> None:  # fmt: skip
    """Write attempts/NNNN.json and the attempt's first event."""
    value = {
        "attempt": attempt, "host": "lab", "pid": 4000 + attempt, "pid_start": 1, "boot_id": "boot",
        "started": _time(minute, 0),
        "environment": {**ENVIRONMENT, **(environment or {})}, "numerics": {**NUMERICS, **(numerics or {})},
    }  # fmt: skip
    (folder / "attempts" / f"{attempt:04d}.json").write_text(json.dumps(value))
    append_events(folder, [{"kind": "attempt", "attempt": attempt, "resume_epoch": resume_epoch, "t": _time(minute, 0)}])


def end_attempt(folder: Path, attempt: int, how: str, epoch: int, *, error: str = "", minute: int = 0) -> None:
    """Write attempts/NNNN.end. how: "done", "failed", "stopped" or "died"."""
    value = {"how": how, "error": error, "at": _time(minute, epoch + 1), "epoch": epoch}
    (folder / "attempts" / f"{attempt:04d}.end").write_text(json.dumps(value))


def epoch_events(
    history: History, attempt: int = 1, first: int = 0, *, minute: int = 0, rate: float = 0.001
) -> list[dict[str, Any]]:
    """One epoch event for each value of `history`, the first of epoch `first` (from 0)."""
    count = len(next(iter(history.values()), ()))
    return [
        {
            "kind": "epoch", "attempt": attempt, "epoch": first + i, "t": _time(minute, i + 1), "step": 23 * (first + i + 1),
            "examples": 1437 * (first + i + 1), "metrics": _spell({m: v[i] for m, v in history.items()}), "rates": {"all": rate},
            "phase": 0, "resources": {"seconds": 1.0, "it_per_s": 23.0, "rss_mb": 300.0 + i},
        }
        for i in range(count)
    ]  # fmt: skip


def append_events(folder: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Append `lines` to events.jsonl in one write."""
    data = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
    descriptor = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def finish_record(
    folder: Path, stage: Stage, history: History, *, attempt: int = 1, predictions: Mapping[str, list[str]] | None = None,
    why: str = "planned epochs", minute: int = 0, first: int = 0,
) -> None:  # fmt: skip
    """Write the attempt's end, empty checkpoint files and DONE. `history` begins at epoch `first`."""
    count = first + len(next(iter(history.values()), ()))
    end_attempt(folder, attempt, "done", count, minute=minute)
    value: dict[str, Any] = {
        "key": stage.key, "kind": stage.kind, "attempt": attempt, "finished": _time(minute, count + 1),
        "planned_epochs": stage.epochs,
        "epochs": count if stage.kind == "fit" else 0, "events_bytes": (folder / "events.jsonl").stat().st_size,
        "predictions": dict(predictions or {}), "why": why,
    }  # fmt: skip
    if stage.kind == "fit":
        metric = stage.settings["keep"]["best"]
        values = history.get(metric) or next(iter(history.values()))
        best = min(range(len(values)), key=lambda i: values[i] if math.isfinite(values[i]) else math.inf)
        names = f"epoch-{first + best:04d}.pt", f"epoch-{count - 1:04d}.pt"
        for name in names:
            (folder / "checkpoints" / name).write_bytes(b"")
        value["best"] = {"metric": metric, "value": _number(values[best]), "epoch": first + best, "checkpoint": names[0]}
        value["last"] = {"epoch": count - 1, "checkpoint": names[1]}
    (folder / "DONE").write_text(json.dumps(value))


def write_predictions(folder: Path, predictions: Predictions) -> list[str]:
    """Write predictions/<split>/ and return the names of its segments, epochs shared evenly among them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = folder / "predictions" / predictions.split
    place.mkdir(parents=True, exist_ok=True)
    rows = len(predictions.ids)
    targets = pa.table(
        {"row": pa.array(range(rows), pa.int32()), "id": list(predictions.ids), "target": list(predictions.targets)}
    )
    pq.write_table(targets, place / "targets.parquet")
    epochs = len(predictions.outputs)
    size = -(-epochs // predictions.segments)
    names = []
    for first in range(0, epochs, size):
        part = range(first, min(first + size, epochs))
        table = pa.table({
            "epoch": pa.array([e for e in part for _ in range(rows)], pa.int32()),
            "row": pa.array([r for _ in part for r in range(rows)], pa.int32()),
            "output": pa.array([list(predictions.outputs[e][r]) for e in part for r in range(rows)], pa.list_(pa.float32())),
        })  # fmt: skip
        names.append(f"epochs-{part[0]:04d}-{part[-1]:04d}.parquet")
        pq.write_table(table, place / names[-1])
    return names


def _spell(metrics: Mapping[str, float]) -> dict[str, Any]:
    return {name: _number(value) for name, value in metrics.items()}


def _number(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _time(minute: int, second: int) -> str:
    minute += second // 60
    return f"2024-06-28T{12 + minute // 60:02d}:{minute % 60:02d}:{second % 60:02d}+00:00"
