"""Fits on volumes from end to end, on tiny settings: what is trained on and evaluated, what is carried over, what is told."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

from interpreter.parts.build import build_data, build_model
from interpreter.parts.models.equivariance import turns
from interpreter.plan.types import Input, Stage
from interpreter.project import Project
from interpreter.run.events import IGNORES_INPUT
from interpreter.run.record import SCORES, Record
from interpreter.spec.canonical import key_of
from interpreter.spec.components.models import Head
from interpreter.spec.components.volumes import Atom3dLba
from interpreter.stages.diagnostics import hash_of
from interpreter.stages.main import run_stage
from interpreter.stages.turning import GENERATORS
from tests.parts.made_complexes import LIGAND, PROTEIN, item
from tests.parts.made_complexes import write as write_complexes
from tests.parts.molecules import CLOSE, folder_of_globules
from tests.stages import build
from tests.stages.doing import codes, do, lines, result, same

CUBE = {"voxels": 9, "resolution_A": 1.6}
GYM: dict[str, Any] = {
    "type": "neighbor_location",
    "source": "globules",
    "image": {**CUBE, "channels": ["C", "N", "O"]},
    "zones": CLOSE,
    "structures": {"by": "structure", "val": 0.2, "test": 0.0},
    "views": {"train": {"gap_A": [1, 3], "max_angle_deg": 20}, "val": "train"},
    "also_val": {"clean": {"gap_A": 1}},
    "examples_per_epoch": 50,
    "val_examples": 35,
}
LBA: dict[str, Any] = {
    "type": "atom3d_lba",
    "source": "complexes",
    "split": "identity30",
    "atoms": "pocket",
    "image": {**CUBE, "channels": ["C", "N", "O", "polymer"]},
}
N_LBA = {"train": 21, "val": 18, "test": 17}  # with 16 evaluated at a time, a batch that drops its rest would lose 2 and 1
CNN = {"type": "cnn3d", "channels": [4, 6], "pool": [1, 2]}
STILL = {"schedule_optimizer": {"type": "sgd", "lr": 1e-30}, "schedule_lr_schedule": {"type": "constant"}}
# What is left of a weight after a step is its gradient: a network without weights gives the same for every input.
COLLAPSE = {**STILL, "schedule_optimizer": {"type": "sgd", "lr": 1e-6, "weight_decay": 1e6}, "schedule_clip": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder of six globules, and one of complexes whose ligands are of different sizes, which says a part of the affinity."""
    folder = tmp_path_factory.mktemp("volumes")
    folder_of_globules(folder / "globules")
    random = np.random.default_rng(0)
    items = {}
    for split, n in N_LBA.items():
        items[split] = []
        for i in range(n):
            size = int(random.integers(0, 6))
            ligand = [*LIGAND, *((1.5 * (k + 2), 0.0, 0.0, "C") for k in range(size))]
            protein = [(*(np.array(atom[:3]) + random.uniform(-0.3, 0.3, 3)).tolist(), *atom[3:]) for atom in PROTEIN]
            label = 5 + 0.4 * size + random.normal(0, 0.3)
            items[split].append(item(f"{split}{i}", protein=protein, ligand=ligand, label=label))
    write_complexes(folder / "complexes", **items)
    return {name: str(folder / name) for name in ("globules", "complexes")}


@pytest.fixture
def home(tmp_path: Path, sources: dict[str, str]) -> Project:
    return project(tmp_path, sources)


def project(root: Path, sources: dict[str, str], workers: int = 0) -> Project:
    return replace(build.project(root.resolve(), workers=workers, keep="every_epoch"), data=sources)


def pretrain(name: str = "gym", epochs: int = 2, data: Mapping[str, Any] = GYM, **changes: Any) -> Stage:
    base = {"objective": {"type": "neighbor_location"}, "model": CNN, "head": {"hidden": 8, "dropout": 0.25}}
    return build.fit(name, epochs=epochs, **{"data": dict(data), "schedule_batch_size": 16, **base, **changes})


def tune(name: str = "lba", epochs: int = 2, data: Mapping[str, Any] = LBA, **changes: Any) -> Stage:
    base = {"objective": {"type": "regression"}, "keep": {"best": "val/rmse", "every": None, "last": True}}
    return pretrain(name, epochs, data, **{**base, **changes})


def weights(home: Project, stage: Stage, rule: str) -> dict[str, torch.Tensor]:
    record = Record.of(home, stage.key)
    done = record.done()
    assert done is not None
    found = torch.load(record.checkpoints / done[rule]["checkpoint"], weights_only=True)["model"]
    assert isinstance(found, dict)
    return found


def outputs(home: Project, stage: Stage, split: str = "val") -> dict[int, np.ndarray]:
    """What is kept of predictions: epoch from 0 -> (n, outputs)."""
    record = Record.of(home, stage.key)
    done = record.done()
    assert done is not None
    found: dict[int, list[Any]] = {}
    for name in done["predictions"][split]:
        table = pq.read_table(record.predictions / split / name).to_pydict()
        for epoch, output in zip(table["epoch"], table["output"], strict=True):
            found.setdefault(epoch, []).append(output)
    return {epoch: np.array(rows) for epoch, rows in found.items()}


# --- pretraining


def test_each_epoch_is_measured_on_noisy_and_clean_pairs_and_training_never_ends(home: Project) -> None:
    stage = pretrain(epochs=3)
    assert do(home, stage) == ["done"]
    epochs = lines(home, stage, "epoch")
    assert [(line["examples"], line["step"]) for line in epochs] == [(50, 4), (50, 8), (50, 12)]  # 16 at a time: 3 and a rest
    for line in epochs:
        for split in ("val", "clean"):
            accuracy = line["metrics"][f"{split}/accuracy"]
            assert 0 <= accuracy <= 1
            assert accuracy * 35 == pytest.approx(round(accuracy * 35), abs=1e-9)  # a share of exactly 35 pairs
    assert any(line["metrics"]["clean/loss"] != line["metrics"]["val/loss"] for line in epochs)
    (told,) = lines(home, stage, "data")
    facts = told["facts"]
    assert facts["n"]["train"] > 50  # so an epoch is no pass over the zones
    assert facts["n"]["val"] == facts["n"]["clean"] == 35
    assert [sum(facts["classes"][split]) for split in ("val", "clean")] == [35, 35]
    assert facts["classes"]["val"] == facts["classes"]["clean"]  # the same pairs, seen another way
    assert (facts["views"]["val"]["max_shift_A"], facts["views"]["clean"]["max_shift_A"]) == (1.0, 0.0)
    rules = {line["rule"]: line["metrics"] for line in lines(home, stage, "baseline")}
    assert rules.keys() == {IGNORES_INPUT, "center_of_mass"}
    assert rules[IGNORES_INPUT]["val/loss"] == pytest.approx(math.log(6))
    assert rules[IGNORES_INPUT]["clean/accuracy"] == pytest.approx(1 / 6)
    assert {"val/accuracy", "clean/accuracy"} <= rules["center_of_mass"].keys()
    assert "evaluated-n" not in codes(home, stage)


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_after_an_epoch_and_taken_up_again_is_bit_equal(tmp_path: Path, sources: dict[str, str], workers: int) -> None:
    stage = pretrain(epochs=3)
    whole, cut = project(tmp_path / "whole", sources), project(tmp_path / "cut", sources, workers)
    assert do(whole, stage) == ["done"]
    Record.of(cut, stage.key).write_stage(stage)
    asked = iter([False])
    assert run_stage(cut, stage.key, lambda: next(asked, True)).how == "stopped"
    assert len(lines(cut, stage, "epoch")) == 1
    assert do(cut, stage) == ["done"]
    assert [line["resume_epoch"] for line in lines(cut, stage, "attempt")] == [0, 1]
    same(result(whole, stage), result(cut, stage))


def test_scores_of_zones_choose_those_that_a_further_fit_sees(home: Project) -> None:
    first = pretrain(epochs=1)
    scored = build.score("score", first, replicates=2)
    assert do(home, first, scored) == ["done", "done"]
    table = pq.read_table(Record.of(home, scored.key).predictions / "train" / SCORES).to_pydict()
    difficulty = dict(zip(table["id"], table["difficulty"], strict=True))
    n = lines(home, first, "data")[0]["facts"]["n"]["train"]
    assert len(difficulty) == n == lines(home, scored, "epoch")[0]["examples"]
    assert "replicates-alike" not in codes(home, scored)  # training pairs are drawn anew for each

    easy = pretrain("easy", 2, GYM | {"subset": {"easiest": "40%", "scored_by": {"result": "gym.score"}}})
    identity = {**easy.identity, "inputs": [["scores", scored.key]]}
    easy = replace(easy, key=key_of(identity), identity=identity, inputs=(Input("scores", scored.key, "", ""),))
    assert do(home, easy) == ["done"]
    facts = lines(home, easy, "data")[0]["facts"]
    kept = math.floor(0.4 * n + 0.5)
    assert (facts["n"]["train"], facts["n_before_subset"], facts["n"]["clean"]) == (kept, n, 35)
    assert [line["examples"] for line in lines(home, easy, "epoch")] == [50, 50]  # an epoch is as long, over fewer zones
    chosen = sorted(difficulty.values())[:kept]
    assert facts["subset"]["difficulty"]["mean"] == pytest.approx(np.mean(chosen), abs=1e-12)


# --- transfer


def test_the_encoder_of_the_pretext_task_goes_over_and_a_mask_that_it_never_saw_begins_at_zero(home: Project) -> None:
    first = pretrain(epochs=1)
    start = {"kind": "stage", "take": "encoder-only", "new_channels": "zero"}
    given = build.start_from(first, "last", "encoder-only")
    then = tune(epochs=1, inputs=given, start=start, **STILL)
    refused = tune("refused", epochs=1, inputs=given, start={"kind": "stage", "take": "encoder-only"})
    ended = do(home, first, then, refused)
    assert ended[:2] == ["done", "done"]
    assert "do not fit the model: of another shape: encoder." in ended[2]
    (told,) = lines(home, then, "start")
    assert told["carried"] == ["encoder"]
    assert "transfer-differs" not in codes(home, then)
    old, new = weights(home, first, "last"), weights(home, then, "last")
    name = next(n for n, tensor in old.items() if n.startswith("encoder.") and tensor.ndim == 5)
    assert (old[name].shape[1], new[name].shape[1]) == (3, 4)
    assert torch.equal(new[name][:, :3], old[name])
    assert float(new[name][:, 3:].abs().max()) < 1e-25  # 0, and what steps of next to nothing made of it
    zeros = torch.zeros_like(new[name][:, 3:])
    assert told["encoder_hash"] == hash_of({**old, name: torch.cat([old[name], zeros], dim=1)})  # at step 0, bit for bit
    assert all(torch.equal(old[n], new[n]) for n in old if n.startswith("encoder.") and n.endswith("weight") and n != name)
    heads = [n for n in new if n.startswith("head.") and new[n].ndim == 2]
    assert heads
    assert not any(n in old and old[n].shape == new[n].shape and torch.equal(old[n], new[n]) for n in heads)


def test_a_frozen_encoder_keeps_its_weights_and_statistics_while_the_head_learns(home: Project) -> None:
    first = tune("first", epochs=1)
    frozen = tune("frozen", epochs=2, inputs=build.start_from(first, "last"), thaw={"by": "frozen"})
    loose = tune("loose", epochs=2, inputs=build.start_from(first, "last"))
    assert do(home, first, frozen, loose) == ["done"] * 3
    before, after, free = weights(home, first, "last"), weights(home, frozen, "last"), weights(home, loose, "last")
    encoder = [name for name in before if name.startswith("encoder.")]
    assert any(name.endswith("running_mean") for name in encoder)
    assert any(name.endswith("num_batches_tracked") for name in encoder)
    assert all(torch.equal(before[name], after[name]) for name in encoder)
    assert not any(torch.equal(before[name], free[name]) for name in encoder if name.endswith("running_mean"))
    assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith("head."))
    assert "frozen-changed" not in codes(home, frozen)


# --- affinities


def test_every_complex_is_evaluated_in_each_of_its_poses_and_beside_trivial_rules(home: Project, sources: dict[str, str]) -> None:
    data = LBA | {"val_poses": 2}
    stage = tune(epochs=2, data=data, schedule_drop_last=True)
    final, again = build.evaluate("final", stage), build.evaluate("again", stage, part="val")
    assert do(home, stage, final, again) == ["done"] * 3
    assert [line["examples"] for line in lines(home, stage, "epoch")] == [16, 16]  # of 21: only training drops a rest
    # Exactly: every example once, none dropped, in metrics over all of it. Twice the model by hand, in both poses.
    built = build_data(data, Path(sources["complexes"]), home.cache)
    for name, split, of in (("final", "test", final), ("again", "val", again)):
        part = built.splits[split]
        n = N_LBA[split]
        assert len(part) == n
        (line,) = lines(home, of, "epoch")
        assert line["examples"] == n
        (made,) = outputs(home, of, name).values()
        assert made.shape == (n, 1)
        model = build_model(CNN, {"hidden": 8, "dropout": 0.25}, built.shape, 1, 0).eval()
        model.load_state_dict(weights(home, stage, "best"))
        with torch.inference_mode():
            poses = [model(part.batch(np.arange(n) + look * n, None)[0]).numpy() for look in range(2)]
        assert not np.allclose(poses[0], poses[1], atol=1e-6)
        assert made == pytest.approx(np.mean(poses, axis=0), abs=1e-5)
        targets = part.targets.numpy()
        assert line["metrics"][f"{name}/rmse"] == pytest.approx(float(np.sqrt(((made - targets) ** 2).mean())), abs=1e-6)
        assert line["metrics"][f"{name}/pearson"] == pytest.approx(np.corrcoef(made[:, 0], targets[:, 0])[0, 1], abs=1e-6)
    # As good as the fit said it was, since evaluated complexes keep their poses.
    best = min(lines(home, stage, "epoch"), key=lambda line: line["metrics"]["val/rmse"])
    assert lines(home, again, "epoch")[0]["metrics"]["again/rmse"] == best["metrics"]["val/rmse"]
    rules = {line["rule"]: line["metrics"] for line in lines(home, final, "baseline")}
    assert rules.keys() == {IGNORES_INPUT, "ligand_size"}
    assert rules["ligand_size"]["final/rmse"] < rules[IGNORES_INPUT]["final/rmse"]
    train, test = (built.splits[split].targets.numpy() for split in ("train", "test"))
    assert rules[IGNORES_INPUT]["final/rmse"] == pytest.approx(float(np.sqrt(((test - train.mean()) ** 2).mean())), abs=1e-6)
    assert {"evaluated-n", "split-overlap"}.isdisjoint({*codes(home, stage), *codes(home, final)})


def test_evaluated_complexes_stand_still_unless_they_are_to_turn_each_epoch(home: Project) -> None:
    # Without dropout, batch statistics and a rate, what still changes from epoch to epoch is the pose.
    still = {**STILL, "model": {**CNN, "batch_norm": False}, "head": {"hidden": 8, "dropout": 0.0}}
    fixed = tune("fixed", epochs=2, **still)
    turned = tune("turned", epochs=2, data=LBA | {"val_rotation": "each_epoch", "val_poses": 2}, **still)
    assert do(home, fixed, turned) == ["done", "done"]
    stands, moves = outputs(home, fixed), outputs(home, turned)
    assert np.array_equal(stands[0], stands[1])
    assert not np.allclose(moves[0], moves[1], atol=1e-7)
    assert moves[0].shape == moves[1].shape == (N_LBA["val"], 1)
    settings = Record.of(home, turned.key).read_stage().settings["data"]
    assert (settings["atoms"], settings["val_rotation"]) == ("pocket", "each_epoch")  # recorded with the result


def test_elements_of_structures_that_no_channel_holds_are_counted(home: Project, sources: dict[str, str]) -> None:
    lacks = GYM | {"image": {**CUBE, "channels": ["C", "O"]}}
    built = build_data(lacks, Path(sources["globules"]), home.cache)
    counts = built.facts["elements"]
    share = counts["N"] / sum(counts.values())
    assert (
        dict(built.findings)["no-channel"] == f"{share:.2%} of the atoms are of elements that no channel holds: N {counts['N']}"
    )
    assert "no-channel" not in dict(build_data(GYM, Path(sources["globules"]), home.cache).findings)


@pytest.mark.parametrize("key", ["activation", "output_activation", "final"])
def test_a_head_has_no_place_for_a_nonlinearity_after_its_output(key: str) -> None:
    with pytest.raises(ValidationError, match=key) as caught:
        Head.model_validate({"hidden": 8, key: "relu"})
    assert [error["type"] for error in caught.value.errors()] == ["extra_forbidden"]


def test_which_atoms_are_seen_is_never_left_to_a_default() -> None:
    with pytest.raises(ValidationError, match="atoms") as caught:
        Atom3dLba.model_validate({name: value for name, value in LBA.items() if name != "atoms"})
    assert [error["type"] for error in caught.value.errors()] == ["missing"]


# --- what is found


def test_a_network_that_collapses_is_found_out(home: Project) -> None:
    sides, numbers = pretrain("sides", epochs=6, **COLLAPSE), tune("numbers", epochs=6, **COLLAPSE)
    assert do(home, sides, numbers) == ["done", "done"]
    assert {"constant-predictions", "at-chance", "no-better-than-rule"} <= set(codes(home, sides))
    assert {"constant-predictions", "no-better-than-baseline", "no-better-than-rule"} <= set(codes(home, numbers))
    (constant,) = [line for line in lines(home, numbers, "finding") if line["code"] == "constant-predictions"]
    assert constant["epoch"] == 0  # told once, in the epoch in which it is first seen
    for made in outputs(home, numbers).values():
        assert np.ptp(made) < 1e-5
    text = next(line["text"] for line in lines(home, sides, "finding") if line["code"] == "at-chance")
    assert text.startswith("train/loss stayed within 2 % of 1.792")


def test_how_far_an_equivariant_network_is_from_turning_with_its_volumes_is_told(home: Project) -> None:
    net = {"type": "equivariant_resnet", "channels": [1, 1], "max_frequency": 1, "samples": 24}
    images = [data | {"image": {**data["image"], "voxels": 7, "resolution_A": 2.0}} for data in (LBA, GYM)]
    # Of a side of 7, the first voxel and every second lie off the middle: that is found, and no rounding.
    alone, off = tune("alone", 1, images[0], model=net), tune("off", 1, images[0], model=net | {"pool_grid": "corner"})
    pair, plain = pretrain("pair", 1, images[1], model=net), tune("plain", 1)
    assert do(home, alone, off, pair, plain) == ["done"] * 4
    told = {
        stage.name: [line for line in lines(home, stage, "finding") if line["code"] in ("turns-with-volume", "not-equivariant")]
        for stage in (alone, off, pair, plain)
    }
    assert [(line["code"], line["severity"]) for line in told["alone"]] == [("turns-with-volume", "note")]
    assert [(line["code"], line["severity"]) for line in told["off"]] == [("not-equivariant", "warning")]
    features, predictions = numbers_in(told["alone"][0]["text"])
    assert features < 1e-2
    assert predictions > 10 * features  # no claim of invariance: a head on fields is none
    assert numbers_in(told["off"][0]["text"])[0] > 0.05
    (only,) = numbers_in(told["pair"][0]["text"])
    assert only < 1e-2
    assert "predictions" not in told["pair"][0]["text"]
    assert told["plain"] == []


def test_two_turns_stand_for_all_rotations_of_a_cube() -> None:
    found = {np.eye(3).tobytes(): np.eye(3)}
    while True:
        made = [np.round(turn.rotation @ each) + 0.0 for turn in GENERATORS for each in found.values()]
        new = {each.tobytes(): each for each in made} | found
        if len(new) == len(found):
            break
        found = new
    assert len(found) == len(turns()) == 24
    assert all((np.round(turn.rotation) + 0.0).tobytes() in found for turn in turns())


def numbers_in(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"\d\.\de[-+]\d\d", text)]
