"""From a checked page to a plan: arms x seeds become trials, trials become stages, equal stages become one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from interpreter.check.types import CheckedArm, CheckedEntry, CheckedPage, CheckedStage, Origin
from interpreter.errors import PageError, Problem
from interpreter.plan.lock import Locked
from interpreter.plan.types import ArmPlan, EntryPlan, Input, Plan, SourceNeed, Stage, Trial
from interpreter.spec.base import Config, identity
from interpreter.spec.canonical import key_of
from interpreter.spec.components.contract import Dataset, settings

FORMAT = 1  # of the identity payload; raising it makes every key new


def build_plan(
    checked: CheckedPage, locked: Mapping[str, Locked], *, entries: tuple[str, ...] = (), arms: tuple[str, ...] = ()
) -> Plan:
    """The plan of `checked`, of all its entries and arms or only of those named.

    Raises: PageError for a start whose arm has not the seed that it would need.
    """
    builder = Builder(checked, locked)
    wanted = [entry for entry in checked.entries if not entries or entry.entry.name in entries]
    plans = tuple(builder.entry(entry, arms) for entry in wanted)
    page = checked.page
    return Plan(page.date, checked.profile, page.file, page.text, page.text_hash, page.title, plans, builder.stages)


class Builder:
    """Builds stages, each once; insertion order is topological."""

    def __init__(self, checked: CheckedPage, locked: Mapping[str, Locked]) -> None:
        self.checked, self.locked = checked, locked
        self.stages: dict[str, Stage] = {}
        self._known: dict[tuple[str, str, str, tuple[tuple[str, int], ...]], str] = {}
        self._identities: dict[int, tuple[Config, Any]] = {}

    def entry(self, entry: CheckedEntry, only: tuple[str, ...]) -> EntryPlan:
        """One entry with the trials of its arms, and of the arms of other entries that its claims name."""
        arms = [self._arm(arm.name, arm, entry) for arm in entry.arms.values() if not only or arm.name in only]
        claimed = {side.arm for claim in entry.entry.claims for side in (claim.left, claim.right)}
        arms += [self._arm(name, arm, entry) for name, arm in entry.foreign.items() if name in claimed]
        return EntryPlan(self.checked.page.date, entry.id, self.checked.profile, entry.entry, tuple(arms), entry.problems)

    def _arm(self, name: str, arm: CheckedArm, entry: CheckedEntry) -> ArmPlan:
        trials = tuple(Trial(name, label, levels, self._chain(arm, levels, entry)) for label, levels in replicates(arm))
        several = any(len(seeds) > 1 for seeds in arm.seeds.values())
        given = tuple(level for level in arm.levels if several and len(arm.seeds[level]) == 1)
        evaluations = tuple(stage.name for stage in arm.chain if stage.kind == "evaluate")
        return ArmPlan(
            name=name,
            chain=tuple(stage.name for stage in arm.chain),
            baseline=arm.baseline,
            main_stage=arm.main_stage,
            evaluations=evaluations,
            trials=trials,
            given=given,
            data_names={stage.name: stage.data_name for stage in arm.chain},
        )

    def _chain(
        self, arm: CheckedArm, levels: Mapping[str, int], entry: CheckedEntry, until: str = ""
    ) -> tuple[tuple[str, str], ...]:
        """The stages of one trial as (name, key), planned in order, up to and including `until`."""
        keys: list[tuple[str, str]] = []
        fit: CheckedStage | None = None
        fits: dict[str, str] = {}
        drawn: list[str] = []
        for stage in arm.chain:
            where = (arm.entry_id, arm.name, stage.name, tuple(sorted(levels.items())))
            if where not in self._known:
                if stage.kind == "fit":
                    start = self._start(stage, fit, fits, levels, arm, entry)
                    self._known[where] = self._fit(stage, start, levels[stage.name], drawn)
                else:
                    assert fit is not None  # check refuses a chain that evaluates before it fits
                    self._known[where] = self._evaluate(stage, fit, fits[fit.name])
            key = self._known[where]
            keys.append((stage.name, key))
            if stage.kind == "fit":
                fit = stage
                fits[stage.name] = key
                drawn.append(self._data_id(stage.data))
            if stage.name == until:
                break
        return tuple(keys)

    def _start(
        self,
        stage: CheckedStage,
        before: CheckedStage | None,
        fits: Mapping[str, str],
        levels: Mapping[str, int],
        arm: CheckedArm,
        entry: CheckedEntry,
    ) -> tuple[Origin, Input | None]:
        origin = stage.origin
        if origin.kind == "previous":
            if before is None:
                return Origin("random"), None
            return origin, Input("start", fits[before.name], "best", origin.take)
        if origin.kind != "result":
            return origin, None
        if not origin.arm and not origin.entry:
            return origin, Input("start", fits[origin.stage], origin.checkpoint, origin.take)
        other = entry.foreign[f"{origin.entry}/{origin.arm}"] if origin.entry else entry.arms[origin.arm]
        chain = self._chain(other, self._levels_like(other, levels, stage), entry, origin.stage)
        return origin, Input("start", dict(chain)[origin.stage], origin.checkpoint, origin.take)

    def _levels_like(self, other: CheckedArm, levels: Mapping[str, int], stage: CheckedStage) -> dict[str, int]:
        """The seeds of another arm's trial that goes with this one: the same seed, or its only one."""
        seed = levels[stage.name]
        out = {}
        for name, seeds in other.seeds.items():
            if len(seeds) > 1 and seed not in seeds:
                raise PageError(
                    [
                        Problem(
                            "missing-seed",
                            f"`{stage.name}` starts from arm `{other.name}` of {other.entry_id} at seed {seed}, and it has none",
                            stage.place,
                            expected=f"seeds {seeds[0]} to {seeds[-1]}",
                            got=str(seed),
                        )
                    ]
                )
            out[name] = seed if seed in seeds else seeds[0]
        return out

    def _fit(self, stage: CheckedStage, start: tuple[Origin, Input | None], seed: int, drawn: list[str]) -> str:
        assert stage.objective and stage.model and stage.head and stage.schedule
        origin, source = start
        data_id = self._data_id(stage.data)
        how = {"random": {"kind": "random"}, "file": {"kind": "file", "take": origin.take, "sha256": origin.sha256}}
        begin: dict[str, Any] = how.get(origin.kind, {"kind": "stage", "take": origin.take})
        streams = {"data": data_id, "occurrence": drawn.count(data_id)}
        parts: dict[str, Config] = {
            "objective": stage.objective,
            "data": stage.data,
            "model": stage.model,
            "head": stage.head,
            "schedule": stage.schedule,
            "keep": stage.keep,
        }
        need = self._need(stage.data)
        payload = {
            "format": FORMAT,
            "kind": "fit",
            "settings": {**{name: self._identity(part) for name, part in parts.items()}, "start": begin, "streams": streams},
            "inputs": [_input(source)] if source else [],
            "data": {stage.data.source: _fingerprint(stage.data, need)},
            "seed": seed,
        }
        full = {**{name: settings(part) for name, part in parts.items()}, "start": begin, "streams": streams}
        if origin.kind == "file":
            full["start"] = {**begin, "file": origin.file}
        return self._add(stage, payload, full, (source,) if source else (), need, seed)

    def _evaluate(self, stage: CheckedStage, fit: CheckedStage, weights: str) -> str:
        assert fit.objective and fit.model and fit.head
        source = Input("weights", weights, stage.checkpoint, "all")
        need = self._need(stage.data)
        payload = {
            "format": FORMAT,
            "kind": "evaluate",
            "settings": {"data": self._identity(stage.data), "part": stage.part},
            "inputs": [_input(source)],
            "data": {stage.data.source: _fingerprint(stage.data, need)},
        }
        # What is measured is called by the split it is measured on; the stage's own name is the page's affair.
        full = {
            "data": settings(stage.data),
            "part": stage.part,
            "name": stage.part,
            "objective": settings(fit.objective),
            "model": settings(fit.model),
            "head": settings(fit.head),
        }
        return self._add(stage, payload, full, (source,), need, 0)

    def _add(
        self,
        stage: CheckedStage,
        payload: dict[str, Any],
        full: dict[str, Any],
        inputs: tuple[Input, ...],
        need: SourceNeed | None,
        seed: int,
    ) -> str:
        key = key_of(payload)
        if key not in self.stages:
            self.stages[key] = Stage(key, stage.kind, stage.name, payload, full, inputs, (need,) if need else (), seed)
        return key

    def _need(self, data: Dataset) -> SourceNeed | None:
        if data.source == "embedded":
            return None
        row = self.locked.get(data.source)
        return SourceNeed(data.source, row.fingerprint if row else "")

    def _data_id(self, data: Dataset) -> str:
        return key_of({"data": self._identity(data), "fingerprint": _fingerprint(data, self._need(data))})

    def _identity(self, config: Config) -> Any:
        """`identity(config)`, worked out once per object: a plan of a thousand trials has few configs."""
        known = self._identities.get(id(config))
        if known is None:
            known = self._identities[id(config)] = (config, identity(config))
        return known[1]


def replicates(arm: CheckedArm) -> list[tuple[int, dict[str, int]]]:
    """Each trial of `arm` as its label and the seed of each stage: every combination of the levels that were given.

    The label is the seed where one level varies; with several, trials are counted from 0 in nested order.
    """
    names = list(arm.seeds)
    if not arm.levels:
        seeds = arm.seeds[names[0]]
        return [(seed, dict.fromkeys(names, seed)) for seed in seeds]
    out = []
    varying = [level for level in arm.levels if len(arm.seeds[level]) > 1]
    for index, seeds in enumerate(itertools.product(*(arm.seeds[level] for level in arm.levels))):
        chosen = dict(zip(arm.levels, seeds, strict=True))
        levels, current = {}, seeds[0]
        for name in names:
            current = chosen.get(name, current)
            levels[name] = current
        label = chosen[varying[0]] if len(varying) == 1 else index
        out.append((label, levels))
    return out


def _input(source: Input) -> dict[str, str]:
    return {"role": source.role, "key": source.key, "checkpoint": source.checkpoint, "take": source.take}


def _fingerprint(data: Dataset, need: SourceNeed | None) -> str:
    return need.fingerprint if need else data.embedded_fingerprint
