"""What a report reads of one entry from the database, by the queries beside this file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from interpreter.plan.types import ArmPlan, EntryPlan
from interpreter.project import Project
from interpreter.results.read import Rows, query, select
from interpreter.run.events import IGNORES_INPUT
from interpreter.spec.measures import Smooth
from interpreter.spec.names import metric_ref

Record = dict[str, Any]
FAR = 2**30  # an epoch that no stage reaches


@dataclass(frozen=True, slots=True)
class Wanted:
    """One metric of one stage of one arm, called `asked` in the chart, drawn from x = shift + 1 on."""

    arm: str
    stage: str
    split: str
    metric: str
    asked: str
    shift: int = 0


@dataclass(frozen=True)
class Reader:
    """The database, as far as one entry goes. Everything is read once, when first asked for."""

    project: Project
    plan: EntryPlan

    @cached_property
    def available(self) -> frozenset[tuple[str, str, str, str]]:
        """(arm, stage, split, metric) for all there are values of."""
        return frozenset((r["arm"], r["stage"], r["split"], r["metric"]) for r in self._rows("available"))

    @cached_property
    def stages(self) -> list[Record]:
        """A row for each stage of each trial: arm, seed, stage, key, state, epochs, planned_epochs, versions, ..."""
        return self._rows("stages")

    @cached_property
    def findings(self) -> list[Record]:
        """What the runs said about themselves: severity, code, text, stage, arms, seeds, epoch."""
        return self._rows("findings")

    @cached_property
    def data(self) -> list[Record]:
        """Data that was read: dataset, source, fingerprint, origin."""
        return self._rows("data")

    @cached_property
    def evaluated(self) -> list[Record]:
        """What evaluate stages measured: arm, seed, split, metric, value."""
        return self._rows("evaluated")

    @cached_property
    def kept(self) -> list[Record]:
        """Every metric of every trial at the checkpoint that was kept, or at the end: arm, seed, stage, split, metric, value,
        epoch."""
        return self._rows("kept")

    @cached_property
    def counted(self) -> list[Record]:
        """How many examples each stage measured that measures one split: arm, seed, stage, n (None: only numbers came)."""
        return self._rows("counted")

    @cached_property
    def probed(self) -> list[Record]:
        """Every metric of checkpoints that probes looked at, at each head's best epoch: arm, seed, stage, checkpoint, trained,
        epoch, picked, split, metric, value."""
        return self._rows("probed")

    @cached_property
    def phases(self) -> list[Record]:
        """Phases of fits: arm, seed, stage, phase (from 0), began, ended (epochs from 1), groups, ended_by, best, ..."""
        return self._rows("phases")

    @cached_property
    def _baselines(self) -> dict[tuple[str, str, str, str], list[Record]]:
        found: dict[tuple[str, str, str, str], list[Record]] = {}
        for r in self._rows("baselines"):
            found.setdefault((r["arm"], r["stage"], r["split"], r["metric"]), []).append(r)
        return found

    def trivial(self, wanted: Iterable[Wanted]) -> dict[str, float]:
        """What each trivial rule reaches in a metric, the one that ignores the input first.

        A rule that differs among what is wanted is left out, and so is one that nobody recorded.
        """
        found: dict[str, list[Record]] = {}
        for w in wanted:
            for row in self._baselines.get((w.arm, w.stage, w.split, w.metric), ()):
                found.setdefault(row["rule"], []).append(row)
        told = {}
        for rule in sorted(found, key=lambda rule: (rule != IGNORES_INPUT, rule)):
            low, high = min(r["low"] for r in found[rule]), max(r["high"] for r in found[rule])
            if math.isclose(low, high, rel_tol=1e-6, abs_tol=1e-9):
                told[rule] = float(found[rule][0]["value"])
        return told

    def seeds(self, wanted: Sequence[Wanted], seeds: Sequence[int] | None, epochs: tuple[int, int] | None) -> list[Record]:
        """Single seeds' curves: asked, arm, stage, seed, x, value."""
        return self._rows("seeds", *_lists(wanted, seeds, epochs))

    def means(
        self, wanted: Sequence[Wanted], seeds: Sequence[int] | None, epochs: tuple[int, int] | None, smooth: Smooth | None
    ) -> list[Record]:
        """Means over seeds, smoothed where asked: asked, arm, stage, x, mean, sd (None for n = 1), n."""
        return self._rows("means", *_lists(wanted, seeds, epochs), *_smoothing(smooth))

    def spread(
        self, wanted: Sequence[Wanted], families: Sequence[str], seeds: Sequence[int] | None, epochs: tuple[int, int] | None,
        smooth: Smooth | None,
    ) -> list[Record]:  # fmt: skip
        """Quantiles over arms, by the family of each that is wanted: asked, family, x, q (10, 50 and 90 %), n (arms)."""
        return self._rows("spread", *_lists(wanted, seeds, epochs), *_smoothing(smooth), list(families))

    def ends(self, wanted: Sequence[Wanted], seeds: Sequence[int] | None) -> list[Record]:
        """Where each arm's curve ends, lowest first: asked, arm, value."""
        return self._rows("ends", *_lists(wanted, seeds, None)[:7])

    def rates(self, arms: Sequence[str], stages: Sequence[str], seeds: Sequence[int] | None) -> list[Record]:
        """Learning rates of stages (`arms` and `stages` in step): arm, stage, seed, group, epochs and rates (lists in step)."""
        return self._rows("rates", list(arms), list(stages), None if seeds is None else list(seeds))

    def entries(self, ids: Sequence[str]) -> list[Record]:
        """Other entries, those that are known: entry, title, stages, done, states (of verdicts, or None)."""
        return self._given("entries", (list(ids), self.plan.profile)) if ids else []

    def select(self, sql: str, limit: int) -> Rows:
        """The first `limit` rows of a query of the page's author. Raises: UsageError when it can't be run."""
        return select(self.project, sql, {"entry": self.plan.id, "profile": self.plan.profile}, limit)

    def _rows(self, name: str, *params: Any) -> list[Record]:
        return self._given(name, (self.plan.id, self.plan.profile, *params))

    def _given(self, name: str, params: Sequence[Any]) -> list[Record]:
        found = query(self.project, _sql(name), params)
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def where_is(arm: ArmPlan, metric: str) -> tuple[str, str, str]:
    """(stage, split, name) that `[stage.]split/name` means for `arm`: an evaluation's split is its name."""
    stage, split, name = metric_ref(metric)
    if not stage:
        stage = split if split in arm.evaluations else arm.main_stage
    return stage, split, name


def objective_of(plan_stages: Mapping[str, Any], arm: ArmPlan, stage: str) -> str:
    """The type of the objective that `stage` of `arm` is trained for or measured by, "" where it has none."""
    for trial in arm.trials:
        for name, key in trial.stages:
            if name == stage and key in plan_stages:
                objective = plan_stages[key].settings.get("objective")
                return str(objective.get("type", "")) if isinstance(objective, Mapping) else ""
    return ""


def _smoothing(smooth: Smooth | None) -> tuple[int, float]:
    return (smooth.savgol or 0, smooth.ema or 0.0) if smooth else (0, 0.0)


def _lists(wanted: Sequence[Wanted], seeds: Sequence[int] | None, epochs: tuple[int, int] | None) -> list[Any]:
    first, last = epochs or (0, FAR)
    columns = [[getattr(w, name) for w in wanted] for name in ("arm", "stage", "split", "metric", "asked", "shift")]
    return [*columns, None if seeds is None else list(seeds), first, last]


@cache
def _sql(name: str) -> str:
    return (files("interpreter.report") / "queries" / f"{name}.sql").read_text("utf-8")
