"""CIFAR-10 and 10.1, from files in their published forms; torchvision reads the same files beside us."""

import os
import pickle
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from pydantic import ValidationError

from interpreter.errors import DataMissing
from interpreter.parts.build import build_data, build_objective
from interpreter.parts.contract import Draw
from interpreter.parts.datasets.cifar_files import CLASSES, MD5
from interpreter.spec.components.images import CIFAR_STANDARD, Cifar10, Cifar10v1
from tests.conftest import ROOT
from tests.parts import cifar

PREDICTIONS = ROOT.parent / "shared" / "data" / "cifar10_1" / "predictions.npz"
PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"


@pytest.fixture(scope="module")
def archives():
    """Both archives, unpacked: some 370 MB, gone after these tests."""
    with tempfile.TemporaryDirectory() as folder:
        cifar.write_all(Path(folder))
        yield Path(folder)


@pytest.fixture(scope="module")
def whole(archives):
    return build(archives / BINARY)


@pytest.fixture
def copy(archives, tmp_path):
    """A place for one test batch, in either form; the rest is there by link."""
    for form in (PYTHON, BINARY):
        (tmp_path / form).mkdir()
        for path in (archives / form).iterdir():
            (tmp_path / form / path.name).symlink_to(path)
    return tmp_path


def build(source, **settings):
    return build_data({"type": "cifar10", "source": "pictures", **settings}, source, None)


def replaced(path, content):
    path.unlink()
    path.write_bytes(content)


def pixels_of(data, split):
    part = data.splits[split]
    x = part.batch(np.arange(len(part)), None)[0]
    normalized = data.facts["normalization"]
    mean, std = (torch.tensor(normalized[name])[:, None, None] for name in ("mean", "std"))
    return (x * std + mean).mul_(255).round_().to(torch.uint8)


def test_it_is_what_torchvision_reads_from_the_same_files(archives, whole, monkeypatch):
    theirs = torchvision.datasets.CIFAR10
    monkeypatch.setattr(theirs, "train_list", [[name, None] for name, _ in theirs.train_list])
    monkeypatch.setattr(theirs, "test_list", [[name, None] for name, _ in theirs.test_list])
    monkeypatch.setattr(theirs, "meta", {**theirs.meta, "md5": None})
    read = build(archives)
    assert read.facts["form"] == "python"
    for split, train in (("train", True), ("test", False)):
        expected = theirs(archives, train=train)
        assert tuple(expected.classes) == read.class_names
        images = torch.from_numpy(expected.data).permute(0, 3, 1, 2)
        for data in (read, whole):
            assert torch.equal(data.splits[split].images, images)
            assert data.splits[split].targets.tolist() == expected.targets
        x, y = read.splits[split].batch(np.array([7, 9999, 7]), None)
        tensor = torch.stack([torchvision.transforms.functional.to_tensor(expected[i][0]) for i in (7, 9999, 7)])
        normalize = torchvision.transforms.Normalize(CIFAR_STANDARD.mean, CIFAR_STANDARD.std)
        assert torch.allclose(x, normalize(tensor), rtol=0, atol=1e-6)
        assert y.tolist() == [expected.targets[i] for i in (7, 9999, 7)]


def test_splits_facts_and_what_is_told(archives, whole):
    assert whole.facts["n"] == {"train": 50_000, "test": 10_000}
    assert whole.facts["classes"] == {"train": [5000] * 10, "test": [1000] * 10}
    assert (whole.shape, whole.outputs, whole.class_names, whole.findings) == ((3, 32, 32), 10, CLASSES, ())
    assert whole.origin == "real: CIFAR-10, of the source `pictures`"
    assert (whole.splits["train"].ids[49_999], whole.splits["test"].ids[3]) == ("train-49999", "test-00003")
    facts = Cifar10(source="pictures").facts()
    assert (facts.splits, facts.shape, facts.outputs) == (tuple(whole.splits), whole.shape, whole.outputs)
    test = build(archives, part="test")
    assert list(test.splits) == ["test"]
    assert test.findings == (("unpublished-content", "not the published files, byte for byte: test_batch"),)
    assert sorted(MD5) == sorted(cifar.BATCHES)
    objective = build_objective({"type": "classification"}, test)
    assert objective.outputs == 10


def test_the_archive_itself_will_do(archives, whole, tmp_path):
    cifar.pack(archives / BINARY, tmp_path / "cifar-10-binary.tar.gz")
    data = build(tmp_path)
    for split in ("train", "test"):
        assert torch.equal(data.splits[split].images, whole.splits[split].images)
        assert torch.equal(data.splits[split].targets, whole.splits[split].targets)
    assert data.facts["form"] == "binary"
    cifar.pack(archives / PYTHON, tmp_path / "cifar-10-python.tar.gz", ["data_batch_5", "test_batch"])
    for source in (tmp_path, tmp_path / "cifar-10-python.tar.gz"):
        data = build(source, part="test")
        assert torch.equal(data.splits["test"].images, whole.splits["test"].images)
        assert data.facts["form"] == "python"
    with pytest.raises(DataMissing, match="has no data_batch_1, data_batch_2, data_batch_3, data_batch_4"):
        build(tmp_path)
    content = (tmp_path / "cifar-10-python.tar.gz").read_bytes()
    for cut in (content[: len(content) // 2], content[:40], b""):
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(cut)
        with pytest.raises(DataMissing, match="`pictures` can't be read") as error:
            build(tmp_path, part="test")
        assert "damaged" in error.value.hint


def test_validation_drawn_from_train(archives, whole):
    data = build(archives / BINARY, val={"from": "train", "n": 5000})
    assert data.facts["classes"] == {"train": [4500] * 10, "val": [500] * 10, "test": [1000] * 10}
    ids = {split: set(part.ids) for split, part in data.splits.items()}
    assert not ids["train"] & ids["val"]
    assert ids["train"] | ids["val"] == set(whole.splits["train"].ids)
    rows = [int(name.removeprefix("train-")) for name in data.splits["val"].ids]
    assert torch.equal(data.splits["val"].images, whole.splits["train"].images[rows])
    assert torch.equal(data.splits["val"].targets, whole.splits["train"].targets[rows])
    budget = build(archives / BINARY, val={"from": "train", "n": 5000}, per_class=20)
    assert budget.splits["val"].ids == data.splits["val"].ids
    assert set(budget.splits["train"].ids) < ids["train"]
    assert budget.facts["classes"]["train"] == [20] * 10
    assert budget.facts["n_before_budget"] == {"train": 45_000, "val": 5000, "test": 10_000}
    assert budget.findings == ()
    few = build(archives / BINARY, val={"from": "train", "n": 4, "seed": 1}, label_fraction=1e-9)
    assert few.facts["classes"]["train"] == [1] * 10
    assert few.findings == (
        (
            "missing-class",
            "the val split has no images of deer, dog, frog, horse, ship, truck: means over classes leave them out",
        ),
    )
    scores = {name: number / 50_000 for number, name in enumerate(whole.splits["train"].ids)}
    subset = {"easiest": "1%", "scored_by": {"result": "x"}}
    settings = {"type": "cifar10", "source": "pictures", "subset": subset}
    chosen = build_data(settings, archives / BINARY, None, scores)
    assert chosen.splits["train"].ids == [f"train-{n:05d}" for n in range(500)]


def test_validation_on_the_test_set_is_told(archives):
    data = build(archives / BINARY, val={"from": "test"})
    assert [code for code, _ in data.findings] == ["selected-on-test"]
    assert "has seen the test set" in data.findings[0][1]
    assert data.splits["val"].ids == data.splits["test"].ids
    assert data.splits["val"].images.data_ptr() == data.splits["test"].images.data_ptr()
    (doubt,) = Cifar10.model_validate({"source": "x", "val": {"from": "test"}}).doubts()
    assert "selected on the test set" in doubt.text
    assert Cifar10.model_validate({"source": "x", "val": {"from": "train", "n": 5000}}).doubts() == ()


def place_of(image, wide):
    """The one (down, across, mirrored) by which the image lies in the padded original."""
    found = []
    for down in range(9):
        for across in range(9):
            part = wide[:, down : down + 32, across : across + 32]
            found += [(down, across, False)] if torch.equal(image, part) else []
            found += [(down, across, True)] if torch.equal(image, part.flip(-1)) else []
    assert len(found) == 1
    return found[0]


def test_augmentation_is_of_train_alone_and_the_same_in_any_batch(archives):
    settings = {"augment": {"shift": 4, "flip": 0.5}, "val": {"from": "train", "n": 5000}, "normalize": "range"}
    data = build(archives / BINARY, **settings)
    train, val = data.splits["train"], data.splits["val"]
    index = np.arange(256)
    still = train.batch(index, None)[0]
    seen = train.batch(index, Draw(3, 0))[0]
    assert torch.equal(train.batch(np.array([200, 7]), Draw(3, 0))[0], seen[[200, 7]])
    assert torch.equal(val.batch(index, Draw(3, 0))[0], val.batch(index, None)[0])
    wide = torch.nn.functional.pad(still, (4, 4, 4, 4))
    places = [place_of(image, original) for image, original in zip(seen, wide, strict=True)]
    assert len(set(places)) > 100  # of 162
    crops = build(archives / BINARY, part=None, augment={"two_crops": "simclr"}).splits["train"]
    assert crops.batch(index, Draw(3, 0))[0].shape == (256, 2, 3, 32, 32)
    again = pickle.loads(pickle.dumps(build(archives / BINARY, augment={"flip": 0.5}, per_class=3).splits["train"]))
    assert len(again) == 30
    assert len(pickle.dumps(again)) < 30 * 3072 + 20_000  # its own images alone


def test_a_batch_is_ready_long_before_a_network_needs_it(whole, archives):
    split = build(archives / BINARY, augment={"shift": 4, "flip": 0.5}, per_class=100).splits["train"]
    index = np.arange(128)
    split.batch(index, Draw(0, 0))
    began = time.process_time()
    for epoch in range(20):
        split.batch(index, Draw(0, epoch))
    per_second = 20 * 128 / (time.process_time() - began)
    assert per_second > 5000  # some 70,000 on one quiet core; a ResNet-18 trains on some hundreds


class Evil:
    """Makes a folder when it is read by a reader that runs what it is told."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_run(copy):
    made = copy / "made"
    for content in (
        pickle.dumps({b"data": Evil(made), b"labels": []}, protocol=2),
        f"cos\nsystem\n(S'mkdir {made}'\ntR.".encode(),
        b"cbuiltins\neval\n(S'1'\ntR.",
        pickle.dumps(np.array([Evil(made)], dtype=object), protocol=2),
    ):
        replaced(copy / PYTHON / "test_batch", content)
        with pytest.raises(DataMissing, match=r"test_batch in `pictures` can't be read: it asks for \w+.\w+, which no batch"):
            build(copy, part="test")
        assert not made.exists()
    pickle.loads(pickle.dumps(Evil(made)))
    assert made.is_dir()  # it would have


def test_batches_pickled_anew_are_read_too(copy):
    pixels, labels = cifar.images(5)
    replaced(copy / PYTHON / "test_batch", pickle.dumps({"data": pixels, "labels": labels.tolist()}, protocol=2))
    assert np.array_equal(build(copy, part="test").splits["test"].images.flatten(1).numpy(), pixels)
    replaced(copy / PYTHON / "test_batch", pickle.dumps({b"data": np.asfortranarray(pixels), b"labels": labels.tolist()}, 4))
    assert np.array_equal(build(copy, part="test").splits["test"].images.flatten(1).numpy(), pixels)


PIXELS = np.zeros((10_000, 3072), dtype=np.uint8)
LABELS = [n % 10 for n in range(10_000)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: cifar.python_batch(PIXELS, LABELS)[:-1000], "test_batch in `pictures` can't be read"),
        (lambda: cifar.python_batch(PIXELS, LABELS)[:1_000_000], "can't be read: pickle data was truncated"),
        (lambda: b"", "can't be read: Ran out of input"),
        (lambda: b"<html>not found</html>", "can't be read"),
        (lambda: cifar.python_batch(PIXELS[:9999], LABELS[:9999]), r"should be 10000 x 3072 bytes, and is \(9999, 3072\) of u1"),
        (lambda: cifar.python_batch(PIXELS, LABELS[:9990]), "has 9,990 labels for its 10,000 images"),
        (lambda: cifar.python_batch(PIXELS, [*LABELS[:9999], 10]), "labels that are not 0 to 9: 10"),
        (lambda: cifar.python_batch(PIXELS, [-1, *LABELS[1:]]), "labels that are not 0 to 9: -1"),
        (lambda: cifar.pickled({b"fine_labels": cifar.numbers(LABELS)}), "is no batch of CIFAR-10"),
        (lambda: b"\x80\x02]q\x00.", "is no batch of CIFAR-10"),
        (
            lambda: cifar.pickled({b"data": cifar.array(bytes(100), (10_000, 3072)), b"labels": cifar.numbers(LABELS)}),
            r"\(10000, 3072\) of u1, 100 bytes",
        ),
        (
            lambda: cifar.pickled({b"data": cifar.array(bytes(80_000), (10_000, 1), b"f8"), b"labels": cifar.numbers(LABELS)}),
            r"and is \(10000, 1\) of f8",
        ),
    ],
)
def test_a_python_batch_that_is_damaged(copy, content, said):
    replaced(copy / PYTHON / "test_batch", content())
    with pytest.raises(DataMissing, match=said) as error:
        build(copy, part="test")
    assert error.value.hint


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (lambda content: content[:-1], "test_batch.bin in `pictures` has 30,729,999 bytes, and should have 30,730,000"),
        (lambda content: content + b"\x00", "has 30,730,001 bytes"),
        (lambda content: b"\x0b" + content[1:], "labels that are not 0 to 9: 11"),
    ],
)
def test_a_binary_batch_that_is_damaged(copy, cut, said):
    path = copy / BINARY / "test_batch.bin"
    replaced(path, cut(path.read_bytes()))
    with pytest.raises(DataMissing, match=said):
        build(copy / BINARY, part="test")


def test_what_is_missing_is_named(copy, tmp_path):
    for name in ("data_batch_2", "data_batch_5"):
        (copy / PYTHON / name).unlink()
    with pytest.raises(DataMissing, match="`pictures` has no data_batch_2, data_batch_5") as error:
        build(copy)
    assert "unpack the archive again" in error.value.hint
    assert len(build(copy, part="test").splits["test"]) == 10_000
    shutil.rmtree(copy / PYTHON)
    assert build(copy, part="test").facts["form"] == "binary"
    shutil.rmtree(copy / BINARY)
    with pytest.raises(DataMissing, match="there is no CIFAR-10 in the data source `pictures`") as error:
        build(copy)
    assert "cifar-10-python.tar.gz" in error.value.hint
    for source in (None, tmp_path / "nowhere"):
        with pytest.raises(DataMissing, match="`pictures` is not here") as error:
            build(source)
        assert "EXPT_DATA_PICTURES" in error.value.hint
    (tmp_path / "some.txt").write_text("no archive")
    with pytest.raises(DataMissing, match="can't be read"):
        build(tmp_path / "some.txt")


def test_classes_that_are_not_as_published(copy):
    pixels, labels = cifar.images(5)
    sorted_labels = np.sort(labels)
    replaced(copy / BINARY / "test_batch.bin", cifar.binary_batch(pixels, sorted_labels))
    data = build(copy / BINARY, part="test")  # sorted by class: every class is there, whatever batches it is read in
    assert (data.facts["n"], data.facts["classes"]) == ({"test": 10_000}, {"test": [1000] * 10})
    assert data.findings == ()
    replaced(copy / BINARY / "test_batch.bin", cifar.binary_batch(pixels, np.where(labels == 9, 8, labels)))
    data = build(copy / BINARY, part="test")
    assert [code for code, _ in data.findings] == ["unpublished-counts", "missing-class"]
    assert data.findings[0][1] == (
        "images of each class of test are 1000 1000 1000 1000 1000 1000 1000 1000 2000 0, and were published as 1000 each"
    )
    assert "the test split has no images of truck" in data.findings[1][1]
    for name in cifar.BATCHES[:-1]:
        path = copy / BINARY / f"{name}.bin"
        rows = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(10_000, 3073).copy()
        rows[rows[:, 0] == 0, 0] = 1
        replaced(path, rows.tobytes())
    with pytest.raises(DataMissing, match="the training split of `pictures` has no images of airplane"):
        build(copy / BINARY)


def test_settings_that_belong_to_train():
    with pytest.raises(ValidationError, match="has no training images"):
        Cifar10(source="x", part="test", per_class=3)


# CIFAR-10.1


@pytest.fixture
def newer(tmp_path):
    """v4 and v6 in their published counts and orders, with random images."""
    rng = np.random.default_rng(0)
    counts = {"v4": [208, 212, 202, 212, 204, 218, 192, 210, 161, 202], "v6": [200] * 10}
    order = {"v4": [6, 9, 4, 1, 2, 7, 8, 3, 5, 0], "v6": range(10)}
    for version in ("v4", "v6"):
        labels = np.concatenate([np.full(counts[version][c], c, dtype=np.int32) for c in order[version]])
        np.save(tmp_path / f"cifar10.1_{version}_labels.npy", labels)
        images = rng.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
        np.save(tmp_path / f"cifar10.1_{version}_data.npy", images)
    return tmp_path


def new(source, version="v6", **settings):
    return build_data({"type": "cifar10_1", "source": "newer", "version": version, **settings}, source, None)


@pytest.mark.parametrize(("version", "n"), [("v4", 2021), ("v6", 2000)])
def test_the_newer_test_set(newer, version, n):
    data = new(newer, version)
    assert (list(data.splits), data.facts["n"], data.findings) == (["test"], {"test": n}, ())
    split = data.splits["test"]
    labels = np.load(newer / f"cifar10.1_{version}_labels.npy")
    images = np.load(newer / f"cifar10.1_{version}_data.npy")
    assert split.targets.tolist() == labels.tolist()
    assert split.targets.dtype == torch.int64
    assert np.array_equal(pixels_of(data, "test").numpy(), images.transpose(0, 3, 1, 2))
    assert data.facts["classes"]["test"] == np.bincount(labels).tolist()
    assert split.ids[-1] == f"{version}-{n - 1:05d}"
    assert data.class_names == CLASSES
    assert data.origin == f"real: CIFAR-10.1 {version}, of the source `newer`"
    facts = Cifar10v1(source="newer", version=version).facts()
    assert (facts.splits, facts.target_space) == (("test",), data.target_space)
    assert data.target_space == Cifar10(source="x").facts().target_space
    assert torch.equal(split.batch(np.arange(5), Draw(0, 0))[0], split.batch(np.arange(5), None)[0])
    x = new(newer, version, normalize="range").splits["test"].batch(np.arange(n), None)[0]
    assert (float(x.min()), float(x.max())) == (0.0, 1.0)
    (newer / "datasets").mkdir()
    for path in newer.glob("*.npy"):
        path.rename(newer / "datasets" / path.name)
    assert torch.equal(new(newer, version).splits["test"].images, split.images)


@pytest.mark.skipif(not PREDICTIONS.is_file(), reason="the published labels are not at ../shared/data/cifar10_1")
def test_the_published_labels_have_the_counts_we_know(newer):
    published = np.load(PREDICTIONS)
    for version in ("v4", "v6"):
        labels = published[f"labels_{version}"].astype("<i4")
        np.save(newer / f"cifar10.1_{version}_labels.npy", labels)
        data = new(newer, version)
        assert data.findings == ()
        assert data.splits["test"].targets.tolist() == labels.tolist()
    assert np.bincount(published["labels_original"]).tolist() == [1000] * 10


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("data", np.zeros((2000, 3, 32, 32), np.uint8), "holds 2000 x 3 x 32 x 32 of uint8, and should hold N x 32 x 32 x 3"),
        ("data", np.zeros((2000, 32, 32, 3), np.float32), "of float32"),
        ("data", np.zeros((1999, 32, 32, 3), np.uint8), "has 1,999 images, and cifar10.1_v6_labels.npy has 2,000 labels"),
        ("labels", np.zeros(2021, np.int32), "has 2,000 images, and cifar10.1_v6_labels.npy has 2,021 labels"),
        ("labels", np.zeros(2000, np.float64), "holds 2000 of float64, and should hold N integers"),
        ("labels", np.zeros((2000, 1), np.int32), "holds 2000 x 1 of int32"),
        ("labels", np.full(2000, 10, np.int32), "labels that are not 0 to 9: 10"),
        ("labels", np.full(2000, -3, np.int32), "labels that are not 0 to 9: -3"),
    ],
)
def test_arrays_that_are_not_as_they_should_be(newer, file, content, said):
    np.save(newer / f"cifar10.1_v6_{file}.npy", content)
    with pytest.raises(DataMissing, match=said) as error:
        new(newer)
    assert error.value.hint


def test_files_that_are_missing_or_cut_short(newer):
    data = newer / "cifar10.1_v6_data.npy"
    content = data.read_bytes()
    for cut in (content[:-1], content[:5000], content[:60], b"", b"<html>"):
        data.write_bytes(cut)
        with pytest.raises(DataMissing, match=r"cifar10\.1_v6_data\.npy in `newer` can't be read") as error:
            new(newer)
        assert "damaged" in error.value.hint
    np.save(data, np.array([Evil(newer / "made")], dtype=object), allow_pickle=True)
    with pytest.raises(DataMissing, match="can't be read"):
        new(newer)
    assert not (newer / "made").exists()
    data.unlink()
    with pytest.raises(DataMissing, match=r"`newer` has no cifar10\.1_v6_data\.npy"):
        new(newer)
    with pytest.raises(DataMissing, match="`newer` is not here"):
        new(None)


def test_classes_of_the_newer_set_that_are_not_as_published(newer):
    labels = np.load(newer / "cifar10.1_v6_labels.npy")
    labels[labels == 9] = 0
    np.save(newer / "cifar10.1_v6_labels.npy", labels)
    data = new(newer)
    assert [code for code, _ in data.findings] == ["unpublished-counts", "missing-class"]
    assert "400 200 200 200 200 200 200 200 200 0, and were published as 200 each" in data.findings[0][1]
