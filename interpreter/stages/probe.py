"""A probe: a head on the frozen encoder of each of several checkpoints of a fit, and which of them is best.

Encoders never change, so features are computed once and kept (see `feeding`), and all heads take their steps together (see
`heads`). Every head begins with the same weights and sees the same examples in the same order, those of a fit on the same data
whose encoder is frozen: candidates differ in nothing but their encoders. Rules that mean the same file share one head.

The pick is the candidate whose head reached the best value of `pick.best`, in the earliest of its epochs that has it; of equal
candidates the one whose checkpoint is the earliest, or the latest, as `pick.ties` says. Its encoder and the head of that epoch
are `checkpoints/picked.pt`.

At the end of an epoch, in this order: events (synced), the checkpoint of all heads, removal of the one before. So a probe that
was interrupted goes on from its last epoch, with the same bits on the CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from interpreter.errors import StageFailed
from interpreter.parts import random
from interpreter.parts.optim.averages import evaluated
from interpreter.run.events import effective, read_events
from interpreter.run.record import PICKED, Record, now
from interpreter.spec.components.schedules import Schedule
from interpreter.stages import checkpoint as checkpoints
from interpreter.stages import probed, rules
from interpreter.stages.feeding import Feed, Frozen
from interpreter.stages.heads import Stack, State, separable, why_in_turn
from interpreter.stages.judging import Progress, check_splits, judge, lower_is_better, stops
from interpreter.stages.memory import rss_mb
from interpreter.stages.module import model_of, objective_of
from interpreter.stages.orders import Orders
from interpreter.stages.predictions import Predictions
from interpreter.stages.probed import Candidate
from interpreter.stages.training import Streams, head_identity, keeps_outputs, small_tables, splits_read, steps_of_epochs
from interpreter.stages.work import Event, Stopped, Work, data_events, finding


class Probe:
    """One attempt at a probe."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.settings: Mapping[str, Any] = work.stage.settings
        self.schedule: Mapping[str, Any] = self.settings["schedule"]
        self.pick: Mapping[str, Any] = self.settings["pick"]
        self.data = work.data()
        self.objective = objective_of(self.settings, self.data)
        self.model = model_of(self.settings, self.data, self.objective, work.stage.seed)
        self.device = work.fabric().device
        self.splits = splits_read(self.data)
        check_splits(self.data.splits, self.splits, self.pick["best"], "")
        self.streams = Streams.of(self.settings, work.stage.seed, self.objective)
        self.orders = Orders(self.data, *self.streams.order)
        self.candidates = self._candidates()
        self.frozen = list(dict.fromkeys(candidate.frozen for candidate in self.candidates))
        self.feed = Feed(work, self.data, self.model, self.frozen, self.streams)
        self.steps = steps_of_epochs(self.schedule, self.orders.counts(self.schedule["epochs"]))
        self.epoch = self.step = 0
        self.progress = [Progress() for _ in self.frozen]
        self.ended = [""] * len(self.frozen)  # why a head takes no part any more
        self.best_heads: list[State] = [{} for _ in self.frozen]

    def _candidates(self) -> list[Candidate]:
        found: list[Candidate] = []
        heads: dict[Frozen, int] = {}
        for source in self.work.stage.inputs:
            if source.role == "weights":
                path = checkpoints.of_rule(Record.of(self.work.project, source.key), source.checkpoint)
                frozen = Frozen.of(source.key, path)
                found.append(Candidate(source.checkpoint, heads.setdefault(frozen, len(heads)), frozen))
        return found

    def run(self) -> int:
        """Train all heads, pick, and write DONE; returns the epochs reached.

        Raises: Stopped at a safe point when asked to; StageFailed; Fenced; OSError.
        """
        try:
            self._resume_or_begin()
            while self.epoch < self.schedule["epochs"] and not all(self.ended):
                if self.work.stop():
                    raise Stopped(self.epoch)
                self._epoch()
            self._finish()
        finally:
            self.feed.close()
        return self.epoch

    def _resume_or_begin(self) -> None:
        began, work = time.perf_counter(), self.work
        found, refused = checkpoints.newest(work.record, work.events.size())
        if found is not None and found["encoders"] != [frozen.hash for frozen in self.frozen]:
            found, refused = None, [*refused, "the heads so far are on encoders that have been made anew since"]
        self.epoch = found["epoch"] + 1 if found else 0
        work.events.write({"kind": "attempt", "resume_epoch": self.epoch, "t": now()})
        self.feed.prepare(self.splits, self.epoch)
        self.features_s: float | None = round(time.perf_counter() - began, 4)
        self._stack()
        said: list[Event] = []
        if found is None:
            why = f"the encoders of {', '.join(candidate.at for candidate in self.candidates)}, frozen; the heads are random"
            said.append({"kind": "start", "epoch": 0, "from": self.candidates[0].frozen.fit, "carried": ["encoder"], "why": why})
            said += data_events(self.data, self.settings["data"]["type"])
            said += rules.baseline_events(rules.on_splits(self.data, self.objective, self.splits))
            said += [finding(0, code, text, "note") for code, text in self.feed.findings]
            if self._in_turn and len(self.frozen) > 1:
                said.append(finding(0, "heads-in-turn", f"heads are trained one after the other: {self._in_turn}", "note"))
            said += probed.of_shared(self.candidates)
        else:
            self.step, self.ended, self.best_heads = found["step"], list(found["ended"]), list(found["best_heads"])
            self.progress = [Progress(**progress) for progress in found["progress"]]
            for stack, state in zip(self.stacks, found["stacks"], strict=True):
                stack.load(state)
        said += [finding(self.epoch, code, text) for code, text in work.notes]
        said += [finding(self.epoch, "checkpoint-refused", text) for text in refused]
        work.events.write(*said)

    def _stack(self) -> None:
        """Make the heads: one stack of all, or where that can't be, as many as there are heads."""
        self._in_turn = why_in_turn(self.model.head, Schedule.model_validate(dict(self.schedule)), self.feed.ndim)
        stacked = not self._in_turn
        sizes = [len(self.frozen)] if stacked else [1] * len(self.frozen)
        alike = stacked and separable(self.objective, self.data.splits["train"].targets[:64])
        made = (self.model, self.objective, self.schedule, self.steps)
        self.stacks = [Stack(*made, size, device=self.device, stacked=stacked, separable=alike) for size in sizes]
        self._spans = [range(len(self.frozen))] if stacked else [range(place, place + 1) for place in range(len(self.frozen))]

    def _epoch(self) -> None:
        epoch, began = self.epoch, time.perf_counter()
        metrics = self._train(epoch)
        train_seconds = time.perf_counter() - began
        for split in self.splits[1:]:  # the first one is train
            targets = self.data.splits[split].targets
            for head, outputs in enumerate(self._evaluated(split, epoch)):
                found = self.objective.metrics(outputs, targets)
                metrics[head] |= {f"{split}/{name}": value for name, value in found.items()}
        said: list[Event] = []
        active = [head for head, why in enumerate(self.ended) if not why]
        for head in active:
            said += self._judge(head, epoch, metrics[head])
        rates = self.stacks[active[0] if self._in_turn else 0].rates.now()
        for span, stack in zip(self._spans, self.stacks, strict=True):
            if self._in_turn and span[0] in active:
                stack.rates.observe(metrics[span[0]])
        resources = {"seconds": round(time.perf_counter() - began, 4), "it_per_s": round(self.steps[epoch] / train_seconds, 3)}
        resources |= {"rss_mb": round(rss_mb(), 1)} | ({} if self.features_s is None else {"features_s": self.features_s})
        self.features_s = None
        line: Event = {"kind": "epoch", "epoch": epoch, "t": now(), "step": self.step, "examples": self._examples, "metrics": {}}
        lead = self._lead()
        if lead is not None:
            best = self.progress[lead.head].best or {}
            line |= {"best": {**best, "checkpoint": lead.at}, "lead": {best["metric"]: metrics[lead.head][best["metric"]]}}
        line |= {"rates": rates, "phase": 0, "resources": resources}
        told: list[Event] = [
            {"kind": "probe", "epoch": epoch, "checkpoint": candidate.at, "metrics": metrics[candidate.head]}
            for candidate in self.candidates
            if candidate.head in active
        ]
        offset = self.work.events.write(line, *told, *said)
        self.epoch = epoch + 1
        self._save(offset)

    def _train(self, epoch: int) -> list[dict[str, float]]:
        """Train all heads for an epoch; returns metrics of each, "train/loss" and those of its outputs as they were made."""
        for stack in self.stacks:
            stack.begin_epoch(random.derive(*self.streams.dropout, epoch, 0))
        order, steps, device = self.orders.of(epoch), self.steps[epoch], self.device
        running = keeps_outputs(self.objective, self.model, len(order))
        total = torch.zeros(len(self.frozen), dtype=torch.float64)
        outputs: list[Tensor] = []
        targets: list[Tensor] = []
        self._examples = 0
        for number, (features, y) in enumerate(self.feed.train(order, epoch)):
            if self.streams.luck is not None:
                self.streams.luck(epoch, number)
            x, on_device = features.to(device, non_blocking=True), y.to(device, non_blocking=True)
            made = []
            for span, stack in zip(self._spans, self.stacks, strict=True):
                out, losses = stack.step(x[span.start : span.stop], on_device, self.step, each=not running)
                if losses is not None:
                    total[span.start : span.stop] += losses.double().cpu() * len(y)
                made.append(out)
            if running:
                outputs.append(torch.cat(made))
                targets.append(y)
            self._examples += len(y)
            self.step += 1
            self.work.attempt.at = (epoch, number + 1, steps)
        self.feed.check()
        if not running:
            return [{"train/loss": float(value) / self._examples} for value in total]
        every, known = torch.cat(outputs, dim=1).float().cpu(), torch.cat(targets)
        found = [self.objective.metrics(one, known) for one in every]
        # Where the loss is a mean over examples, it is that of all of the epoch's outputs at once.
        losses = (
            [float(self.objective.loss(one, known)) for one in every]
            if self.stacks[0].separable
            else (total / self._examples).tolist()
        )
        found = [{**of, "loss": loss} for of, loss in zip(found, losses, strict=True)]
        return [{f"train/{name}": value for name, value in of.items()} for of in found]

    def _evaluated(self, split: str, epoch: int, heads: Sequence[State] | None = None) -> Tensor:
        """Outputs for a split after `epoch`, by the heads as they are, or by others. Shape: (S, N, outputs) on the CPU."""
        parts = []
        for features in self.feed.evaluated(split, epoch):
            x, made = features.to(self.device, non_blocking=True), []
            for span, stack in zip(self._spans, self.stacks, strict=True):
                own = x[span.start : span.stop]
                made.append(stack.outputs(own) if heads is None else stack.with_heads([heads[i] for i in span], own))
            parts.append(torch.cat(made))
        return self.feed.mean_over_poses(split, torch.cat(parts, dim=1)).float().cpu()

    def _judge(self, head: int, epoch: int, metrics: Mapping[str, float]) -> list[Event]:
        """Note whether the epoch is a head's best, and whether it is its last; returns findings."""
        progress = self.progress[head]
        if not math.isfinite(metrics["train/loss"]):
            self.ended[head] = "no longer finite"
            at = next(candidate.at for candidate in self.candidates if candidate.head == head)
            text = f"train/loss of the head on {at} is {metrics['train/loss']} in epoch {epoch + 1}: it is not trained on"
            return [finding(epoch, "non-finite-loss", text, "error")]
        if judge(progress, epoch, metrics, self.pick["best"], self.schedule):
            span, stack = next((s, t) for s, t in zip(self._spans, self.stacks, strict=True) if head in s)
            self.best_heads[head] = stack.head(head - span.start)
        self.ended[head] = stops(progress, self.schedule)
        return []

    def _lead(self) -> Candidate | None:
        """The candidate that would be picked now; None while there is no number."""
        return probed.picked(self.candidates, self.progress, self.pick)

    def _save(self, offset: int) -> None:
        """Write the checkpoint of the epoch just finished, then remove the one before."""
        content = {
            "format": 1,
            "key": self.work.stage.key,
            "attempt": self.work.attempt.number,
            "epoch": self.epoch - 1,
            "step": self.step,
            "encoders": [frozen.hash for frozen in self.frozen],
            "stacks": [stack.state() for stack in self.stacks],
            "best_heads": self.best_heads,
            "progress": [asdict(progress) for progress in self.progress],
            "ended": self.ended,
            "best": None,  # of a probe no other epoch's file is ever needed
            "event_offset": offset,
            "predictions": [],
        }
        checkpoints.save(self.work, content)
        checkpoints.prune(self.work, {self.epoch - 1})

    def _finish(self) -> None:
        """Pick, keep what was picked, say what the candidates show, write DONE."""
        pick = self._lead()
        if pick is None:
            raise StageFailed(
                f"{self.pick['best']} was never a finite number, so no checkpoint can be picked",
                hint="a smaller learning rate, clipping or a warm-up",
            )
        best = self.progress[pick.head].best
        assert best is not None
        reached, lines = self.epoch, effective(read_events(self.work.record.events).lines)
        said = rules.of_rules(lines, best["metric"], best["value"], lower_is_better(best["metric"]), reached)
        segments: list[str] = []
        if "val" in self.splits:
            targets = self.data.splits["val"].targets
            outputs = self._best_outputs()
            said += probed.of_outputs(self.candidates, outputs, targets, self.objective, best["metric"], reached)
            own = outputs[pick.head]
            said += small_tables(self.objective, own, targets, best["epoch"])
            mode = "none" if self.work.project.execution.keep_predictions == "none" else "best"
            predictions = Predictions(self.work, "val", mode, [])
            predictions.targets(self.data.splits["val"])
            predictions.add(best["epoch"], self.objective.combined(own), is_best=True)
            segments = predictions.segments
        why = "early stopping" if "early stopping" in self.ended and reached < self.schedule["epochs"] else "planned epochs"
        told = probed.candidate_events(self.candidates, self.progress, self.pick, reached)
        self._keep(pick, best["epoch"])
        end: Event = {"kind": "end", "epoch": reached, "planned": self.schedule["epochs"], "reached": reached, "why": why}
        self.work.events.write(*said, *told, end)
        self.work.finish(
            {
                "planned_epochs": self.schedule["epochs"],
                "epochs": reached,
                "best": {**best, "checkpoint": PICKED},
                "last": None,
                "picked": {"at": pick.at, "epoch": best["epoch"], "checkpoint": PICKED},
                "spread": probed.spread(self.progress),
                "predictions": {"val": segments} if segments else {},
                "why": why,
            }
        )

    def _best_outputs(self) -> dict[int, Tensor]:
        """Outputs for val of each head at its best epoch, the best head first. Shape: (N, outputs)."""
        drawn = "val" in self.data.anew  # then what val is depends on the epoch
        made: dict[int, Tensor] = {}
        found: dict[int, Tensor] = {}
        for head in probed.ranked(self.candidates, self.progress, self.pick):
            best = self.progress[head].best
            assert best is not None
            epoch = best["epoch"] if drawn else 0
            if epoch not in made:
                made[epoch] = self._evaluated("val", epoch, [state or self.best_heads[head] for state in self.best_heads])
            found[head] = made[epoch][head]
        return found

    def _keep(self, pick: Candidate, epoch: int) -> None:
        """Write the checkpoint of the encoder and the head that were picked, for what comes after the probe."""
        encoder = evaluated(checkpoints.load(pick.frozen.path))
        content = {
            "format": 1,
            "key": self.work.stage.key,
            "attempt": self.work.attempt.number,
            "epoch": epoch,
            "at": pick.at,
            "model": {k: v for k, v in encoder.items() if k.startswith("encoder.")} | self.best_heads[pick.head],
            "averages": None,
            "head_identity": head_identity(self.settings, self.objective, self.data),
            "class_names": list(self.data.class_names),
        }
        self.work.write(self.work.record.checkpoints / PICKED, lambda file: torch.save(content, file))


def run_probe(work: Work) -> int:
    """Do a probe; returns the epochs reached. Raises: Stopped, StageFailed, Fenced, OSError."""
    return Probe(work).run()
