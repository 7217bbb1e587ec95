"""A fit: Lightning Fabric under one small loop, bit-identical on the CPU whether or not it was interrupted.

At the end of an epoch, in this order: predictions, the epoch's events (synced), the checkpoint, removal of what it
supersedes. So a checkpoint never names what is not on disk, and a later attempt goes on from the newest one. A phase that has
ended is left at the beginning of the next epoch, so the checkpoint of an epoch always is what that epoch trained.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from interpreter.errors import StageFailed
from interpreter.parts import random
from interpreter.parts.contract import Draw
from interpreter.parts.optim.averages import Averages
from interpreter.run.events import effective, read_events
from interpreter.run.record import now
from interpreter.stages import checkpoint as checkpoints
from interpreter.stages import diagnostics, findings, members, memory, rules, turning
from interpreter.stages.batches import Batches, outputs_of
from interpreter.stages.judging import Progress, check_splits, judge, lower_is_better, stops
from interpreter.stages.memory import Watch
from interpreter.stages.module import TrainingUnit, clip_arguments, model_of, objective_of
from interpreter.stages.orders import Orders
from interpreter.stages.phases import Thawing
from interpreter.stages.predictions import Predictions, mode_of
from interpreter.stages.rates import Rates
from interpreter.stages.start import begin
from interpreter.stages.training import Streams, head_identity, keeps_outputs, small_tables, splits_read, steps_of_epochs
from interpreter.stages.work import Event, Stopped, Work, data_events, finding


class Fit:
    """One attempt at a fit."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.settings: Mapping[str, Any] = work.stage.settings
        self.schedule: Mapping[str, Any] = self.settings["schedule"]
        self.keep: Mapping[str, Any] = self.settings["keep"]
        self.progress = Progress()
        self.data = work.data()
        self.objective = objective_of(self.settings, self.data)
        self.fabric = work.fabric()
        model = model_of(self.settings, self.data, self.objective, work.stage.seed)
        self.head_identity = head_identity(self.settings, self.objective, self.data)
        self.model = model
        self._idle: tuple[int, ...] = getattr(self.objective, "idle", ())
        self.streams = Streams.of(self.settings, work.stage.seed, self.objective, model.orders)
        self.orders = Orders(self.data, *self.streams.order)
        self.splits = splits_read(self.data)
        self.thawing = Thawing(self.settings.get("thaw"), model)
        check_splits(self.data.splits, self.splits, self.keep["best"], self.thawing.monitored)
        self.steps = steps_of_epochs(self.schedule, self.orders.counts(self.schedule["epochs"]))
        self.rates = Rates(self.schedule, self.thawing.phases, self.steps)
        workers, restart = work.numerics.loader_workers, work.project.execution.restart_workers
        self.batches = {name: Batches(self.data, name, workers, restart) for name in self.splits}
        self.watch = Watch()
        self._resume_or_begin(model)

    def _resume_or_begin(self, model: torch.nn.Module) -> None:
        """Set model, optimizer and progress up from the newest checkpoint of use, or from the stage's start."""
        work = self.work
        found, refused = checkpoints.newest(work.record, work.events.size())
        resume_epoch = found["epoch"] + 1 if found else 0
        said: list[Event] = [{"kind": "attempt", "resume_epoch": resume_epoch, "t": now()}]
        if found is None:
            carried = begin(work, model, self.head_identity)
            where = {"from": carried.source, "carried": list(carried.parts), "why": carried.why}
            hashes, differs = diagnostics.of_start(model, carried.encoder_hash)
            said += [{"kind": "start", "epoch": 0, **where, **hashes}, *differs]
            said += data_events(self.data, self.settings["data"]["type"])
        else:
            model.load_state_dict(found["model"])
        unit = TrainingUnit(model, self.objective, self.schedule, self.thawing.phases if "thaw" in self.settings else ())
        self.unit = self.fabric.setup_module(unit)
        optimizer = unit.configure_optimizers()
        if found is None:
            said += members.of_start(model, self.settings["model"], self.schedule["precision"])
            self.thawing.freeze_all_but(self.thawing.ever)  # the optimizer holds what trains in some phase
            said += findings.of_optimizer(model, optimizer)
            self.thawing.freeze_all_but(self.thawing.phase.parameters)
            self.rates.bind(optimizer)
            said += [
                self.thawing.event("start", self.rates.planned(0)),
                *rules.baseline_events(rules.on_splits(self.data, self.objective, self.splits)),
            ]
        else:
            optimizer.load_state_dict(found["optimizer"])
            self.progress = Progress(resume_epoch, found["step"], found["best"], found["early_stopping"], found["reported"])
            self.thawing.load(found)
            self.rates.load(found["rate"])
            self.rates.bind(optimizer)
        self.held = diagnostics.Held(model, self.thawing)
        self.optimizer: Any = self.fabric.setup_optimizers(optimizer)
        average = self.settings.get("average")
        self.averages = Averages(average, model, self.schedule["epochs"]) if average else None
        if self.averages is not None and found is not None:
            self.averages.load(found["averages"])
        said += [finding(resume_epoch, code, text) for code, text in work.notes]
        said += [finding(resume_epoch, "checkpoint-refused", text) for text in refused]
        n_val = len(self.data.splits["val"]) if "val" in self.data.splits else 0
        asked = work.project.execution.keep_predictions
        mode = found["keep_predictions"] if found else mode_of(asked, n_val, self.objective.outputs, self.schedule["epochs"])
        self.predictions = Predictions(work, "val", mode if n_val else "none", found["predictions"] if found else [])
        if n_val:
            self.predictions.targets(self.data.splits["val"])
        work.events.write(*said)

    def run(self) -> None:
        """Train to the end and write DONE. Raises: Stopped at the end of an epoch when asked to; StageFailed; Fenced."""
        try:
            why = self._stops()
            while self.progress.epoch < self.schedule["epochs"] and not why:
                if self.work.stop():
                    raise Stopped(self.progress.epoch)
                self._epoch()
                why = self._stops()
            self._finish(why if self.progress.epoch < self.schedule["epochs"] else "planned epochs")
        finally:
            for batches in self.batches.values():
                batches.close()

    def _stops(self) -> str:
        """Why the fit ends before its planned epochs, "" when it does not: a phase before the last one is never its end."""
        return stops(self.progress, self.schedule) if self.thawing.last else ""

    def _epoch(self) -> None:
        self._leave_phase()
        epoch, began = self.progress.epoch, time.perf_counter()
        norms = None if epoch else members.NormCounts(self.model)  # told of once, of the first epoch
        train_metrics = self._train(epoch)
        train_seconds = time.perf_counter() - began
        first = self.thawing.clock.epochs == 0
        said: list[Event] = findings.of_gradients(self.model, self.thawing.phase.new, epoch, self._idle) if first else []
        said += [] if norms is None else norms.since(epoch, members.passes_of(self._examples, self.schedule))
        metrics = {f"train/{name}": value for name, value in train_metrics.items()}
        made = self._outputs(epoch)
        for split, outputs in made.items():
            targets = self.data.splits[split].targets
            said += findings.of_count(epoch, split, len(targets), len(outputs))
            metrics |= {f"{split}/{name}": value for name, value in self.objective.metrics(outputs, targets).items()}
        outputs = made.get("val")
        if outputs is not None and self.objective.constant(outputs):
            said += self._once("constant-predictions", epoch, "every validation example gets the same prediction")
        is_best = judge(self.progress, epoch, metrics, self.keep["best"], self.schedule)
        rates = self.rates.now()
        self.rates.observe(metrics)
        self.thawing.observe(epoch, metrics)
        if outputs is not None and is_best:
            said += small_tables(self.objective, outputs, self.data.splits["val"].targets, epoch)
        if outputs is not None:
            self.predictions.add(epoch, self.objective.combined(outputs), is_best)
        if not math.isfinite(metrics["train/loss"]):
            said.append(finding(epoch, "non-finite-loss", f"train/loss is {metrics['train/loss']} in epoch {epoch + 1}", "error"))
        resources = {
            "seconds": round(time.perf_counter() - began, 4),
            "it_per_s": round(self.steps[epoch] / train_seconds, 3),
            "rss_mb": round(memory.rss_mb(), 1),
            **self.watch.resources(),
        }
        line: Event = {"kind": "epoch", "epoch": epoch, "t": now(), "step": self.progress.step, "examples": self._examples}
        phase = self.thawing.clock.phase
        line |= {"metrics": metrics, "rates": rates, "phase": phase, "best": self.progress.best, "resources": resources}
        offset = self.work.events.write(line, *said)
        if not math.isfinite(metrics["train/loss"]):
            raise StageFailed(
                f"train/loss became {metrics['train/loss']} in epoch {epoch + 1}",
                hint="a smaller learning rate, clipping or a warm-up; the epochs before are kept",
            )
        self.progress.epoch = epoch + 1
        self._save(offset)

    def _train(self, epoch: int) -> dict[str, float]:
        """Train one epoch; returns the example-weighted loss and, where cheap, metrics of the outputs as they were made."""
        order = self.orders.of(epoch)
        iterator = self._batches_of(order, epoch)
        # After the iterator: whatever making it drew, dropout begins the epoch at the same place.
        torch.manual_seed(random.derive(*self.streams.dropout, epoch, 0))
        unit, optimizer, fabric, device = self.unit, self.optimizer, self.fabric, self.fabric.device
        clip, parts, rates = clip_arguments(self.schedule["clip"]), self.schedule.get("accumulate", 1), self.rates
        averages, steps = self.averages, self.steps[epoch]
        running = keeps_outputs(self.objective, self.model, len(order))
        total = torch.zeros((), device=device, dtype=torch.float32 if device.type == "mps" else torch.float64)
        outputs, targets, examples, step = [], [], 0, self.progress.step
        self.thawing.train(unit)
        for number, (x, y) in enumerate(self.watch.over(iterator, steps)):
            if self.streams.luck is not None:
                self.streams.luck(epoch, number)
            rates.set(step)
            optimizer.zero_grad(set_to_none=True)
            if parts == 1:
                # The forward pass goes through the module that Fabric set up: on one device, a call of any other method of it
                # would pass by the precision that was asked for.
                made = unit(x.to(device, non_blocking=True))
                loss = self.objective.loss(made, y.to(device, non_blocking=True))
                fabric.backward(loss)
            else:
                made, loss = self._in_parts(x, y, parts)
            if clip:
                fabric.clip_gradients(unit, optimizer, **clip)
            optimizer.step()
            if averages is not None:
                averages.step()
            total += loss.detach() * len(y)
            if running:
                outputs.append(made.detach())
                targets.append(y)
            examples += len(y)
            step += 1
            self.work.attempt.at = (epoch, number + 1, steps)
        del iterator
        if averages is not None:
            averages.epoch(epoch)
        self.progress.step = step
        self._examples = examples
        metrics = self.objective.metrics(torch.cat(outputs).float().cpu(), torch.cat(targets)) if running else {}
        return {**metrics, "loss": float(total) / examples}

    def _outputs(self, epoch: int) -> dict[str, torch.Tensor]:
        """Outputs for every split that is evaluated, after the training of an epoch."""
        evaluated = [name for name in self.batches if name != "train"]
        if not evaluated:
            return {}
        draw = Draw(self.streams.evaluate, epoch)
        with self._evaluated(epoch):
            return {name: outputs_of(self.unit, self.batches[name], self.fabric.device, draw) for name in evaluated}

    def _batches_of(self, order: np.ndarray, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        draws = [Draw(stream, epoch) for stream in self.streams.augment]
        return self.batches["train"].train(order, self.schedule["batch_size"], draws, bool(self.schedule["drop_last"]))

    @contextmanager
    def _evaluated(self, epoch: int) -> Iterator[None]:
        """The weights that an epoch is evaluated with: the averaged ones where there are any, with statistics that fit them."""
        averages, device = self.averages, self.fabric.device
        if averages is None:
            yield
            return
        self.thawing.train(self.unit)
        if averages.needs_estimate():
            iterator = self._batches_of(self.orders.of(epoch), epoch)
            torch.manual_seed(random.derive(*self.streams.dropout, epoch, 1))
            averages.estimate(lambda batch: self.unit(batch[0].to(device)), iterator)
        with averages.applied():
            yield

    def _in_parts(self, x: torch.Tensor, y: torch.Tensor, parts: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a batch's gradient up, part by part; returns outputs and the mean loss, as of the whole batch.

        Parts are as equal as can be, and weighted by their examples, so for a loss that is a mean over examples the gradient is
        that of the batch. Batch normalization sees a part at a time.
        """
        device = self.fabric.device
        made, total = [], torch.zeros((), device=device)
        for some, targets in zip(x.tensor_split(parts), y.tensor_split(parts), strict=True):
            if len(targets):  # the last batch of an epoch may have fewer examples than parts
                outputs = self.unit(some.to(device, non_blocking=True))
                loss = self.objective.loss(outputs, targets.to(device, non_blocking=True)) * (len(targets) / len(y))
                self.fabric.backward(loss)
                total += loss.detach()
                made.append(outputs.detach())
        return torch.cat(made), total

    def _leave_phase(self) -> None:
        """Go over into the next phase, when the one at hand has ended."""
        why, thawing, epoch = self.thawing.due(), self.thawing, self.progress.epoch
        if not why:
            return
        said = findings.of_phase_end(thawing, why, epoch) + self.held.changed(epoch)
        restored = None
        if thawing.needs:
            restored = thawing.needs[0]
            self._restore(checkpoints.load(self.work.record.checkpoint(restored)))
        ended = thawing.advance()
        self.held.remember()
        self.progress.restart_stopping(forget=thawing.thaw.best == "phase")
        self.rates.begin_phase(self.progress.step)
        self.rates.bind(self.optimizer.optimizer)
        said += findings.of_rates(self.rates, thawing, epoch)
        began = thawing.event(why, self.rates.planned(thawing.phase.index))
        self.work.events.write(began | {"best": ended.best, "restored": restored}, *said)

    def _restore(self, checkpoint: checkpoints.Checkpoint) -> None:
        """Go back to the weights, buffers and optimizer state of a checkpoint. The clock, the step and the rates go on."""
        self.thawing.freeze_all_but(checkpoint["trainable"])
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        if self.averages is not None:
            self.averages.load(checkpoint["averages"])

    def _once(self, code: str, epoch: int, text: str) -> list[Event]:
        if code in self.progress.reported:
            return []
        self.progress.reported.append(code)
        return [finding(epoch, code, text)]

    def _save(self, offset: int) -> None:
        """Write the checkpoint of the epoch just finished, then remove what it supersedes."""
        progress, epoch = self.progress, self.progress.epoch - 1
        content = {
            "format": 1,
            "key": self.work.stage.key,
            "attempt": self.work.attempt.number,
            "epoch": epoch,
            "step": progress.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": progress.best,
            "early_stopping": progress.stopping,
            "reported": progress.reported,
            **self.thawing.state(),
            "curriculum": None if self.data.growing is None else {"examples": self._examples},
            "averages": None if self.averages is None else self.averages.state(),
            "rate": self.rates.state(),
            "event_offset": offset,
            "head_identity": self.head_identity,
            "class_names": list(self.data.class_names),
            "keep_predictions": self.predictions.mode,
            "predictions": self.predictions.segments,
        }
        checkpoints.save(self.work, content)
        every = self.keep.get("every")
        kept = {epoch, *self.thawing.needs} | ({progress.best["epoch"]} if progress.best else set())
        checkpoints.prune(self.work, kept | {e for e in range(epoch) if every and (e + 1) % every == 0})
        self.predictions.prune()

    def _finish(self, why: str) -> None:
        """Say what the curves show, merge predictions, write DONE."""
        reached, best = self.progress.epoch, self.progress.best
        if best is None:
            raise StageFailed(f"{self.keep['best']} was never a finite number, so no epoch is the best")
        lines = effective(read_events(self.work.record.events).lines)
        epochs = [line for line in lines if line["kind"] == "epoch"]
        said = findings.of_curves(epochs, reached) + findings.of_phases(self.rates, self.thawing, reached, self.progress.step)
        said += rules.of_rules(lines, best["metric"], best["value"], lower_is_better(best["metric"]), reached)
        said += memory.of_attempt([line for line in epochs if line["attempt"] == self.work.attempt.number], reached)
        stagnant, still = diagnostics.of_losses(lines, reached)
        said += self.held.changed(reached) + still + members.of_end(epochs, reached)
        end: Event = {"kind": "end", "epoch": reached, "planned": self.schedule["epochs"], "reached": reached, "why": why}
        end["stagnant_epochs"] = stagnant
        self.work.events.write(*said, *turning.of_end(self.model, self.data, reached), end)
        self.predictions.compact()
        self.work.finish(
            {
                "planned_epochs": self.schedule["epochs"],
                "epochs": reached,
                "best": {**best, "checkpoint": self.work.record.checkpoint(best["epoch"]).name},
                "last": {"epoch": reached - 1, "checkpoint": self.work.record.checkpoint(reached - 1).name},
                "predictions": {"val": self.predictions.segments} if self.predictions.segments else {},
                "why": why,
            }
        )
        self.predictions.prune()


def run_fit(work: Work) -> int:
    """Do a fit; returns the epochs reached. Raises: Stopped, StageFailed, Fenced, OSError."""
    fit = Fit(work)
    fit.run()
    return fit.progress.epoch
