"""From a checked page to a plan: arms x seeds become trials, trials become stages, equal stages become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interpreter.check.types import CheckedArm, CheckedEntry, CheckedPage, CheckedStage, Origin
from interpreter.plan.lock import Locked
from interpreter.plan.trials import replicates
from interpreter.plan.types import ArmPlan, EntryPlan, Input, Plan, SourceNeed, Stage, Trial
from interpreter.spec.base import Config, identity
from interpreter.spec.canonical import key_of
from interpreter.spec.components.contract import Dataset, settings

FORMAT = 1  # of the identity payload; raising it makes every key new


def build_plan(
    checked: CheckedPage,
    locked: Mapping[str, Locked],
    *,
    entries: tuple[str, ...] = (),
    arms: tuple[str, ...] = (),
    grown: Mapping[str, int] | None = None,
) -> Plan:
    """The plan of `checked`, of all its entries and arms or only of those named.

    `grown`: DATE/entry/arm -> how many seeds it has by now, for arms to which seeds are added while claims need them.
    """
    builder = Builder(checked, locked, grown or {})
    wanted = [entry for entry in checked.entries if not entries or entry.entry.name in entries]
    plans = tuple(builder.entry(entry, arms) for entry in wanted)
    page = checked.page
    return Plan(page.date, checked.profile, page.file, page.text, page.text_hash, page.title, plans, builder.stages)


@dataclass(slots=True)
class Before:
    """What a chain has had so far."""

    keys: list[tuple[str, str]] = field(default_factory=list)  # (stage name, key), in order
    fits: dict[str, str] = field(default_factory=dict)  # name -> key
    last: dict[str, tuple[CheckedStage, str]] = field(default_factory=dict)  # "fit", and "probe" where one came after it
    drawn: list[str] = field(default_factory=list)  # the data of each fit so far


class Builder:
    """Builds stages, each once; insertion order is topological."""

    def __init__(self, checked: CheckedPage, locked: Mapping[str, Locked], grown: Mapping[str, int]) -> None:
        self.checked, self.locked, self.grown = checked, locked, grown
        self.stages: dict[str, Stage] = {}
        self._known: dict[tuple[str, str, str, tuple[tuple[str, int], ...]], str] = {}
        self._identities: dict[int, tuple[Config, Any]] = {}

    def entry(self, entry: CheckedEntry, only: tuple[str, ...]) -> EntryPlan:
        """One entry with the trials of its arms, and of the arms of other entries that its claims name."""
        arms = [self._arm(arm.name, arm) for arm in entry.arms.values() if not only or arm.name in only or arm.base in only]
        arms += [self._arm(name, arm) for name, arm in entry.foreign.items()]
        return EntryPlan(self.checked.page.date, entry.id, self.checked.profile, entry.entry, tuple(arms), entry.problems)

    def _arm(self, name: str, arm: CheckedArm) -> ArmPlan:
        arm = arm.grown(self.grown.get(f"{arm.entry_id}/{arm.name}", 0))
        trials = tuple(Trial(name, label, levels, self._chain(arm, levels)) for label, levels in replicates(arm))
        several = any(len(seeds) > 1 for seeds in arm.seeds.values())
        given = tuple(level for level in arm.levels if several and len(arm.seeds[level]) == 1)
        return ArmPlan(
            name=name,
            chain=tuple(stage.name for stage in arm.chain),
            baseline=arm.baseline,
            main_stage=arm.main_stage,
            evaluations=arm.evaluations,
            trials=trials,
            given=given,
            data_names={stage.name: stage.data_name for stage in arm.chain},
            base=arm.base if name == arm.name else name.removesuffix(f"[{arm.point}]"),
            factors=arm.factors,
            growth=arm.growth,
        )

    def _chain(self, arm: CheckedArm, levels: Mapping[str, int], until: str = "") -> tuple[tuple[str, str], ...]:
        """The stages of one trial as (name, key), planned in order, up to and including `until`."""
        before = Before()
        told = tuple(sorted(levels.items()))
        for stage in arm.chain:
            where = (arm.entry_id, arm.name, stage.name, told)
            if where not in self._known:
                self._known[where] = self._stage(stage, before, levels, arm)
            key = self._known[where]
            before.keys.append((stage.name, key))
            if stage.kind in ("fit", "probe"):
                before.last[stage.kind] = (stage, key)
            if stage.kind == "fit":
                before.fits[stage.name] = key
                before.last.pop("probe", None)
                before.drawn.append(self._data_id(stage))
            if stage.name == until:
                break
        return tuple(before.keys)

    def _stage(self, stage: CheckedStage, before: Before, levels: Mapping[str, int], arm: CheckedArm) -> str:
        seed = levels[stage.name]
        match stage.kind:
            case "fit":
                return self._fit(stage, before, levels, arm)
            case "evaluate":
                return self._evaluate(stage, before)
            case "probe":
                return self._probe(stage, before, seed, arm)
            case "score":
                return self._score(stage, before, seed)
            case "combine":
                return self._combine(stage, seed, arm)
            case _:
                return self._import(stage, seed)

    def _start(
        self, stage: CheckedStage, before: Before, levels: Mapping[str, int], arm: CheckedArm
    ) -> tuple[Origin, Input | None]:
        origin = stage.origin
        if origin.kind == "previous":
            if "fit" not in before.last:
                return Origin("random"), None
            return origin, Input("start", before.last["fit"][1], origin.checkpoint, origin.take)
        if origin.kind != "result":
            return origin, None
        if not origin.arm:
            return origin, Input("start", before.fits[origin.stage], origin.checkpoint, origin.take)
        other = self._other(origin.entry, origin.arm, arm)
        chain = self._chain(other, _levels_like(other, levels[stage.name]), origin.stage)
        return origin, Input("start", dict(chain)[origin.stage], origin.checkpoint, origin.take)

    def _other(self, entry: str, name: str, arm: CheckedArm) -> CheckedArm:
        """The arm `name` of `entry`, or of the entry that `arm` is of."""
        return self.checked.reached[f"{entry or arm.entry_id}/{name}"]

    def _scores(self, stage: CheckedStage, seed: int, arm: CheckedArm) -> tuple[Input, ...]:
        """The score stages that the subset of a stage's data is chosen by."""
        found = []
        for scores in stage.scores:
            other = self._other(scores.entry, scores.arm, arm)
            levels = _levels_like(other, seed if scores.seed is None else scores.seed)
            found.append(Input("scores", dict(self._chain(other, levels, scores.stage))[scores.stage], "", ""))
        return tuple(found)

    def _fit(self, stage: CheckedStage, before: Before, levels: Mapping[str, int], arm: CheckedArm) -> str:
        assert stage.objective and stage.model and stage.head and stage.schedule and stage.data
        origin, source = self._start(stage, before, levels, arm)
        seed = levels[stage.name]
        data_id = self._data_id(stage)
        begin: dict[str, Any] = {"kind": "stage", "take": origin.take}
        if origin.kind == "random":
            begin = {"kind": "random"}
        elif origin.kind == "file":
            begin = {"kind": "file", "take": origin.take, "sha256": origin.sha256}
            begin |= {"map": dict(origin.map)} if origin.map else {}
        elif origin.new_channels != "error":
            begin["new_channels"] = origin.new_channels
        streams = {"data": data_id, "occurrence": before.drawn.count(data_id)}
        parts: dict[str, Config] = {
            "objective": stage.objective,
            "data": stage.data,
            "model": stage.model,
            "head": stage.head,
            "schedule": stage.schedule,
            "keep": stage.keep,
        }
        # What came to the language later is in the key only where it is used: keys of pages without it stay as they were.
        parts |= {name: part for name, part in (("thaw", stage.thaw), ("average", stage.average)) if part is not None}
        need = self._need(stage.data)
        scores = self._scores(stage, seed, arm)
        inputs = ((source,) if source else ()) + scores
        payload = {
            "format": FORMAT,
            "kind": "fit",
            "settings": {**{name: self._identity(part) for name, part in parts.items()}, "start": begin, "streams": streams},
            "inputs": [_input(each) for each in inputs],
            "data": {stage.data.source: _fingerprint(stage.data, need)},
            "seed": seed,
        }
        full = {**{name: settings(part) for name, part in parts.items()}, "start": begin, "streams": streams}
        if origin.kind == "file":
            full["start"] = {**begin, "file": origin.file}
        return self._add(stage, payload, full, inputs, need, seed)

    def _measured(self, before: Before, rule: str) -> tuple[CheckedStage, CheckedStage, Input]:
        """The fit whose encoder is measured next, the stage that its head is of, and the input that has the weights of both.

        That is a checkpoint of the fit, or what a probe after it picked.
        """
        fit, key = before.last["fit"]
        if rule == "picked":
            probe, picked = before.last["probe"]
            return fit, probe, Input("weights", picked, "picked", "all")
        return fit, fit, Input("weights", key, rule, "all")

    def _evaluate(self, stage: CheckedStage, before: Before) -> str:
        fit, probe, source = self._measured(before, stage.checkpoint)
        assert probe.objective and fit.model and probe.head and stage.data
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
            "objective": settings(probe.objective),
            "model": settings(fit.model),
            "head": settings(probe.head),
        }
        return self._add(stage, payload, full, (source,), need, 0)

    def _probe(self, stage: CheckedStage, before: Before, seed: int, arm: CheckedArm) -> str:
        assert stage.objective and stage.head and stage.schedule and stage.pick and stage.data
        fit, key = before.last["fit"]
        assert fit.model
        inputs = (*(Input("weights", key, rule, "encoder") for rule in stage.at), *self._scores(stage, seed, arm))
        need, data_id = self._need(stage.data), self._data_id(stage)
        parts: dict[str, Config] = {
            "objective": stage.objective,
            "data": stage.data,
            "head": stage.head,
            "schedule": stage.schedule,
            "pick": stage.pick,
        }
        more: dict[str, Any] = {"streams": {"data": data_id, "occurrence": before.drawn.count(data_id)}}
        more |= {"views": stage.views} if stage.views is not None else {}
        payload = {
            "format": FORMAT,
            "kind": "probe",
            "settings": {**{name: self._identity(part) for name, part in parts.items()}, **more},
            "inputs": [_input(each) for each in inputs],
            "data": {stage.data.source: _fingerprint(stage.data, need)},
            "seed": seed,
        }
        full = {**{name: settings(part) for name, part in parts.items()}, "model": settings(fit.model), **more}
        return self._add(stage, payload, full, inputs, need, seed)

    def _score(self, stage: CheckedStage, before: Before, seed: int) -> str:
        fit, probe, source = self._measured(before, stage.checkpoint)
        assert probe.objective and fit.model and probe.head and stage.data
        need = self._need(stage.data)
        asked = {"data": self._identity(stage.data), "part": stage.part, "replicates": stage.replicates}
        payload = {
            "format": FORMAT,
            "kind": "score",
            "settings": asked,
            "inputs": [_input(source)],
            "data": {stage.data.source: _fingerprint(stage.data, need)},
            "seed": seed,
        }
        full = {
            **asked,
            "data": settings(stage.data),
            "name": stage.part,
            "objective": settings(probe.objective),
            "model": settings(fit.model),
            "head": settings(probe.head),
        }
        return self._add(stage, payload, full, (source,), need, seed)

    def _combine(self, stage: CheckedStage, group: int, arm: CheckedArm) -> str:
        assert stage.combined and stage.objective
        combined = stage.combined
        other = self._other("", combined.arm, arm)
        inputs: list[Input] = []
        for seed in combined.groups[group]:
            levels = {name: seed if seed in seeds else seeds[0] for name, seeds in other.seeds.items()}
            key = dict(self._chain(other, levels))[combined.stage]
            inputs.append(Input("member", key, "best", "all"))
        inputs.sort(key=lambda each: each.key)  # who is a member decides the numbers, not who comes first
        how = {"how": combined.settings.how, "objective": self._identity(stage.objective)}
        payload = {
            "format": FORMAT,
            "kind": "combine",
            "settings": {"combine": how, "part": stage.part},
            "inputs": [_input(each) for each in inputs],
        }
        full = {"combine": {**how, "objective": settings(stage.objective)}, "part": stage.part, "name": stage.part}
        return self._add(stage, payload, full, tuple(inputs), None, group)

    def _import(self, stage: CheckedStage, seed: int) -> str:
        assert stage.imported
        said = stage.imported.settings
        path, facts = stage.imported.files[seed]
        asked = {
            # A file that is not here is known by its path, so that two of them are two.
            "sha256": facts.sha256 or f"absent: {f'{said.from_}/' if said.from_ else ''}{path}",
            "kind": facts.kind,
            "split": said.split,
            "columns": said.columns,
            "epoch": said.epoch,
            "first_epoch": said.first_epoch,
            "seed_column": said.seed,
            "objective": said.objective,
        }
        # What came to the language later is in the key only where it is used: keys of pages without it stay as they were.
        asked |= {"each": said.each_name, "model": stage.imported.model} if stage.imported.model else {}
        asked |= {"ids": said.ids} if said.ids is not None else {}
        payload = {"format": FORMAT, "kind": "import", "settings": {"import": asked}, "inputs": [], "seed": seed}
        told = {**asked, "sha256": facts.sha256, "path": path, "source": said.source}
        told |= {"from": said.from_} if said.from_ is not None else {}
        full: dict[str, Any] = {"import": told, "name": said.split, "data_name": stage.data_name}
        if stage.data is not None:
            need = self._need(stage.data)
            known = stage.data.facts().splits
            part = said.split if said.split in known or "test" not in known else "test"
            full["measured"] = {"data": settings(stage.data), "part": part, "fingerprint": need.fingerprint if need else ""}
        return self._add(stage, payload, full, (), None, seed)

    def _add(
        self,
        stage: CheckedStage,
        payload: dict[str, Any],
        full: dict[str, Any],
        inputs: tuple[Input, ...],
        need: SourceNeed | None,
        seed: int,
    ) -> str:
        if stage.rerun:
            payload["rerun"] = stage.rerun
        key = key_of(payload)
        if key not in self.stages:
            needs = (need,) if need else ()
            self.stages[key] = Stage(key, stage.kind, stage.name, payload, full, inputs, needs, seed, stage.unbuilt)
        return key

    def _need(self, data: Dataset) -> SourceNeed | None:
        if data.source == "embedded":
            return None
        row = self.locked.get(data.source)
        return SourceNeed(data.source, row.fingerprint if row else "")

    def _data_id(self, stage: CheckedStage) -> str:
        data = stage.data
        assert data is not None
        return key_of({"data": self._identity(data), "fingerprint": _fingerprint(data, self._need(data))})

    def _identity(self, config: Config) -> Any:
        """`identity(config)`, worked out once per object: a plan of a thousand trials has few configs."""
        known = self._identities.get(id(config))
        if known is None:
            known = self._identities[id(config)] = (config, identity(config))
        return known[1]


def _levels_like(other: CheckedArm, seed: int) -> dict[str, int]:
    """The seeds of another arm's trial that goes with this one: the same seed, or its only one. It is there: that was checked."""
    known = other.whole.seeds  # one that it has not got yet is trained for this
    assert all(seed in seeds or len(seeds) == 1 for seeds in known.values()), (other.name, seed)
    return {name: seed if seed in seeds else seeds[0] for name, seeds in known.items()}


def _input(source: Input) -> dict[str, str]:
    return {"role": source.role, "key": source.key, "checkpoint": source.checkpoint, "take": source.take}


def _fingerprint(data: Dataset, need: SourceNeed | None) -> str:
    return need.fingerprint if need else data.embedded_fingerprint
