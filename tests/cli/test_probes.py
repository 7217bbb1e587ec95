"""A page that trains heads on every checkpoint of its backbones, by the command line: run, ask, report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from interpreter.project import load_project
from interpreter.results.read import query
from tests.cli.test_end_to_end import expt, planned_and_run

PAGE = """\
expt: 1
date: 2026-01-01
datasets:
  d: {type: digits, per_class: 20}
  easy: {extends: d, subset: {easiest: 60%, scored_by: {result: scored.difficulty}}}
models: {net: {type: cnn2d, channels: [4, 8]}, wide: {type: cnn2d, channels: [8, 16]}}
schedules:
  s: {epochs: 6, batch_size: 50, optimizer: {type: sgd, lr: 0.1, momentum: 0.9}}
  h: {epochs: 8, batch_size: 50, optimizer: {type: sgd, lr: 0.5, momentum: 0.9}, lr_schedule: {type: cosine}}
entries:
  e:
    stages:
      backbone: {fit: classification, data: d, model: net, schedule: s, keep: {every: 2}}
      head: {probe: classification, data: d, schedule: h, at: {from: 2, every: 2, and: last}, pick: {ties: latest}}
      difficulty: {score: d}
      test: {evaluate: d}
    arms:
      small: {chain: [backbone, head, test], baseline: true}
      wide: {chain: [backbone, head, test], set: {stages.backbone.model: wide}}
      easiest: {chain: [backbone, head, test], set: {stages.head.data: easy}}
      scored: [backbone, head, difficulty]
    seeds: {backbone: 1, head: 2}
    measures:
      acc: {metric: head.val/accuracy, read: best}
      late: {metric: val/accuracy, read: last}
      test: {metric: test/accuracy}
    expect: {wider: {claim: wide > small, on: test, margin: 0}}
    tables:
      checkpoints: {rows: head.at, columns: arm, cell: "{val/accuracy:.2%} / {epoch:.0f} ({n})"}
"""


def rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    """What `expt sql` would say, without a process of its own."""
    found = query(load_project(folder), sql, ())
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the page was planned, which showed nothing done, and then run."""
    folder = tmp_path_factory.mktemp("probes")
    planned = planned_and_run(folder, PAGE)
    assert [stage["kind"] for stage in planned].count("probe") == 6
    assert {(stage["what"], stage["why"]) for stage in planned} == {("run", "never run")}
    return folder


def test_the_database_has_every_checkpoint_and_the_pick(done):
    found = rows(done, "SELECT * FROM probed WHERE arm = 'small' AND seed = 0 ORDER BY position")
    assert [(r["checkpoint"], r["file"], r["trained"]) for r in found] == [
        ("epoch-2", "epoch-0001.pt", 2),
        ("epoch-4", "epoch-0003.pt", 4),
        ("epoch-6", "epoch-0005.pt", 6),
        ("last", "epoch-0005.pt", 6),
    ]
    (pick,) = [r for r in found if r["picked"]]
    assert pick["value"] == max(r["value"] for r in found)
    assert pick["why"].startswith("best val/accuracy")
    curve = """SELECT epoch, value FROM probe_curves WHERE arm = 'small' AND seed = 0 AND split = 'val' AND metric = 'accuracy'
        AND checkpoint = '{}' ORDER BY epoch"""
    history = rows(done, curve.format(pick["checkpoint"]))
    assert len(history) == 8
    assert rows(done, "SELECT count(*) AS n FROM probe_curves WHERE picked IS NULL") == [{"n": 0}]
    # Read by its name, a probe is what it picked.
    asked = "SELECT epoch, value FROM curves WHERE arm = 'small' AND seed = 0 AND stage = 'head' AND {} ORDER BY epoch"
    assert rows(done, asked.format("split = 'val' AND metric = 'accuracy'")) == history
    best = max(r["value"] for r in history)
    assert (pick["value"], pick["epoch"]) == (best, next(r["epoch"] for r in history if r["value"] == best))
    readings = rows(
        done, "SELECT measure, value, epoch, selected FROM readings WHERE arm = 'small' AND seed = 0 ORDER BY measure"
    )
    assert [(r["measure"], r["value"], r["selected"]) for r in readings[:2]] == [
        ("acc", best, True),
        ("late", history[-1]["value"], True),  # its checkpoint was chosen by this
    ]
    assert not readings[2]["selected"]
    kept = rows(done, "SELECT path, epoch, best FROM checkpoints JOIN chains USING (stage_id) WHERE arm = 'small' AND seed = 0"
                      " AND stage = 'head' AND best")  # fmt: skip
    assert [(Path(r["path"]).name, r["epoch"]) for r in kept] == [("picked.pt", pick["epoch"])]


def test_predictions_of_the_pick_give_its_accuracy(done):
    sql = """SELECT p.stage_id, p.epoch, accuracy(target, output) AS value FROM predictions p JOIN chains c USING (stage_id)
        WHERE c.stage = 'head' AND p.split = 'val' GROUP BY ALL ORDER BY 1"""
    made = rows(done, sql)
    picked = rows(done, "SELECT DISTINCT stage_id, epoch, value FROM probed WHERE picked ORDER BY 1")
    assert [(r["stage_id"], r["epoch"]) for r in made] == [(r["stage_id"], r["epoch"]) for r in picked]
    assert [r["value"] for r in made] == pytest.approx([r["value"] for r in picked], abs=1e-12)


def test_the_test_split_is_touched_once_for_the_pick(done):
    splits = rows(done, "SELECT DISTINCT split FROM probe_curves ORDER BY split")
    assert [r["split"] for r in splits] == ["train", "val"]
    files = {path.name.split("-")[2] for path in (done / ".expt" / "features").rglob("*.npy")}
    assert files == {"train", "val"}
    tests = rows(done, "SELECT DISTINCT stage_id FROM chains WHERE stage = 'test' AND arm = 'small'")
    assert len(tests) == 2  # one for each seed of the heads
    started = """SELECT t.start, h.key FROM chains c JOIN stages t USING (stage_id)
        JOIN chains d ON d.arm = c.arm AND d.seed = c.seed AND d.stage = 'head' JOIN stages h ON h.stage_id = d.stage_id
        WHERE c.stage IN ('test', 'difficulty')"""
    found = rows(done, started)
    assert len(found) == 8  # what was picked: tests of three arms, and scores of one, for two seeds each
    assert all(r["start"] == r["key"] for r in found)


def test_features_are_shared_by_seeds_and_heads_see_the_subset(done):
    folders = list((done / ".expt" / "features").iterdir())
    assert len(folders) == 2  # of the two backbones
    sizes = rows(
        done, "SELECT DISTINCT arm, e.examples FROM chains c JOIN epochs e USING (stage_id) WHERE stage = 'head' ORDER BY arm"
    )
    assert {r["arm"]: r["examples"] for r in sizes} == {"small": 200, "wide": 200, "easiest": 120, "scored": 200}
    # Three files, of train and of val: for both seeds of a head; those of the subset apart.
    assert sorted(len(list(folder.glob("*.npy"))) for folder in folders) == [6, 6 + 2 * 6]


def test_the_report_has_a_row_for_each_checkpoint(done):
    text = (done / "reports" / "2026-01-01" / "e.md").read_text()
    table = text.split("### Checkpoints")[1].split("\n\n")[2].splitlines()
    heads = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert heads == ["head.at", "small", "wide", "easiest", "scored"]
    cells = {line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:-1]] for line in table[2:]}
    assert list(cells)[:4] == ["epoch-2", "epoch-4", "epoch-6", "last"]
    assert [name.strip("*") for name in list(cells)[4:]] == ["sd over seeds, within a checkpoint", "sd between checkpoints"]
    means = rows(done, "SELECT avg(value) AS value, avg(epoch) AS epoch, count(*) FILTER (picked) AS picked FROM probed"
                       " WHERE arm = 'wide' AND checkpoint = 'epoch-6'")[0]  # fmt: skip
    mark = f" ● {means['picked']} of 2" if means["picked"] else ""
    assert cells["epoch-6"][1] == f"{means['value']:.2%} / {means['epoch']:.0f} (2){mark}"
    assert sum(cell.count("●") for row in cells.values() for cell in row[:1]) in (1, 2)
    with (done / "reports" / "2026-01-01" / "tables" / "e-checkpoints.csv").open() as file:
        exact = {(r["head.at"], r["arm"]): r for r in csv.DictReader(file)}
    assert float(exact["epoch-6", "wide"]["val/accuracy.mean"]) == pytest.approx(means["value"])
    assert exact["last", "small"]["trained"] == "6"
    assert int(exact["epoch-6", "wide"]["picked"]) == means["picked"]


def test_a_rebuilt_database_says_the_same(done):
    asked = "SELECT arm, seed, checkpoint, epoch, value, picked, why FROM probed ORDER BY ALL"
    history = "SELECT arm, seed, epoch, split, metric, value FROM curves WHERE stage = 'head' AND metric <> 'ece' ORDER BY ALL"
    before = rows(done, asked), rows(done, history)
    expt(done, "rebuild")
    assert (rows(done, asked), rows(done, history)) == before


def test_a_cell_shows_what_the_probe_measured_of_each_checkpoint(done):
    for cell, told in (
        ("{acc:.2%}", "`acc` is read off what `head` picked"),
        ("{test/accuracy:.2%}", "a probe measures `train` and `val`"),
        ("{head.val/accuracy:.2%}", ""),
    ):
        page = PAGE.replace("2026-01-01", "2026-01-02").replace('"{val/accuracy:.2%} / {epoch:.0f} ({n})"', f'"{cell}"')
        (done / "specs" / "2026-01-02.yaml").write_text(page)
        checked = expt(done, "check", "2026-01-02", code=2 if told else 0)
        assert told in checked.stderr + checked.stdout
    (done / "specs" / "2026-01-02.yaml").unlink()


def test_views_are_part_of_what_a_probe_is(done):
    (done / "specs" / "2026-01-03.yaml").write_text(
        PAGE.replace("2026-01-01", "2026-01-03").replace("data: d, schedule: h,", "data: d, schedule: h, views: 3,")
    )
    stages = [json.loads(line) for line in expt(done, "plan", "2026-01-03", "--format", "json").stdout.splitlines()]
    new = [stage for stage in stages if stage["what"] == "run"]
    assert {stage["kind"] for stage in new} == {"probe", "evaluate", "score"}
    assert all("views: off -> 3" in stage["why"] for stage in new if stage["kind"] == "probe")
