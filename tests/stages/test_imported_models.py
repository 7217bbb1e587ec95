"""Several models of one file: points of a sweep, splits as stages of a chain, ids that meet those of our own evaluations."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interpreter.check.page import check_page
from interpreter.errors import PageError
from interpreter.parts.datasets.cifar10_1 import build
from interpreter.plan.build import build_plan
from interpreter.plan.types import Plan, Stage
from interpreter.project import Project, load_project
from interpreter.run.record import Record
from interpreter.run.status import obstacle
from interpreter.spec.components.images import Cifar10v1
from interpreter.spec.imported import Import, look
from interpreter.spec.library import Library
from tests.stages.doing import do, lines

ROOT = Path(__file__).resolve().parents[2]
CIFAR = Path(os.environ.get("EXPT_DATA_CIFAR10_1", ROOT.parent / "shared" / "data" / "cifar10_1"))
NAMES = np.array(["vgg", "darc", "résnet 18"])
TARGETS = np.array([0, 1, 2, 1])
CLASSES = np.array([[0, 1, 2, 1], [0, 1, 0, 0], [2, 2, 2, 2]], dtype=np.uint8)


def planned(root: Path, arm: str, measure: str = "{metric: test/accuracy}", **sources: Path) -> Plan:
    """The plan of a page whose only arm is imported."""
    (root / "specs").mkdir(parents=True, exist_ok=True)
    (root / "expt.toml").write_text("[data]\n" + "".join(f'{name} = "{path}"\n' for name, path in sources.items()), "utf-8")
    page = root / "specs" / "2026-01-01.yaml"
    entry = f"    stages: {{}}\n    arms:\n      old: {arm}\n    measures: {{m: {measure}}}\n"
    page.write_text(f"expt: 1\ndate: 2026-01-01\nentries:\n  e:\n{entry}", "utf-8")
    library = Library(load_project(root.resolve()))
    return build_plan(check_page(library, library.page(page), ""), {})


def stages(plan: Plan) -> dict[tuple[str, str], Stage]:
    """(arm, stage) -> its stage."""
    return {(arm.name, name): plan.stages[key] for arm in plan.entries[0].arms for name, key in arm.trials[0].stages}


def metrics(project: Project, stage: Stage) -> dict[str, Any]:
    (line,) = lines(project, stage, "epoch")
    return dict(line["metrics"])


def ids(project: Project, stage: Stage) -> list[str]:
    (file,) = Record.of(project, stage.key).predictions.rglob("targets.parquet")
    return list(pq.read_table(file).sort_by("row")["id"].to_pylist())


def test_each_model_of_an_archive_is_a_point(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "p.npz", names=NAMES, classes=CLASSES, targets=TARGETS)
    plan = planned(tmp_path, "{import: p.npz, each: names, split: test, ids: 'test-{row:05d}'}")
    found = stages(plan)
    assert list(found) == [(f"old[{label}]", "import") for label in ("vgg", "darc", "résnet-18")]
    assert [arm.base for arm in plan.entries[0].arms] == ["old"] * 3
    project = load_project(tmp_path)
    assert do(project, *found.values()) == ["done"] * 3
    assert [metrics(project, stage)["test/accuracy"] for stage in found.values()] == [1.0, 0.5, 0.25]
    assert ids(project, found["old[darc]", "import"]) == ["test-00000", "test-00001", "test-00002", "test-00003"]
    (data,) = lines(project, found["old[résnet-18]", "import"], "data")
    assert data["facts"]["model"] == "résnet 18"


def test_the_key_of_a_model_is_its_own_and_stays(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "p.npz", names=NAMES, classes=CLASSES, targets=TARGETS)
    whole = stages(planned(tmp_path, "{import: p.npz, each: names, split: test}"))
    some = stages(planned(tmp_path, "{import: p.npz, each: {names: [darc]}, split: test, source: elsewhere}"))
    assert list(some) == [("old[darc]", "import")]
    assert some["old[darc]", "import"].key == whole["old[darc]", "import"].key
    named = stages(planned(tmp_path, "{import: p.npz, each: names, split: test, ids: 'v6-{row}'}"))
    assert len({stage.key for stage in [*whole.values(), *named.values()]}) == 6
    (tmp_path / "folder").mkdir()
    (tmp_path / "p.npz").rename(tmp_path / "folder" / "q.npz")
    moved = stages(
        planned(tmp_path, "{import: q.npz, from: old-results, each: names, split: test}", **{"old-results": tmp_path / "folder"})
    )
    assert [stage.key for stage in moved.values()] == [stage.key for stage in whole.values()]


def test_an_import_of_one_model_has_the_key_it_always_had(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,test_accuracy\n1,0.5\n", "utf-8")
    (stage,) = stages(planned(tmp_path, "{import: a.csv, split: test}")).values()
    assert set(stage.identity["settings"]["import"]) == {
        "sha256", "kind", "split", "columns", "epoch", "first_epoch", "seed_column", "objective"
    }  # fmt: skip


def test_splits_are_stages_of_one_chain(tmp_path: Path) -> None:
    shifted = np.array([[0, 1, 1], [0, 1, 2], [1, 1, 1]])
    np.savez(tmp_path / "p.npz", names=NAMES, a=CLASSES, ta=TARGETS, b=shifted, tb=np.array([0, 1, 2]))
    arm = (
        "{import: p.npz, each: names, splits: {original: {columns: {a: classes, ta: targets}, ids: 'test-{row}'},"
        " shifted: {columns: {b: classes, tb: targets}, ids: 'v6-{row}'}}}"
    )
    plan = planned(tmp_path, arm, "{effective_robustness: {in: original/accuracy, out: shifted/accuracy}}")
    (vgg, _, _) = plan.entries[0].arms
    assert (vgg.chain, vgg.main_stage, vgg.evaluations) == (("original", "shifted"), "original", ("shifted",))
    found, project = stages(plan), load_project(tmp_path)
    assert do(project, *found.values()) == ["done"] * 6
    told = [
        tuple(metrics(project, found[f"old[{model}]", name])[f"{name}/accuracy"] for name in ("original", "shifted"))
        for model in ("vgg", "darc", "résnet-18")
    ]
    assert told == [(1.0, pytest.approx(2 / 3)), (0.5, 1.0), (0.25, pytest.approx(1 / 3))]


def test_a_column_of_a_parquet_table_tells_models_apart(tmp_path: Path) -> None:
    rows = [
        (name, i, int(c), int(t))
        for name, of in zip(NAMES[:2], CLASSES, strict=False)
        for i, (c, t) in enumerate(zip(of, TARGETS, strict=True))
    ]
    names, numbers, classes, targets = zip(*rows, strict=True)
    table = pa.table({"model": names, "ids": [f"v6-{i:05d}" for i in numbers], "classes": classes, "targets": targets})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(PageError) as wrong:
        planned(tmp_path, "{import: p.parquet, each: model, split: test}")
    assert "say which models it has, `each: {model: [NAME, NAME]}`" in wrong.value.problems[0].message
    found = stages(planned(tmp_path, "{import: p.parquet, each: {model: [darc, vgg, nobody]}, split: test}"))
    project = load_project(tmp_path)
    assert do(project, *found.values()) == ["done", "done", "failed: `p.parquet`: has no `nobody` in `model`; known: darc, vgg"]
    assert [metrics(project, found[f"old[{m}]", "import"])["test/accuracy"] for m in ("darc", "vgg")] == [0.5, 1.0]
    assert ids(project, found["old[darc]", "import"])[3] == "v6-00003"


LONG = """model,split,metric,value
vgg,original,accuracy,0.93
vgg,shifted,accuracy,0.85
vgg,shifted,nll,0.5
darc,original,accuracy,0.96
darc,shifted,accuracy,0.9
"""
WIDE = "Model;Split;accuracy;nll\nvgg;original;0.93;\nvgg;shifted;0.85;0.5\ndarc;original;0.96;\ndarc;shifted;0.9;\n"


@pytest.mark.parametrize(("text", "each"), [(LONG, "model"), (WIDE, "Model")], ids=["long", "wide"])
def test_a_table_of_metrics_by_model_and_split(tmp_path: Path, text: str, each: str) -> None:
    (tmp_path / "m.csv").write_text(text, "utf-8")
    plan = planned(
        tmp_path, f"{{import: m.csv, each: {each}}}", "{effective_robustness: {in: original/accuracy, out: shifted/accuracy}}"
    )
    found, project = stages(plan), load_project(tmp_path)
    assert list(found) == [("old[vgg]", "import"), ("old[darc]", "import")]
    assert do(project, *found.values()) == ["done", "done"]
    assert metrics(project, found["old[vgg]", "import"]) == {
        "original/accuracy": 0.93,
        "shifted/accuracy": 0.85,
        "shifted/nll": 0.5,
    }
    assert metrics(project, found["old[darc]", "import"]) == {"original/accuracy": 0.96, "shifted/accuracy": 0.9}


def test_seeds_of_several_models(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("model,seed,test_accuracy\nvgg,0,0.5\nvgg,1,0.6\ndarc,0,0.7\ndarc,1,0.8\n", "utf-8")
    plan = planned(tmp_path, "{import: m.csv, each: model}")
    assert [[trial.seed for trial in arm.trials] for arm in plan.entries[0].arms] == [[0, 1], [0, 1]]
    project = load_project(tmp_path)
    every = [plan.stages[trial.key_of("import")] for arm in plan.entries[0].arms for trial in arm.trials]
    assert do(project, *every) == ["done"] * 4
    assert [metrics(project, stage)["test/accuracy"] for stage in every] == [0.5, 0.6, 0.7, 0.8]


def problems(root: Path, arm: str, **sources: Path) -> list[str]:
    with pytest.raises(PageError) as wrong:
        planned(root, arm, **sources)
    return [problem.message for problem in wrong.value.problems]


@pytest.mark.parametrize(
    ("arrays", "arm", "problem"),
    [
        ({"targets": TARGETS[:3]}, "each: names", "`p.npz` `classes` has 4 examples and `targets` has 3"),
        ({"names": NAMES[:2]}, "each: names", "`p.npz` `names` names 2 models, and `classes` has 3 rows in front"),
        ({"names": np.array(["a", "b", "a"])}, "each: names", "`p.npz` has `a` twice in `names`"),
        ({"names": np.arange(3)}, "each: names", "`p.npz` `names` is no list of names"),
        ({}, "each: model", "`p.npz` has no `model` to tell models apart; known: classes, names, targets"),
        ({}, "each: {names: [vgg16]}", "`p.npz` has no `vgg16` in `names`; did you mean `vgg`?"),
        ({}, "splits: {a: {columns: {v6: classes, targets: targets}}}", "`p.npz` a: has no `v6`; known: classes, names, targets"),
    ],
    ids=["labels-of-another-length", "names-of-another-length", "twice", "no-names", "unknown-array", "no-model", "in-a-split"],
)  # fmt: skip
def test_what_an_archive_can_have_wrong(tmp_path: Path, arrays: dict[str, Any], arm: str, problem: str) -> None:
    np.savez(tmp_path / "p.npz", **{"names": NAMES, "classes": CLASSES, "targets": TARGETS, **arrays})
    split = "" if "splits" in arm else ", split: test"
    assert problems(tmp_path, f"{{import: p.npz{split}, {arm}}}")[0] == problem


def test_a_truncated_archive_and_a_truncated_array_in_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", names=NAMES, classes=CLASSES, targets=TARGETS)
    whole = (tmp_path / "p.npz").read_bytes()
    (tmp_path / "p.npz").write_bytes(whole[: len(whole) // 2])
    assert problems(tmp_path, "{import: p.npz, each: names, split: test}") == [
        "`p.npz` is no archive of arrays that can be read: File is not a zip file"
    ]
    array = io.BytesIO()
    np.save(array, CLASSES)
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        for name, value in (("names", NAMES), ("targets", TARGETS)):
            plain = io.BytesIO()
            np.save(plain, value)
            archive.writestr(f"{name}.npy", plain.getvalue())
        archive.writestr("classes.npy", array.getvalue()[:-5])
    size = len(array.getvalue())
    assert problems(tmp_path, "{import: p.npz, each: names, split: test}") == [
        f"`p.npz` `classes` in it is cut short: {size - 5} of {size} bytes"
    ]


def test_a_source_that_is_not_here_plans_as_blocked(tmp_path: Path) -> None:
    arm = "{import: p.npz, from: elsewhere, each: {names: [vgg, darc]}, split: test}"
    found = stages(planned(tmp_path, arm))
    assert list(found) == [("old[vgg]", "import"), ("old[darc]", "import")]
    project = load_project(tmp_path)
    for stage in found.values():
        assert obstacle(project, stage) == "data `elsewhere` is not here: name its folder in expt.toml, [data]"
    (tmp_path / "there").mkdir()
    found = stages(planned(tmp_path, arm, elsewhere=tmp_path / "there"))
    assert {obstacle(load_project(tmp_path), stage) for stage in found.values()} == {"the file `p.npz` to import is not here"}


def test_names_are_read_as_numpy_writes_them(tmp_path: Path) -> None:
    for names in (NAMES, NAMES.astype(">U12"), np.array([b"vgg", b"darc", b"r"]), np.array(["vgg", "x" * 300, "é"])):
        np.savez_compressed(tmp_path / "p.npz", names=names, classes=CLASSES, targets=TARGETS)
        told = look(tmp_path / "p.npz", Import.model_validate({"import": "p.npz", "each": "names"})).models
        assert told == tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names.tolist())


@pytest.mark.skipif(
    not (CIFAR / "predictions.npz").is_file(), reason="the predictions of the thirty published models are not here"
)
def test_thirty_published_models_meet_our_own_evaluations(tmp_path: Path) -> None:
    arm = (
        "{import: predictions.npz, from: published, each: models, splits: {"
        "original: {columns: {original: classes, labels_original: targets}, ids: 'test-{row:05d}'},"
        "shifted: {columns: {v6: classes, labels_v6: targets}, ids: 'v6-{row:05d}'}}}"
    )
    plan = planned(tmp_path, arm, "{metric: shifted/accuracy}", published=CIFAR)
    found = stages(plan)
    assert len(found) == 60
    vgg = [found["old[vgg16_keras]", name] for name in ("original", "shifted")]
    project = load_project(tmp_path)
    assert do(project, *vgg) == ["done", "done"]
    assert metrics(project, vgg[0])["original/accuracy"] == pytest.approx(0.9359, abs=1e-9)
    assert metrics(project, vgg[1])["shifted/accuracy"] == pytest.approx(1712 / 2000, abs=1e-9)
    with np.load(CIFAR / "predictions.npz", allow_pickle=False) as z:
        labels = z["labels_v6"]
    folder = tmp_path / "images"
    folder.mkdir()
    np.save(folder / "cifar10.1_v6_data.npy", np.zeros((2000, 32, 32, 3), dtype=np.uint8))
    np.save(folder / "cifar10.1_v6_labels.npy", labels.astype(np.int32))
    own = build(Cifar10v1(type="cifar10_1", source="cifar10-1", version="v6"), folder, tmp_path / "cache").splits["test"]
    assert ids(project, vgg[1]) == list(own.ids)
    assert ids(project, vgg[1])[17] == "v6-00017"


def test_a_csv_writer_of_another_program_is_understood(tmp_path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["model", "split", "metric", "value"])
    writer.writerows(
        [["vgg 16", "Valid", "acc", "0.5"], ["vgg 16", "Testing", "Top-5", "0.9"], ["vgg 16", "test", "speed", "12"]]
    )
    (tmp_path / "m.csv").write_text(text.getvalue(), "utf-8")
    found = stages(planned(tmp_path, "{import: m.csv, each: model}", "{metric: val/accuracy}"))
    project = load_project(tmp_path)
    assert do(project, *found.values()) == ["done"]
    assert metrics(project, found["old[vgg-16]", "import"]) == {"val/accuracy": 0.5, "test/top5": 0.9}
