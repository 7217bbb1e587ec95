"""What SQL says agrees with SciPy, scikit-learn and the definitions of measures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter, savgol_filter
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from interpreter.errors import RecordError
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.read import query
from interpreter.results.rebuild import rebuild
from tests.plans import Predictions, make_fit, make_plan, write_record
from tests.results.conftest import Ask

EPOCHS, ROWS = 4, 60


@pytest.fixture
def numbers(project: Project) -> tuple[str, np.ndarray, np.ndarray, str]:
    """A classifier and a regression with predictions: key, targets (ROWS,), outputs (EPOCHS, ROWS, 5), key of the regression."""
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 4, ROWS)
    outputs = draw.normal(size=(EPOCHS, ROWS, 5)).astype(np.float32)
    outputs[..., 4] -= 9.0  # never said, never meant
    outputs[0, :, 3] -= 9.0  # never said in the first epoch
    outputs += 0.8 * np.eye(5, dtype=np.float32)[targets]
    plan = make_plan(seeds=2, epochs=EPOCHS)
    first, second = plan.stages.values()
    history = {"val/loss": [1.0] * EPOCHS}
    ids = [f"scan-{i}" for i in range(ROWS)]
    write_record(project, first, history, predictions=[Predictions("val", ids, targets.tolist(), outputs.tolist(), segments=2)])
    values = np.round(outputs[0, :, :1].astype(float), 1)  # ties
    noisy = [(values + e + draw.normal(size=values.shape).round(1)).tolist() for e in range(EPOCHS)]
    write_record(project, second, history, predictions=[Predictions("val", ids, values[:, 0].tolist(), noisy)])
    several = make_fit("two-numbers", 7, 1)
    write_record(project, several, {"val/loss": [1.0]}, predictions=[Predictions("val", ["a"], [[1.0, 2.0]], [[[3.0, 4.0]]])])
    ingest(project, [plan])
    return first.key, targets, outputs, second.key


def test_classification(numbers: tuple, ask: Ask) -> None:
    key, targets, outputs, _ = numbers
    rows = ask("SELECT * FROM classification_of(?, 'val')", key)
    assert [row[:2] for row in rows] == [(e + 1, ROWS) for e in range(EPOCHS)]
    for (_, _, accuracy, precision, recall, f1), output in zip(rows, outputs, strict=True):
        said = output.argmax(1)
        assert accuracy == pytest.approx(accuracy_score(targets, said), abs=1e-12)
        for value, score in ((precision, precision_score), (recall, recall_score), (f1, f1_score)):
            assert value == pytest.approx(score(targets, said, average="macro", zero_division=0), abs=1e-12)
    assert ask("SELECT accuracy(target, output) FROM predictions WHERE key = ? AND epoch = 2", key)[0][0] == rows[1][2]


def test_regression(numbers: tuple, ask: Ask) -> None:
    *_, key = numbers
    rows = ask("SELECT * FROM regression_of(?, 'val')", key)
    assert len(rows) == EPOCHS
    for epoch, n, rmse, mae, pearson, spearman in rows:
        pairs = ask("SELECT target, output[1] FROM predictions WHERE key = ? AND epoch = ?", key, epoch)
        t, p = np.array(pairs, dtype=np.float64).T
        assert (n, len(t)) == (ROWS, ROWS)
        assert rmse == pytest.approx(np.sqrt(np.mean((t - p) ** 2)), rel=1e-12)
        assert mae == pytest.approx(np.mean(np.abs(t - p)), rel=1e-12)
        assert pearson == pytest.approx(pearsonr(t, p).statistic, rel=1e-10)
        assert spearman == pytest.approx(spearmanr(t, p).statistic, rel=1e-10)


def test_aggregates_by_group(ask: Ask, project: Project) -> None:
    ingest(project, [])
    draw = np.random.default_rng(1)
    t, p, g = draw.integers(0, 9, 300).astype(float), draw.integers(0, 9, 300).astype(float), draw.integers(0, 3, 300)
    sql = """SELECT g, spearman(t, p), pearson(t, p) FROM (SELECT unnest(?::DOUBLE[]) AS t, unnest(?::DOUBLE[]) AS p,
             unnest(?::INTEGER[]) AS g) GROUP BY g ORDER BY g"""
    for group, spearman, pearson in ask(sql, t.tolist(), p.tolist(), g.tolist()):
        mine = g == group
        assert spearman == pytest.approx(spearmanr(t[mine], p[mine]).statistic, rel=1e-10)
        assert pearson == pytest.approx(pearsonr(t[mine], p[mine]).statistic, rel=1e-10)


def test_the_view_predictions(numbers: tuple, ask: Ask, project: Project) -> None:
    key, targets, outputs, _ = numbers
    assert ask("SELECT count(*) FROM predictions") == [(2 * EPOCHS * ROWS + 1,)]
    rows = ask("SELECT epoch, row, example, target, output FROM predictions WHERE key = ? ORDER BY epoch, row", key)
    assert rows[ROWS][:4] == (2, 0, "scan-0", float(targets[0]))
    assert np.array([row[4] for row in rows], dtype=np.float32).tolist() == outputs.reshape(-1, 5).tolist()
    assert ask("SELECT count(*), min(epoch), max(epoch) FROM predictions_of(?)", key) == [(EPOCHS * ROWS, 1, EPOCHS)]
    assert ask("SELECT target, targets FROM predictions p JOIN stages s USING (key) WHERE s.name = 'two-numbers'") == [
        (None, [1.0, 2.0])
    ]
    plan = query(project, "EXPLAIN ANALYZE SELECT count(*) FROM predictions WHERE key = ?", (key,)).rows[0][1]
    read = sorted(map(int, re.findall(r"Total Files Read: (\d+)", plan)))
    assert max(read) == 2  # the two segments of the one stage, and its targets: no other stage's file is opened
    assert sum(read) <= 3


def test_without_predictions_the_view_is_empty(ask: Ask, project: Project) -> None:
    ingest(project, [])
    assert ask("SELECT count(*) FROM predictions") == [(0,)]
    assert ask("SELECT * FROM classification_of('ab', 'val')") == []
    with pytest.raises(RecordError, match="No files found"):
        ask("SELECT * FROM predictions_of('ab')")


def test_predictions_that_were_removed(numbers: tuple, ask: Ask, project: Project) -> None:
    key, *_ = numbers
    next((project.runs / key / "predictions").rglob("epochs-*")).unlink()
    with pytest.raises(RecordError) as caught:
        ask("SELECT count(*) FROM predictions")
    assert "expt rebuild" in caught.value.hint
    rebuild(project, [])
    assert ask("SELECT count(*) FROM predictions") == [(EPOCHS * ROWS + 1,)]
    assert ask("SELECT code FROM findings") == [("unreadable-predictions",)]


@pytest.mark.parametrize("width", [3, 14, 15, 39, 100])
def test_smoothing_is_that_of_measures(ask: Ask, project: Project, width: int) -> None:
    ingest(project, [])
    curve = np.random.default_rng(2).normal(size=40)
    cut = min(width + (width % 2 == 0), 39)
    (got,) = ask("SELECT smooth(?::DOUBLE[], ?)", curve.tolist(), width)[0]
    np.testing.assert_allclose(got, savgol_filter(curve, cut, 2), atol=1e-12)
    (ema,) = ask("SELECT smooth_ema(?::DOUBLE[], 0.6)", curve.tolist())[0]
    np.testing.assert_allclose(ema, lfilter([0.4], [1, -0.6], curve, zi=[0.6 * curve[0]])[0], atol=1e-12)
    used = min(width, 40)
    means = np.lib.stride_tricks.sliding_window_view(curve, used).mean(axis=1)
    low, high = ask("SELECT stable_min(?::DOUBLE[], $2), stable_max($1::DOUBLE[], $2)".replace("?", "$1"), curve.tolist(), width)[
        0
    ]
    assert (low, high) == (pytest.approx(means.min(), abs=1e-12), pytest.approx(means.max(), abs=1e-12))


def test_short_curves(ask: Ask, project: Project) -> None:
    ingest(project, [])
    assert ask("SELECT smooth([1.0], 15), smooth([1.0, 2.0], 15), smooth([]::DOUBLE[], 15)") == [([1.0], [1.0, 2.0], [])]
    assert ask("SELECT smooth_mean([1.0, 2.0, 6.0], 3), stable_min([3.0, 1.0], 10), smooth_ema([1.0, 2.0, 5.0], 0.5)") == [
        ([1.5, 3.0, 4.0], 2.0, [1.0, 1.5, 3.25])
    ]


def test_on_the_curves_of_a_project(project: Project, ask: Ask) -> None:
    plan = make_plan(seeds=2, epochs=60)
    draw = np.random.default_rng(4)
    curves = {stage.seed: draw.normal(size=60) for stage in plan.stages.values()}
    for stage in plan.stages.values():
        write_record(project, stage, {"val/loss": curves[stage.seed].tolist()})
    ingest(project, [plan])
    sql = "SELECT seed, stable_min(smooth(list(value ORDER BY epoch), 15), 10) FROM curves GROUP BY seed ORDER BY seed"
    for seed, value in ask(sql):
        smooth = savgol_filter(curves[seed], 15, 2)
        assert value == pytest.approx(np.lib.stride_tricks.sliding_window_view(smooth, 10).mean(axis=1).min(), abs=1e-12)


def test_a_project_in_another_folder_reads_its_predictions(numbers: tuple, project: Project, tmp_path: Path) -> None:
    from interpreter.project import load_project

    moved = tmp_path.resolve() / "moved"
    project.root.rename(moved)
    assert query(load_project(moved), "SELECT count(*) FROM predictions").rows == ((2 * EPOCHS * ROWS + 1,),)
