"""A page that scores its examples and trains on the easiest, the hardest, and more and more of them, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_end_to_end import expt, planned_and_run, rows

PAGE = """\
expt: 1
date: 2026-01-01
datasets:
  d: {type: digits, shift: 1, per_class: 40}
  easy: {extends: d, subset: {easiest: 50%, scored_by: {result: scored.difficulty}}}
  hard: {extends: d, subset: {hardest: 50%, scored_by: {result: scored.difficulty, seed: 0}}}
  half: {extends: d, per_class: 20}
  more: {extends: d, subset: {easiest: {from: 25%, to: 75%, over: 2, pace: root}, scored_by: {result: scored.difficulty}}}
models: {net: {type: mlp, hidden: [32]}}
schedules: {s: {epochs: 4, batch_size: 32, optimizer: {type: adam, lr: 5e-3}}}
entries:
  e:
    stages:
      scout: {fit: classification, data: d, model: net, schedule: s}
      difficulty: {score: d, replicates: 3, checkpoint: last}
      tune: {fit: classification, data: half, model: net, schedule: s}
      final: {evaluate: d}
    arms:
      scored: [scout, difficulty]
      random: {chain: [tune, final], baseline: true}
      easiest: {chain: [tune, final], set: {stages.tune.data: easy}}
      hardest: {chain: [tune, final], set: {stages.tune.data: hard}}
      growing: {chain: [tune, final], set: {stages.tune.data: more}}
    seeds: 2
    measures: {test: {metric: final/accuracy}}
    expect: {easy-is-not-enough: {claim: random > easiest, on: test, margin: 0}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the page was planned, which showed nothing done, and then run."""
    folder = tmp_path_factory.mktemp("subsets")
    planned = planned_and_run(folder, PAGE)
    assert [stage["kind"] for stage in planned].count("score") == 2
    assert {stage["what"] for stage in planned} == {"run"}
    return folder


def tuned(folder: Path, columns: str, arm: str) -> list[dict[str, object]]:
    sql = f"SELECT {columns} FROM chains JOIN datasets USING (stage_id) WHERE stage = 'tune' AND arm = '{arm}' ORDER BY seed"
    return rows(folder, sql)


def test_each_arm_trains_on_what_the_scores_say(done):
    found = rows(done, "SELECT c.seed, s.example, s.difficulty FROM scores s JOIN chains c USING (stage_id) ORDER BY 1, 3, 2")
    assert len(found) == 800
    by_seed = {seed: [row["difficulty"] for row in found if row["seed"] == seed] for seed in (0, 1)}
    assert by_seed[0] != by_seed[1]  # another network
    for arm, seeds, part in (
        ("easiest", (0, 1), slice(0, 200)),
        ("hardest", (0, 0), slice(200, 400)),
        ("growing", (0, 1), slice(0, 300)),
    ):
        facts = "facts->'$.subset.difficulty.mean' AS mean, facts->'$.n.train' AS n, facts->'$.n_before_subset' AS whole"
        for scores_of, row in zip(seeds, tuned(done, facts, arm), strict=True):
            chosen = by_seed[scores_of][part]
            assert float(row["mean"]) == pytest.approx(sum(chosen) / len(chosen), abs=1e-9)
            assert (int(row["n"]), int(row["whole"])) == (len(chosen), 400)
    evaluated = rows(done, "SELECT DISTINCT e.examples FROM chains JOIN epochs e USING (stage_id) WHERE stage = 'final'")
    assert evaluated == [{"examples": 360}]


def test_a_growing_subset_counts_its_examples(done):
    sql = """SELECT epoch, e.examples, e.step FROM chains JOIN epochs e USING (stage_id)
        WHERE stage = 'tune' AND arm = 'growing' AND seed = 1 ORDER BY epoch"""
    # 25%, the root of (0.0625 + 0.5625) / 2, 75%, 75% of 400; in batches of 32
    assert [tuple(row.values()) for row in rows(done, sql)] == [(1, 100, 4), (2, 224, 11), (3, 300, 21), (4, 300, 31)]


def test_an_arm_that_ends_in_a_score_stage_has_no_measure_and_that_is_fine(done):
    assert rows(done, "SELECT count(*) AS n FROM readings WHERE arm = 'scored' AND value IS NOT NULL") == [{"n": 0}]
    (verdict,) = rows(done, "SELECT state, n FROM verdicts")
    assert verdict["n"] == 2
    metrics = rows(
        done, "SELECT split, metric, value FROM curves WHERE stage = 'difficulty' AND metric IN ('difficulty', 'accuracy')"
    )
    assert {(row["split"], row["metric"]) for row in metrics} == {("train", "difficulty"), ("train", "accuracy")}
    assert all(0 < row["value"] < 1 for row in metrics)


def test_nothing_is_scored_twice_and_other_scores_are_another_fit(done):
    again = [json.loads(line) for line in expt(done, "plan", "2026-01-01", "--format", "json").stdout.splitlines()]
    assert {stage["what"] for stage in again} == {"reuse"}
    (done / "specs" / "2026-01-02.yaml").write_text(
        PAGE.replace("2026-01-01", "2026-01-02").replace("replicates: 3", "replicates: 4")
    )
    other = [json.loads(line) for line in expt(done, "plan", "2026-01-02", "--format", "json").stdout.splitlines()]
    run = {(stage["name"], stage["what"]) for stage in other}
    assert ("scout", "reuse") in run
    assert ("difficulty", "run") in run
    tunes = {stage["key"] for stage in other if stage["name"] == "tune" and stage["what"] == "run"}
    assert len(tunes) == 6  # two seeds of easiest, hardest and growing; the random half knows no scores
