"""Probes: heads on frozen encoders, whose numbers are those of the plain way, however they are come by."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interpreter.catalog import typed
from interpreter.parts.build import build_data, build_model, build_objective
from interpreter.parts.contract import Model
from interpreter.plan.types import Input, Stage
from interpreter.project import Project
from interpreter.run.record import Record
from interpreter.spec.canonical import key_of
from interpreter.spec.components.contract import settings
from interpreter.spec.components.schedules import Schedule
from interpreter.stages import probed
from interpreter.stages.feature_cache import FOLDER, Encoder, Wanted, obtain
from interpreter.stages.feeding import Frozen
from interpreter.stages.heads import Stack, separable, why_in_turn
from interpreter.stages.judging import Progress
from interpreter.stages.main import run_stage
from interpreter.stages.probed import Candidate
from tests.stages.build import OBJECTIVE, evaluate, fit, schedule, start_from
from tests.stages.build import project as make_project
from tests.stages.doing import codes, do, fork, kill, lines, same

CLOTHING = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "clothing"
STILL = {"type": "digits", "source": "embedded", "per_class": 30}
MOVED = {**STILL, "shift": 1}
NET = {"type": "cnn2d", "channels": [4, 8]}
HEAD = {"hidden": 12, "dropout": 0.25}
LINEAR = {"hidden": None, "dropout": 0.0}
PICK = {"best": "val/accuracy", "ties": "earliest"}
Told = dict[str, list[dict[str, float]]]


def probe(of: Stage, at: tuple[str, ...], *, seed: int = 0, epochs: int = 4, views: int | None = None, **changes: Any) -> Stage:
    """A probe of the fit `of`; `changes` replace settings, and those of the schedule by `schedule_NAME`."""
    rates = {k.removeprefix("schedule_"): v for k, v in changes.items() if k.startswith("schedule_")}
    rest = {k: v for k, v in changes.items() if not k.startswith("schedule_")}
    told: dict[str, Any] = {
        "objective": OBJECTIVE, "data": STILL, "head": HEAD, "schedule": schedule(epochs, **rates), "pick": PICK,
        "model": of.settings["model"], "streams": {"data": "d1617", "occurrence": 1},
    } | ({} if views is None else {"views": views}) | rest  # fmt: skip
    inputs = tuple(Input("weights", of.key, rule, "encoder") for rule in at)
    identity = {"kind": "probe", "settings": told, "inputs": [[i.key, i.checkpoint] for i in inputs], "seed": seed}
    return Stage(key_of(identity), "probe", "head", identity, told, inputs, (), seed)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Stage]:
    """A project with a fit that kept its second, fourth and sixth epoch, the last one."""
    home = make_project(tmp_path_factory.mktemp("probes").resolve())
    keep = {"best": "val/loss", "every": 2, "last": True}
    trained = fit("backbone", epochs=6, data=STILL, model=NET, head=LINEAR, keep=keep)
    assert do(home, trained) == ["done"]
    return home, trained


def told(home: Project, stage: Stage) -> Told:
    """Checkpoint -> metrics of each epoch."""
    found: Told = {}
    for line in lines(home, stage, "probe"):
        found.setdefault(line["checkpoint"], []).append(dict(line["metrics"]))
    return found


def near(a: list[dict[str, float]], b: list[dict[str, float]], by: float = 1e-5) -> None:
    assert len(a) == len(b) > 0
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys()
        for name in ("train/loss", "val/loss", "train/nll", "val/brier", "train/accuracy", "val/accuracy"):
            assert one[name] == pytest.approx(other[name], rel=by, abs=by), name


def frozen_fit(of: Stage, rule: str, like: Stage) -> Stage:
    """The usual way to the numbers of one candidate: a fit on the same data whose encoder is frozen."""
    alike = {k: like.settings[k] for k in ("data", "head", "schedule", "streams", "model")}
    return fit("frozen", inputs=start_from(of, rule, "encoder-only"), thaw={"by": "frozen"}, seed=like.seed, **alike)


@pytest.mark.parametrize("data", [STILL, MOVED], ids=["still", "moved"])
def test_numbers_are_those_of_fits_with_a_frozen_encoder(fitted: tuple[Project, Stage], data: dict[str, Any]) -> None:
    home, trained = fitted
    folder = home.cache / FOLDER / trained.key
    stage, before = probe(trained, ("epoch-2", "epoch-6"), data=data, epochs=3), set(folder.glob("*.npy"))
    assert do(home, stage) == ["done"]
    for rule, curve in told(home, stage).items():
        usual = frozen_fit(trained, rule, stage)
        assert do(home, usual) == ["done"]
        near(curve, [dict(line["metrics"]) for line in lines(home, usual, "epoch")])
        (rates, theirs) = ([line["rates"] for line in lines(home, each, "epoch")] for each in (stage, usual))
        assert rates == theirs
    kept = sorted(path.name.split("-")[2] for path in set(folder.glob("*.npy")) - before)
    # Moved training examples are not kept, and nobody looks at test.
    assert kept == (["train", "train", "val", "val"] if data is STILL else ["val", "val"])


def test_the_pick_is_what_comes_after_the_probe(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    stage = probe(trained, ("epoch-2", "epoch-4", "epoch-6", "last"), pick={"best": "val/accuracy", "ties": "latest"})
    on_val = evaluate("again", stage, part="val", checkpoint="picked")
    on_test = evaluate("final", stage, part="test", checkpoint="picked")
    assert do(home, stage, on_val, on_test) == ["done"] * 3
    done = Record.of(home, stage.key).done()
    assert done is not None
    curves = told(home, stage)
    assert curves["epoch-6"] == curves["last"]  # one file, one head
    best = {at: max(m["val/accuracy"] for m in curve) for at, curve in curves.items()}
    pick = done["picked"]
    assert best[pick["at"]] == max(best.values())
    assert done["best"]["value"] == best[pick["at"]]
    assert pick["epoch"] == [m["val/accuracy"] for m in curves[pick["at"]]].index(best[pick["at"]])
    assert pick["checkpoint"] == done["best"]["checkpoint"] == "picked.pt"
    (line,) = lines(home, on_val, "epoch")
    assert line["metrics"]["again/accuracy"] == best[pick["at"]]
    assert line["metrics"]["again/loss"] == pytest.approx(curves[pick["at"]][pick["epoch"]]["val/loss"], rel=1e-6)
    (start,) = lines(home, on_test, "start")
    assert "picked.pt (picked)" in start["why"]
    candidates = lines(home, stage, "candidate")
    assert [(c["checkpoint"], c["file"], c["trained"]) for c in candidates] == [
        ("epoch-2", "epoch-0001.pt", 1),
        ("epoch-4", "epoch-0003.pt", 3),
        ("epoch-6", "epoch-0005.pt", 5),
        ("last", "epoch-0005.pt", 5),
    ]
    assert [c["value"] for c in candidates] == list(best.values())
    assert [c["checkpoint"] for c in candidates if "why" in c] == [pick["at"]]
    assert done["spread"]["max"] == max(best.values())
    assert done["spread"]["min"] == min(best.values())
    said = [line["text"] for line in lines(home, stage, "finding") if line["code"] == "same-checkpoint"]
    assert said == ["epoch-6 and last are one checkpoint: one head stands for them"]
    weights = torch.load(Record.of(home, trained.key).checkpoint(candidates[[*curves].index(pick["at"])]["trained"]))["model"]
    picked = torch.load(Record.of(home, stage.key).checkpoints / "picked.pt")["model"]
    assert all(torch.equal(picked[k], weights[k]) for k in weights if k.startswith("encoder."))


@pytest.mark.parametrize(
    ("ties", "values", "at"),
    [
        ("earliest", [0.5, 0.9, 0.9, 0.9], "epoch-4"),
        ("latest", [0.5, 0.9, 0.9, 0.9], "epoch-6"),  # not `last`: of two names of one file the first
        ("latest", [0.9, 0.9, 0.5, 0.5], "epoch-4"),
        ("earliest", [None, 0.2, None, None], "epoch-4"),
        ("earliest", [None, None, None, None], None),
    ],
)
def test_ties_go_by_the_epoch_of_the_checkpoint(ties: str, values: list[float | None], at: str | None) -> None:
    found = Path("epoch-0005.pt"), Path("epoch-0003.pt"), Path("epoch-0001.pt")
    encoders = [Frozen("key", path, path.name) for path in found]
    candidates = [Candidate(name, head, encoders[head]) for name, head in
                  (("epoch-2", 2), ("epoch-4", 1), ("epoch-6", 0), ("last", 0))]  # fmt: skip
    by_head = {2: values[0], 1: values[1], 0: values[2]}
    progress = [Progress() for _ in range(3)]
    for head, value in by_head.items():
        if value is not None:
            progress[head].best = {"metric": "val/accuracy", "value": value, "epoch": 0}
    pick = {"best": "val/accuracy", "ties": ties}
    chosen = probed.picked(candidates, progress, pick)
    assert (chosen and chosen.at) == at
    if chosen is not None and values.count(0.9) > 1:
        (why,) = [line["why"] for line in probed.candidate_events(candidates, progress, pick, 9) if "why" in line]
        assert why.endswith(f"the {ties} is taken")


def test_views_are_the_first_epochs_draws(fitted: tuple[Project, Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    home, trained = fitted
    at = ("epoch-2", "epoch-4")
    anew, four, two = (probe(trained, at, data=MOVED, head=LINEAR, views=views) for views in (None, 4, 2))
    assert do(home, anew, four, two) == ["done"] * 3
    curves = told(home, anew)
    for rule in at:
        near(curves[rule], told(home, four)[rule])  # each epoch has a view of its own
        near(curves[rule][:2], told(home, two)[rule][:2])
        assert abs(curves[rule][2]["train/loss"] - told(home, two)[rule][2]["train/loss"]) > 1e-4
    named = [path.name for path in (home.cache / FOLDER / trained.key).glob("epoch-0001-train-view-*.npy")]
    assert sorted(name.rsplit("-", 1)[0] for name in named) == [
        f"epoch-0001-train-view-{v}" for v in range(4)
    ]  # two of four reused
    calls = counted(monkeypatch)
    other = probe(trained, at, data=MOVED, head=HEAD, views=3)
    assert do(home, other) == ["done"]
    assert calls == []


def test_views_of_what_is_not_augmented_are_alike(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    stage, plain = probe(trained, ("epoch-2",), views=3, epochs=1), probe(trained, ("epoch-2",), epochs=1)
    assert do(home, stage, plain) == ["done"] * 2
    assert codes(home, stage).count("views-alike") == 1
    assert codes(home, plain).count("views-alike") == 0
    assert told(home, stage) == told(home, plain)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that go through an encoder from here on."""
    calls: list[int] = []
    through = Encoder.__call__

    def counting(self: Encoder, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return through(self, x)

    monkeypatch.setattr(Encoder, "__call__", counting)
    return calls


def test_features_are_computed_once_and_may_be_thrown_away(
    fitted: tuple[Project, Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, trained = fitted
    data = {**STILL, "per_class": 25}
    calls = counted(monkeypatch)
    first = probe(trained, ("epoch-2", "epoch-4", "best"), data=data)
    assert do(home, first) == ["done"]
    done = Record.of(home, trained.key).done()
    assert done is not None
    files = {"epoch-0001.pt", "epoch-0003.pt", done["best"]["checkpoint"]}
    assert sum(calls) == len(files) * (250 + len(build_data(data, None, home.cache).splits["val"]))
    calls.clear()
    assert do(home, probe(trained, ("epoch-2", "epoch-4"), data=data, seed=3, head=LINEAR, epochs=6)) == ["done"]
    assert calls == []
    folder = home.cache / FOLDER / trained.key
    kept = sorted(folder.glob("epoch-0001-*.npy"))
    kept[0].unlink()
    kept[1].write_bytes(kept[1].read_bytes()[:1000])  # cut off
    (home.root / "moved").mkdir()
    again = Record.of(home, first.key).folder.rename(home.root / "moved" / "first")
    assert do(home, first) == ["done"]
    assert 0 < len(calls) < 10
    before = torch.load(again / "checkpoints" / "picked.pt")["model"]
    after = torch.load(Record.of(home, first.key).checkpoints / "picked.pt")["model"]
    same(dict(before), dict(after))
    assert not list(folder.glob("*.lock"))
    assert not list(folder.glob(".*"))


def test_two_at_once_share_the_work(tmp_path: Path) -> None:
    made: list[str] = []

    def making(name: str) -> Callable[[], Iterator[torch.Tensor]]:
        def make() -> Iterator[torch.Tensor]:
            made.append(name)
            for _ in range(4):
                time.sleep(0.02)
                yield torch.full((2, 3), float(len(name)))

        return make

    wanted = [Wanted(tmp_path / f"{'x' * n}.npy", 8, making("x" * n)) for n in range(1, 5)]
    found: list[list[np.ndarray]] = []
    threads = [threading.Thread(target=lambda: found.append(obtain(wanted, lambda: None))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["x", "xx", "xxx", "xxxx"]  # each by one of them
    assert len(found) == 2
    for arrays in found:
        assert [array.shape for array in arrays] == [(8, 3)] * 4
        assert [float(array[7, 2]) for array in arrays] == [1.0, 2.0, 3.0, 4.0]


def test_an_encoder_that_changes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_project(tmp_path)
    trained = fit("backbone", epochs=1, data=STILL, model=NET, head=LINEAR)
    assert do(home, trained) == ["done"]
    setup = Encoder.__init__

    def moving(self: Encoder, *given: Any) -> None:
        setup(self, *given)
        self._unit.train()  # batch normalization goes on counting

    monkeypatch.setattr(Encoder, "__init__", moving)
    (how,) = do(home, probe(trained, ("last",)))
    assert how.startswith("failed: the encoder of epoch-0000.pt")
    assert "changed while it was frozen" in how
    assert not list((home.cache / FOLDER).rglob("*.npy"))


CASES: dict[str, dict[str, Any]] = {
    "sgd": {
        "optimizer": {"type": "sgd", "lr": 0.3, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        "clip": {"norm": 0.4},
    },
    "no-decay": {"optimizer": {"type": "sgd", "lr": 0.3, "weight_decay": 0.1, "decay_exclude": "norm_and_bias"}, "clip": None},
    "adamw": {"optimizer": {"type": "adamw", "lr": 0.02}, "clip": {"value": 0.01}, "accumulate": 3},
    "rmsprop": {"optimizer": {"type": "rmsprop", "lr": 0.01, "momentum": 0.5, "centered": True}, "lr_times": {"head": 0.5}},
    "adagrad": {"optimizer": {"type": "adagrad", "lr": 0.05}, "lr_schedule": {"type": "constant"}},
    "rprop": {"optimizer": {"type": "rprop", "lr": 0.01}, "batch_size": 300},
}


@pytest.mark.parametrize("name", CASES)
def test_heads_together_come_out_as_alone(name: str) -> None:
    objective, model = _tiny({"hidden": [10, 6], "dropout": 0.3})
    asked = schedule(2, **CASES[name])
    y = torch.arange(300) % 10
    features = torch.randn(3, 300, 8, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 5.0, 0.2])[:, None, None]
    assert why_in_turn(model.head, Schedule.model_validate(asked), 1) == ""
    assert separable(objective, y[:64])
    device, size = torch.device("cpu"), asked["batch_size"]
    steps = [-(-300 // size)] * 2

    def trained(places: range, together: bool) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
        stack = Stack(model, objective, asked, steps, len(places), device=device, stacked=together, separable=together)
        number = 0
        for epoch in range(2):
            stack.begin_epoch(epoch)
            for begin in range(0, 300, size):
                at = slice(begin, begin + size)
                stack.step(features[places.start : places.stop, at], y[at], number, each=False)
                number += 1
        own = features[places.start : places.stop]
        return [stack.head(place) for place in range(len(places))], stack.outputs(own)

    heads, outputs = trained(range(3), together=True)
    assert not torch.allclose(heads[0]["head.0.weight"], heads[1]["head.0.weight"], atol=1e-3)
    for place in range(3):
        (alone,), own = trained(range(place, place + 1), together=False)
        for key, value in alone.items():
            assert torch.allclose(heads[place][key], value, rtol=1e-5, atol=1e-5), (place, key)
        assert torch.allclose(outputs[place], own[0], rtol=1e-4, atol=1e-4)


def _tiny(head: dict[str, Any]) -> tuple[Any, Model]:
    data = build_data(STILL, None, Path())
    objective = build_objective({**OBJECTIVE, "label_smoothing": 0.1}, data)
    return objective, build_model({"type": "cnn2d", "channels": [8]}, head, data.shape, 10, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule_optimizer": {"type": "adafactor", "lr": 0.05}},
        {"schedule_lr_schedule": {"type": "plateau", "times": 0.1, "patience": 1, "monitor": "val/loss"}},
    ],
    ids=["adafactor", "plateau"],
)
def test_heads_that_cannot_be_together_take_turns(fitted: tuple[Project, Stage], changes: dict[str, Any]) -> None:
    home, trained = fitted
    both = probe(trained, ("epoch-2", "epoch-6"), **changes)
    alone = [probe(trained, (rule,), **changes) for rule in ("epoch-2", "epoch-6")]
    assert do(home, both, *alone) == ["done"] * 3
    assert "heads-in-turn" in codes(home, both)
    for rule, stage in zip(("epoch-2", "epoch-6"), alone, strict=True):
        assert told(home, both)[rule] == told(home, stage)[rule]


def test_each_head_stops_early_by_itself(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    changes = {"schedule_early_stopping": {"monitor": "val/loss", "patience": 2, "min_delta": 0.0}, "head": LINEAR,
               "schedule_lr_schedule": {"type": "constant"}, "schedule_optimizer": {"type": "sgd", "lr": 1.0}}  # fmt: skip
    rules = ("epoch-2", "epoch-6")
    both, *alone = (probe(trained, of, epochs=12, **changes) for of in (rules, *((rule,) for rule in rules)))
    assert do(home, both, *alone) == ["done"] * 3
    lengths = {rule: len(curve) for rule, curve in told(home, both).items()}
    assert len(set(lengths.values())) == 2  # one went on when the other had stopped
    for rule, stage in zip(rules, alone, strict=True):
        assert len(told(home, stage)[rule]) == lengths[rule]
        near(told(home, both)[rule], told(home, stage)[rule])
    done = Record.of(home, both.key).done()
    assert done is not None
    assert done["epochs"] == max(lengths.values())


def outcome(home: Project, stage: Stage) -> dict[str, Any]:
    """Everything of a finished probe that must not depend on whether it was interrupted."""
    record = Record.of(home, stage.key)
    done = record.done()
    assert done is not None
    picked = torch.load(record.checkpoints / "picked.pt", weights_only=True)
    last = torch.load(record.checkpoint(done["epochs"] - 1), weights_only=True)
    kinds = ("epoch", "probe", "candidate", "baseline", "table", "end")
    return {
        "events": [{k: v for k, v in line.items() if k not in ("attempt", "t", "resources")} for kind in kinds
                   for line in lines(home, stage, kind)],
        "done": {k: v for k, v in done.items() if k not in ("attempt", "finished", "events_bytes")},
        "picked": {k: v for k, v in picked.items() if k != "attempt"},
        "last": {k: v for k, v in last.items() if k not in ("attempt", "event_offset")},
        "predictions": {p.name: p.read_bytes() for p in sorted((record.predictions / "val").iterdir())},
    }  # fmt: skip


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_an_interrupted_probe_arrives_where_it_would_have(fitted: tuple[Project, Stage], tmp_path: Path, how: str) -> None:
    home, trained = fitted
    stage = probe(trained, ("epoch-2", "epoch-6"), data=MOVED if how == "stopped" else STILL, epochs=30 if how == "killed" else 6)
    assert do(home, stage) == ["done"]
    whole = outcome(home, stage)
    other = make_project(tmp_path.resolve())
    other.runs.mkdir()
    os.symlink(Record.of(home, trained.key).folder, Record.of(other, trained.key).folder)
    record = Record.of(other, stage.key)
    if how == "killed":
        pid = fork(other, stage)
        while not (
            record.checkpoints.is_dir() and len(list(record.checkpoints.glob("epoch-*.pt"))) and lines(other, stage, "epoch")
        ):
            time.sleep(0.005)
        kill(pid)
        assert record.done() is None
    else:
        record.write_stage(stage)
        asked = iter(range(1000))
        ended = run_stage(other, stage.key, lambda: next(asked) >= 9)  # some while features are computed, then once an epoch
        assert ended.how == "stopped"
    assert 0 < len(lines(other, stage, "epoch")) < stage.epochs
    assert do(other, stage) == ["done"]
    assert max(line["attempt"] for line in lines(other, stage, "epoch")) == 2
    same(whole, outcome(other, stage))


def test_a_stop_while_features_are_computed_keeps_what_is_there(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    stage = probe(trained, ("epoch-2", "epoch-4", "epoch-6"), data={**STILL, "per_class": 12}, epochs=1)
    Record.of(home, stage.key).write_stage(stage)
    asked = iter(range(1000))
    before = set((home.cache / FOLDER).rglob("*.npy"))
    assert run_stage(home, stage.key, lambda: next(asked) >= 5).how == "stopped"
    assert 0 < len(set((home.cache / FOLDER).rglob("*.npy")) - before) < 6
    assert lines(home, stage, "epoch") == []
    assert do(home, stage) == ["done"]


def test_findings_on_what_the_heads_came_to(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    lazy = probe(trained, ("epoch-2",), schedule_optimizer={"type": "sgd", "lr": 1e-9}, schedule_lr_schedule={"type": "constant"})
    assert do(home, lazy) == ["done"]
    assert "no-better-than-baseline" in codes(home, lazy)
    far = {"schedule_optimizer": {"type": "sgd", "lr": 1e38}, "schedule_lr_schedule": {"type": "constant"}, "schedule_clip": None}
    wild = probe(trained, ("epoch-2", "epoch-6"), epochs=2, head=LINEAR, **far)
    (how,) = do(home, wild)
    assert how.startswith("failed: val/accuracy was never a finite number")
    assert codes(home, wild).count("non-finite-loss") == 2

    candidates = [Candidate(f"epoch-{n}", n, Frozen("key", Path(f"epoch-{n}.pt"), str(n))) for n in range(3)]
    objective, _ = _tiny(LINEAR)
    y = torch.arange(200) % 10
    sure = torch.nn.functional.one_hot(y, 10).float()
    wrong = sure.roll(1, dims=1)

    def said(a: int, b: int) -> list[str]:
        """What is said where the best head is right on `a` examples that the other is wrong on, and wrong on `b` others."""
        one, other = sure.clone(), sure.clone()
        other[:a], one[a : a + b] = wrong[:a], wrong[a : a + b]
        lines = probed.of_outputs(candidates, {1: one, 0: other, 2: wrong}, y, objective, "val/accuracy", 5)
        return [line["text"] for line in lines if line["code"] == "pick-within-noise"]

    assert said(20, 6) == []  # 14 apart: 1.96 times the root of 26 is 9.99
    assert said(15, 6) == []  # 9 apart, against 8.98
    (text,) = said(14, 6)  # 8 apart, against 8.77
    assert text.startswith("epoch-1 and epoch-0, the two best, are right where the other is wrong on 14 and 6 of 200")
    constant = probed.of_outputs(candidates, {2: torch.ones(200, 10)}, y, objective, "val/loss", 5)
    assert [line["code"] for line in constant] == ["constant-predictions"]
    assert "epoch-2" in constant[0]["text"]


def test_a_checkpoint_that_is_not_there_is_told(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    (how,) = do(home, probe(trained, ("epoch-3",)))
    assert "kept no checkpoint `epoch-3`" in how
    (how,) = do(home, probe(trained, ("last",), pick={"best": "val/nonsense", "ties": "earliest"}))
    assert "val/nonsense" in how


def test_heads_on_encoders_made_anew_begin_anew(fitted: tuple[Project, Stage], tmp_path: Path) -> None:
    _, trained = fitted
    home = make_project(tmp_path.resolve())
    assert do(home, trained) == ["done"]
    stage = probe(trained, ("epoch-2",), epochs=3)
    Record.of(home, stage.key).write_stage(stage)
    asked = iter(range(1000))
    assert run_stage(home, stage.key, lambda: next(asked) >= 7).how == "stopped"
    assert lines(home, stage, "epoch")
    path = Record.of(home, trained.key).checkpoint(1)
    content = torch.load(path)
    next(tensor for name, tensor in content["model"].items() if name.startswith("encoder.")).add_(0.1)
    torch.save(content, path)
    assert do(home, stage) == ["done"]
    assert "checkpoint-refused" in codes(home, stage)
    assert len(told(home, stage)["epoch-2"]) == 3
    assert {line["attempt"] for line in lines(home, stage, "probe")} == {2}


@pytest.mark.skipif(not CLOTHING.is_dir(), reason="the photographs of clothing are not beside the project")
def test_photographs(tmp_path: Path) -> None:
    """Random crops of real images through a frozen encoder, anew each epoch and as kept views."""
    home = make_project(tmp_path.resolve())
    home = replace(home, data={"clothing": str(CLOTHING.resolve())})
    written = {"type": "image_folder", "source": "clothing", "size": 16, "per_class": 8,
               "roots": {"train": "train", "val": "validation"}, "augment": {"flip": 0.5, "shift": 2}}  # fmt: skip
    data = settings(typed("dataset", written))
    trained = fit("backbone", epochs=2, data=data, model={"type": "cnn2d", "channels": [6]}, head=LINEAR)
    stage = probe(trained, ("last",), data=data, epochs=2)
    kept = probe(trained, ("last",), data=data, epochs=2, views=2)
    assert do(home, trained, stage, kept) == ["done"] * 3
    usual = frozen_fit(trained, "last", stage)
    assert do(home, usual) == ["done"]
    near(told(home, stage)["last"], [dict(line["metrics"]) for line in lines(home, usual, "epoch")])
    near(told(home, stage)["last"], told(home, kept)["last"])
    assert {path.name.split("-")[2] for path in (home.cache / FOLDER).rglob("*.npy")} == {"val", "train"}
