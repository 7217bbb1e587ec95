"""Scores of examples: what they are, that they come out the same, and fits whose examples are chosen by them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from interpreter.parts import random
from interpreter.parts.build import build_data, build_model
from interpreter.parts.contract import Draw
from interpreter.plan.types import Input, Stage
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.read import query
from interpreter.run.attempts import numbers
from interpreter.run.record import SCORES, Record
from interpreter.spec.canonical import canonical, key_of
from interpreter.stages.main import run_stage
from interpreter.stages.score import difficulty
from interpreter.stages.scores import read_scores
from tests.stages.build import DIGITS, HEAD, MLP, evaluate, fit, score
from tests.stages.build import project as make_project
from tests.stages.doing import codes, do, fork, lines, result, same

PLAIN = {**DIGITS, "shift": 0}
BY = {"result": "scored.score"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Stage]:
    """A project with one finished fit, on data that moves its images about."""
    home = make_project(tmp_path_factory.mktemp("scores").resolve())
    trained = fit("pretrain", epochs=2)
    assert do(home, trained) == ["done"]
    return home, trained


def finished(home: Project, *stages: Stage) -> None:
    """Do those of `stages` that no earlier test has done."""
    for stage in stages:
        if Record.of(home, stage.key).done() is None:
            assert do(home, stage) == ["done"]


def scores_of(home: Project, stage: Stage) -> dict[str, list[Any]]:
    path = Record.of(home, stage.key).predictions / stage.settings["part"] / SCORES
    return dict(pq.read_table(path).to_pydict())


def chosen_by(scored: Stage, rule: dict[str, Any], *, data: dict[str, Any] = DIGITS, **changes: Any) -> Stage:
    """A fit whose training examples are chosen by `scored`."""
    data = {**data, "subset": {**rule, "scored_by": BY}}
    stage = fit("tune", data=data, **{"epochs": 1, **changes})
    inputs = (Input("scores", scored.key, "", ""),)
    identity = {**stage.identity, "inputs": [["scores", scored.key]]}
    return replace(stage, key=key_of(identity), identity=identity, inputs=inputs)


def by_hand(home: Project, trained: Stage, data: dict[str, Any], draws: list[Draw | None]) -> np.ndarray:
    """1 - softmax of the true class, averaged over `draws`, from the checkpoint itself and example by example of the split."""
    built = build_data(data, None, home.cache)
    split = built.splits["train"]
    model = build_model(MLP, HEAD, built.shape, 10, 0)
    done = Record.of(home, trained.key).done()
    assert done is not None
    model.load_state_dict(torch.load(Record.of(home, trained.key).checkpoints / done["best"]["checkpoint"])["model"])
    model.eval()
    found = []
    with torch.inference_mode():
        for draw in draws:
            x, y = split.batch(np.arange(len(split)), draw)
            p = torch.softmax(model(x).double(), dim=1)
            found.append(1 - p[torch.arange(len(y)), y].numpy())
    return np.asarray(np.mean(found, axis=0))


def test_difficulty_by_hand() -> None:
    outputs = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]))
    assert difficulty(outputs, torch.tensor([0, 2, 1])) == pytest.approx([0.3, 0.9, 0.75], abs=1e-7)
    sure = difficulty(torch.tensor([[50.0, 0.0], [60.0, 0.0], [0.0, 1000.0]]), torch.tensor([0, 0, 0]))
    # 1 - p in floating point would be 0 twice: the order of the easiest would be lost.
    assert sure == pytest.approx([np.exp(-50), np.exp(-60), 1.0], rel=1e-9)


def test_without_augmentation_it_is_the_plain_value(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    stage = score("once", trained, data=PLAIN)
    finished(home, stage)
    kept = scores_of(home, stage)
    data = build_data(PLAIN, None, home.cache)
    assert kept["id"] == list(data.splits["train"].ids)
    assert kept["row"] == list(range(300))
    assert kept["difficulty"] == pytest.approx(by_hand(home, trained, PLAIN, [None]), abs=1e-6)
    assert codes(home, stage) == []
    (line,) = lines(home, stage, "epoch")
    assert line["examples"] == 300
    assert line["metrics"]["train/difficulty"] == pytest.approx(np.mean(kept["difficulty"]), abs=1e-15)
    record = Record.of(home, stage.key)
    done = record.done()
    assert done is not None
    assert (done["kind"], done["why"], done["epochs"]) == ("score", "scored", 1)
    # The predictions beside the scores give the same difficulties, and the share that is right.
    outputs = np.array(pq.read_table(record.predictions / "train" / done["predictions"]["train"][0])["output"].to_pylist())
    targets = data.splits["train"].targets
    assert difficulty(torch.tensor(outputs, dtype=torch.float32), targets).tolist() == kept["difficulty"]
    assert line["metrics"]["train/accuracy"] == pytest.approx((outputs.argmax(axis=1) == targets.numpy()).mean())
    assert read_scores(record) == dict(zip(kept["id"], kept["difficulty"], strict=True))


def test_replicates_are_draws_of_the_augmentation(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    stages = {k: score(f"s{k}", trained, replicates=k) for k in (1, 3)}
    other = score("other-seed", trained, replicates=3, seed=1)
    finished(home, *stages.values(), other)
    stream = random.derive(0, "score", canonical(DIGITS))
    for k, stage in stages.items():
        expected = by_hand(home, trained, DIGITS, [Draw(stream, r) for r in range(k)])
        assert scores_of(home, stage)["difficulty"] == pytest.approx(expected, abs=1e-6)
        assert codes(home, stage) == []
    assert scores_of(home, other)["difficulty"] != scores_of(home, stages[3])["difficulty"]
    plain = by_hand(home, trained, DIGITS, [None])
    assert np.abs(np.array(scores_of(home, stages[1])["difficulty"]) - plain).max() > 0.01
    # What is measured besides, on images as they are, does not depend on the draws.
    first, second = (lines(home, stage, "epoch")[0]["metrics"] for stage in stages.values())
    assert {k: v for k, v in first.items() if k != "train/difficulty"} == {
        k: v for k, v in second.items() if k != "train/difficulty"
    }
    assert first["train/difficulty"] != second["train/difficulty"]


def test_draws_of_what_is_not_augmented_are_alike_and_told(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    once, thrice = score("a", trained, data=PLAIN), score("b", trained, data=PLAIN, replicates=3)
    held_out = score("c", trained, part="val", replicates=2)
    finished(home, once, thrice, held_out)
    assert scores_of(home, thrice)["difficulty"] == scores_of(home, once)["difficulty"]
    assert codes(home, thrice) == codes(home, held_out) == ["replicates-alike"]
    assert len(scores_of(home, held_out)["id"]) == 288


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_in_the_middle_it_starts_again_and_ends_the_same(
    fitted: tuple[Project, Stage], tmp_path: Path, workers: int
) -> None:
    done, trained = fitted
    stage = score("again", trained, replicates=300)
    finished(done, stage)
    expected = scores_of(done, stage)
    home = make_project(tmp_path.resolve() / "home", workers=workers)
    home.runs.mkdir(parents=True)
    (home.runs / trained.key).symlink_to(Record.of(done, trained.key).folder)
    pid = fork(home, stage)
    events = Record.of(home, stage.key).events
    while not (events.exists() and events.stat().st_size):  # it tells of its data, then scores
        time.sleep(0.001)
    time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert Record.of(home, stage.key).done() is None
    assert not (Record.of(home, stage.key).predictions / "train" / SCORES).exists()
    assert do(home, stage) == ["done"]
    assert len(numbers(Record.of(home, stage.key))) == 2
    assert scores_of(home, stage) == expected
    same(result(home, stage), result(done, stage))


@pytest.mark.parametrize(
    ("changes", "part", "text"),
    [
        ({"data": {**DIGITS, "classes": [0, 1, 2]}}, "train", "this data's classes are 0, 1, 2"),
        ({}, "dev", "the data has no `dev` split (it has: train, val, test)"),
    ],
)
def test_what_can_not_be_scored_is_told(fitted: tuple[Project, Stage], changes: Any, part: str, text: str) -> None:
    home, trained = fitted
    (how,) = do(home, score("wrong", trained, part=part, **changes))
    assert how.startswith("failed: ")
    assert text in how


@pytest.mark.parametrize("rule", ["easiest", "hardest"])
def test_a_fit_sees_only_the_examples_that_its_subset_chooses(fitted: tuple[Project, Stage], rule: str) -> None:
    home, trained = fitted
    scored = score("scored", trained)
    tuned = chosen_by(scored, {rule: "40%"})
    final = evaluate("final", tuned)
    finished(home, scored, tuned, final)
    kept = scores_of(home, scored)
    ranked = sorted(range(300), key=lambda i: (kept["difficulty"][i] * (1 if rule == "easiest" else -1), i))[:120]
    difficulties = np.array(kept["difficulty"])[ranked]
    (said,) = lines(home, tuned, "data")
    targets = build_data(DIGITS, None, home.cache).splits["train"].targets
    assert said["facts"]["n"] == {"train": 120, "val": 288, "test": 360}
    assert said["facts"]["n_before_subset"] == 300
    assert said["facts"]["classes"]["train"] == torch.bincount(targets[ranked], minlength=10).tolist()
    assert said["facts"]["subset"]["rule"] == f"{rule} 40%"
    assert said["facts"]["subset"]["difficulty"] == pytest.approx(
        {"min": difficulties.min(), "mean": difficulties.mean(), "max": difficulties.max()}, abs=1e-15
    )
    assert [line["examples"] for line in lines(home, tuned, "epoch")] == [120]
    # What measures sees every example, though its settings name the subset.
    (line,) = lines(home, final, "epoch")
    assert line["examples"] == 360
    (said,) = lines(home, final, "data")
    assert said["facts"]["n"]["train"] == 300


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_growing_fit_that_is_stopped_goes_on_with_the_examples_of_its_epoch(
    fitted: tuple[Project, Stage], tmp_path: Path, stop_after: int
) -> None:
    done, trained = fitted
    scored = score("scored", trained)
    grown = chosen_by(scored, {"easiest": {"from": "10%", "to": "90%", "over": 3}}, epochs=5)
    finished(done, scored, grown)
    # 30, 110, 190, 270, 270 of 300; the first has less than the batch of 32 that there is at the least
    assert [line["examples"] for line in lines(done, grown, "epoch")] == [32, 110, 190, 270, 270]
    home = make_project(tmp_path.resolve() / "home")
    home.runs.mkdir(parents=True)
    (home.runs / scored.key).symlink_to(Record.of(done, scored.key).folder)
    Record.of(home, grown.key).write_stage(grown)
    asked = iter([False] * stop_after)
    assert run_stage(home, grown.key, lambda: next(asked, True)).how == "stopped"
    assert len(lines(home, grown, "epoch")) == stop_after
    assert do(home, grown) == ["done"]
    same(result(home, grown), result(done, grown))


def test_scores_that_do_not_fit_are_told(fitted: tuple[Project, Stage]) -> None:
    home, trained = fitted
    few = score("few", trained, data={**DIGITS, "per_class": 5})
    whole = score("whole", trained, seed=7)
    nothing, absent = chosen_by(whole, {"below": 1e-300}), chosen_by(score("never", trained, seed=9), {"easiest": "40%"})
    finished(home, few, whole)
    unscored, empty, missing = do(home, chosen_by(few, {"easiest": "40%"}), nothing, absent)
    assert "250 of 300 training examples have no score: digit-" in unscored
    assert "leaves none of 300 training examples (difficulties go from" in empty
    assert "is not done, and training examples are to be chosen by its scores" in missing
    (Record.of(home, whole.key).predictions / "train" / SCORES).write_bytes(b"no")
    (broken,) = do(home, chosen_by(whole, {"easiest": "30%"}))
    assert f"the scores of stage {whole.key} can't be read" in broken
    assert f"move runs/{whole.key} away" in broken


def test_scores_are_kept_where_predictions_are_not(tmp_path: Path) -> None:
    home = make_project(tmp_path.resolve() / "home", keep="none")
    trained = fit("pretrain", epochs=1)
    stage = score("scored", trained)
    assert do(home, trained, stage, chosen_by(stage, {"hardest": "10%"})) == ["done"] * 3
    folder = Record.of(home, stage.key).predictions / "train"
    assert [path.name for path in folder.iterdir()] == [SCORES]


def test_photographs_are_scored_and_chosen_and_two_views_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("dark", "light"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(10):
                low = 0 if name == "dark" else 8 * i  # light ones come ever lighter: the first are the difficult ones
                Image.fromarray(rng.integers(low, low + 176, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    home = replace(make_project(tmp_path.resolve() / "home"), data={"photos": tmp_path / "photos"})
    photos = {"type": "image_folder", "source": "photos", "size": 8, "normalize": "computed", "augment": {"flip": 0.5}}
    model = {"type": "mlp", "hidden": [16]}
    trained = fit("pretrain", epochs=4, data=photos, model=model)
    scored = score("scored", trained, replicates=4)
    tuned = chosen_by(scored, {"hardest": "30%"}, data=photos, model=model)
    views = score("views", trained, data={**photos, "augment": {"two_crops": "simclr"}})
    *did, refused = do(home, trained, scored, tuned, views)
    assert did == ["done"] * 3
    assert "two views of an image each, and a difficulty is of one (score the same data with another `augment`" in refused
    kept = scores_of(home, scored)
    assert kept["id"][:2] == ["train/dark/0.png", "train/dark/1.png"]
    hardest = sorted(sorted(range(20), key=lambda i: (-kept["difficulty"][i], i))[:6])
    (whole,), (part,) = lines(home, trained, "data"), lines(home, tuned, "data")
    assert part["facts"]["n"] == {"train": 6, "val": 20, "test": 20}
    assert part["facts"]["classes"]["train"] == [sum(i < 10 for i in hardest), sum(i >= 10 for i in hardest)]
    assert part["facts"]["normalization"] == whole["facts"]["normalization"]


def test_the_database_has_scores_by_example(tmp_path: Path) -> None:
    home = make_project(tmp_path.resolve() / "home")
    trained = fit("pretrain", epochs=1)
    assert do(home, trained) == ["done"]
    assert ingest(home, []).stages == 1
    assert query(home, "SELECT count(*) FROM scores").rows == ((0,),)
    train, val = score("scored", trained, replicates=2), score("held", trained, part="val")
    assert do(home, train, val) == ["done"] * 2
    assert ingest(home, []).stages == 2
    found = query(
        home, "SELECT kind, split, count(*), avg(difficulty) FROM scores JOIN stages USING (stage_id) GROUP BY ALL ORDER BY ALL"
    )
    expected = {part: np.mean(scores_of(home, stage)["difficulty"]) for part, stage in (("train", train), ("val", val))}
    assert [row[:3] for row in found.rows] == [("score", "train", 300), ("score", "val", 288)]
    assert [row[3] for row in found.rows] == pytest.approx(list(expected.values()))
    metrics = query(home, "SELECT split, value, epochs, s.state FROM metrics JOIN stages s USING (stage_id) "
                          "WHERE metric = 'difficulty' ORDER BY split").rows  # fmt: skip
    assert [row[1] for row in metrics] == pytest.approx(list(expected.values()))
    assert {row[2:] for row in metrics} == {(1, "done")}
    # Nothing of this split is augmented: its scores follow from the predictions beside them.
    p = "exp(p.output[1 + p.target::INT]) / list_sum(list_transform(p.output, lambda o: exp(o)))"
    sql = f"""SELECT count(*), max(abs(s.difficulty - (1 - {p})))
        FROM scores s JOIN predictions p USING (key, split, row, example)
        WHERE s.key = '{val.key}' AND p.key = '{val.key}'"""
    (joined,) = query(home, sql).rows
    assert joined[0] == 288
    assert joined[1] < 1e-6
    (Record.of(home, val.key).predictions / "val" / SCORES).write_bytes(b"no")
    home.database.unlink()
    ingest(home, [])
    assert query(home, "SELECT DISTINCT split FROM scores").rows == (("train",),)
    told = query(home, "SELECT code, text FROM findings WHERE code LIKE 'unreadable%'").rows
    assert len(told) == 1
    assert told[0][0] == "unreadable-scores"
