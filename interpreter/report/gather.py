"""Everything a report says of one entry, gathered from its plan, its judgement and the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interpreter import catalog
from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.report.cast import entry_look
from interpreter.report.conclusion import disagreements, fill
from interpreter.report.content import Content, Finding, StageLine
from interpreter.report.figures import figures
from interpreter.report.read import Reader
from interpreter.report.surroundings import links, siblings, unbuilt
from interpreter.report.tables import cut, tables
from interpreter.report.words import count, names
from interpreter.verdicts.types import Judgement

SHORT_KEY = 10
_VERSIONS = ("python", "torch", "lightning", "timm", "numpy")


def gather(project: Project, plan: Plan, judgement: Judgement) -> Content:
    """The content of the report of one entry.

    Raises: ReportError when the page asks for what isn't there; RecordError when the database can't be read.
    """
    entry = judgement.entry
    reader = Reader(project, entry)
    drawn, datasets = figures(judgement, plan, reader, entry_look(entry))
    lines, environments = _stages(entry, plan, reader)
    return Content(
        plan=entry,
        unbuilt=unbuilt(entry, plan),
        links=links(project, plan, entry, reader),
        siblings=siblings(project, plan, entry),
        page_title=plan.title,
        origin=_origin(entry, plan, reader),
        verdicts=judgement.verdicts,
        figures=drawn,
        tables=(*tables(judgement, reader), *(cut(figure.grid) for figure in drawn if figure.grid is not None)),
        findings=_findings(entry, reader),
        conclusion=fill(entry.entry.conclusion, judgement),
        disagreements=disagreements(judgement),
        assumed=tuple((path, _assumed(path, entry, plan)) for path in entry.entry.assumed),
        data=_data(entry, plan, reader),
        stages=lines,
        environments=environments,
        tints=tuple(dict.fromkeys(tint for figure in drawn if figure.look for tint in figure.look.tints)),
        datasets=datasets,
    )


def _origin(entry: EntryPlan, plan: Plan, reader: Reader) -> str:
    """What has to be said first: which data is not the user's own measurement. "" when all of it is."""
    told = {(r["dataset"], r["origin"]) for r in reader.data if r["source"] == "embedded" or not r["origin"].startswith("real")}
    read = {r["dataset"] for r in reader.data}
    for stage in _stages_of(entry, plan):
        data = stage.settings.get("data")
        if isinstance(data, Mapping) and data.get("source") == "embedded" and data.get("type") not in read:
            made_up = catalog.config_class("dataset", str(data["type"])).generated
            told.add((str(data["type"]), "generated" if made_up else "embedded"))
    return f"Data: {names([f'{name} ({origin})' for name, origin in sorted(told)])}." if told else ""


def _stages_of(entry: EntryPlan, plan: Plan) -> list[Any]:
    keys = dict.fromkeys(key for arm in entry.arms for trial in arm.trials for _, key in trial.stages)
    return [plan.stages[key] for key in keys if key in plan.stages]


def _findings(entry: EntryPlan, reader: Reader) -> tuple[Finding, ...]:
    """Trials that failed or stopped, then what check had to say, then what the runs said."""
    found: dict[Finding, None] = {}
    for row in reader.stages:
        if row["state"] in {"failed", "died", "stopped", "unreadable"}:
            why = f": {row['error']}" if row["error"] else ""
            how = {
                "failed": "failed",
                "died": "ended without its result",
                "stopped": "was stopped",
                "unreadable": "can't be read",
            }[row["state"]]
            at = f" at epoch {row['epochs']} of {row['planned_epochs']}" if row["planned_epochs"] else ""
            found[Finding("warning", f"{row['arm']}, seed {row['seed']}", f"stage {row['stage']} {how}{at}{why}")] = None
    for problem in entry.problems:
        found[Finding(problem.severity.value, problem.path or "design", problem.message)] = None
    for row in reader.findings:
        arms, seeds = list(row["arms"]), list(row["seeds"])
        where = f"{names(arms, 3)}, {'seed' if len(seeds) == 1 else 'seeds'} {names([str(s) for s in seeds], 6)}"
        at = f" (stage {row['stage']}" + (f", epoch {row['epoch']})" if row["epoch"] else ")")
        found[Finding(row["severity"], where, row["text"].rstrip(".") + at)] = None
    return tuple(found)


def _assumed(path: str, entry: EntryPlan, plan: Plan) -> str:
    """The value of a setting the notebook did not tell, where the path leads to one: "512"."""
    words = path.split(".")
    values: dict[str, None] = {}
    if words[0] == "stages" and len(words) > 2:
        for arm in entry.arms:
            for name, key in arm.trials[0].stages if arm.trials else ():
                if name == words[1] and key in plan.stages:
                    value: Any = plan.stages[key].settings
                    for word in words[2:]:
                        value = value.get(word) if isinstance(value, Mapping) else None
                    if value is not None:
                        values[_setting(value)] = None
    return " / ".join(values)


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_setting(v)}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _data(entry: EntryPlan, plan: Plan, reader: Reader) -> tuple[tuple[str, str, str], ...]:
    """Data with where it is from and its fingerprint; as planned where nothing was read yet."""
    rows = {(r["dataset"], r["origin"], r["fingerprint"][:16]): None for r in reader.data}
    if not rows:
        for stage in _stages_of(entry, plan):
            for need in stage.sources:
                rows[need.name, "not read yet", need.fingerprint[:16]] = None
    return tuple(rows)


def _stages(entry: EntryPlan, plan: Plan, reader: Reader) -> tuple[tuple[StageLine, ...], tuple[tuple[str, str], ...]]:
    """A line a stage, shared ones once, and the environments they name."""
    users: dict[str, dict[str, None]] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    for row in reader.stages:
        users.setdefault(row["key"], {})[row["arm"]] = None
        rows.setdefault(row["key"], row)
    for arm in entry.arms:
        for trial in arm.trials:
            for name, key in trial.stages:
                users.setdefault(key, {})[arm.name] = None
                if key not in rows:
                    stage = plan.stages.get(key)
                    seed, planned = (stage.seed, stage.epochs) if stage else (trial.seed, 0)
                    rows[key] = {"key": key, "stage": name, "stage_seed": seed, "state": "new", "epochs": 0,
                                 "planned_epochs": planned, "attempts": 0, "python": None}  # fmt: skip
    environments: dict[str, str] = {}
    lines = []
    for key, line in rows.items():
        where = ""
        if line["python"] is not None:
            words = _environment(line)
            where = environments.setdefault(words, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[len(environments) % 26])
        epochs = f"{line['epochs']} of {line['planned_epochs']}" if line["planned_epochs"] else ""
        state = "not run" if line["state"] == "new" else line["state"]
        lines.append(
            StageLine(
                key[:SHORT_KEY],
                line["stage"],
                names(list(users[key]), 4),
                line["stage_seed"],
                state,
                epochs,
                line["attempts"],
                where,
            )
        )
    return tuple(lines), tuple((name, words) for words, name in environments.items())


def _environment(row: Mapping[str, Any]) -> str:
    """Versions and numerics in words."""
    said = [f"{name.capitalize() if name == 'python' else name} {row[name]}" for name in _VERSIONS if row.get(name)]
    said.append(count(row["threads"] or 1, "thread"))
    said += [str(row[name]) for name in ("device",) if row.get(name)]
    said += [f"precision {row['precision']}"] if row.get("precision") else []
    said += ["TF32"] if row.get("tf32") else []
    said += [f"commit {row['git_commit']}"] if row.get("git_commit") else []
    return ", ".join(said)
