"""Reading CIFAR-10 as it was published, and CIFAR-10.1's npy files. Nothing is downloaded, nothing in a file is run.

CIFAR-10 comes as six batches of 10,000 images, in one of two forms, each unpacked or as the archive it was published in:

    cifar-10-batches-py/data_batch_1 ... 5, test_batch               cifar-10-python.tar.gz
        pickles of a dictionary: `data`, (10000, 3072) bytes; `labels`, a list
    cifar-10-batches-bin/data_batch_1.bin ... 5.bin, test_batch.bin  cifar-10-binary.tar.gz
        for each image its label, one byte, and 3072 bytes

3072 bytes are the red, then the green, then the blue plane, row by row.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCH = 10_000  # images
SHAPE = (3, 32, 32)
PLANES = 3 * 32 * 32
TRAIN = tuple(f"data_batch_{n}" for n in range(1, 6))
TEST = ("test_batch",)
PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
ARCHIVES = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")
# Of the python batches as published, in hex.
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_HINT = f"name the folder that holds {PYTHON} or {BINARY}, or the archive itself ({' or '.join(ARCHIVES)})"
_AGAIN = "the copy is damaged: unpack the archive again, or get it again"


@dataclass(frozen=True, slots=True)
class Images:
    """Labelled images in the order of their files."""

    pixels: NDArray[np.uint8]  # (N, 3, 32, 32)
    labels: NDArray[np.int64]  # (N,)


@dataclass(frozen=True, slots=True)
class Read:
    """Parts of CIFAR-10, read."""

    images: dict[str, Images]  # of each part that was asked for
    form: str  # "python" or "binary"
    changed: tuple[str, ...]  # python batches that are not, byte for byte, the published ones


def read_batches(source: Path, name: str, parts: Mapping[str, Sequence[str]]) -> Read:
    """The images of each part, given by its batches, from the folder or archive `source`, which is called `name`.

    Raises: DataMissing when there is no such batch, or one is not as it should be.
    """
    images = {
        part: Images(np.empty((len(batches) * BATCH, *SHAPE), np.uint8), np.empty(len(batches) * BATCH, np.int64))
        for part, batches in parts.items()
    }
    places = {batch: (part, BATCH * i) for part, batches in parts.items() for i, batch in enumerate(batches)}
    form, changed, found = "", [], set()
    for batch, form, content in _contents(source, name, list(places)):
        part, start = places[batch]
        planes, labels = _of_binary(content, batch, name) if form == "binary" else _of_python(content, batch, name)
        images[part].pixels[start : start + BATCH] = planes.reshape(BATCH, *SHAPE)
        images[part].labels[start : start + BATCH] = labels
        found.add(batch)
        if form == "python" and hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[batch]:
            changed.append(batch)
    if not form:
        raise DataMissing(f"there is no CIFAR-10 in the data source `{name}`", hint=_HINT)
    if missing := [batch for batch in places if batch not in found]:
        raise DataMissing(f"CIFAR-10 in the data source `{name}` has no {', '.join(missing)}", hint=_AGAIN)
    return Read(images, form, tuple(sorted(changed)))


def read_arrays(data: Path, labels: Path, name: str) -> Images:
    """Images and labels from two npy files, as CIFAR-10.1 has them: (N, 32, 32, 3) bytes and (N,) integers from 0 to 9.

    Raises: DataMissing when one is not there, cut short, or holds something else.
    """
    images, classes = (_array(path, name) for path in (data, labels))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3):
        said = f"{' x '.join(map(str, images.shape))} of {images.dtype}"
        raise DataMissing(f"{data.name} in `{name}` holds {said}, and should hold N x 32 x 32 x 3 of uint8", hint=_AGAIN)
    if classes.dtype.kind not in "iu" or classes.ndim != 1:
        said = f"{' x '.join(map(str, classes.shape))} of {classes.dtype}"
        raise DataMissing(f"{labels.name} in `{name}` holds {said}, and should hold N integers", hint=_AGAIN)
    if len(images) != len(classes):
        text = f"{data.name} in `{name}` has {len(images):,} images, and {labels.name} has {len(classes):,} labels"
        raise DataMissing(text, hint="the files are of different versions, or one is damaged")
    _in_range(classes, labels.name, name)
    return Images(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), classes.astype(np.int64))


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataMissing(
            f"the data source `{name}` has no {path.name}", hint="name the folder that holds the npy files"
        ) from None
    except (OSError, EOFError, ValueError, SyntaxError) as error:
        raise DataMissing(f"{path.name} in `{name}` can't be read: {error}", hint=_AGAIN) from None
    if not isinstance(found, np.ndarray):
        raise DataMissing(f"{path.name} in `{name}` is an archive of arrays, and should be one array", hint=_AGAIN)
    return found


def _contents(source: Path, name: str, wanted: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """(batch, "python" or "binary", content) of those of `wanted` that are there, from the first place that has any."""
    try:
        if source.is_file():
            yield from _in_archive(source, wanted)
            return
        for folder in (source / PYTHON, source / BINARY, source):
            files = [(batch, folder / f"{batch}{end}") for end in ("", ".bin") for batch in wanted]
            there = [(batch, path) for batch, path in files if path.is_file()]
            if there:
                end = there[0][1].suffix
                form = "binary" if end else "python"
                yield from ((batch, form, path.read_bytes()) for batch, path in there if path.suffix == end)
                return
        for archive in ARCHIVES:
            if (source / archive).is_file():
                yield from _in_archive(source / archive, wanted)
                return
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataMissing(f"CIFAR-10 in the data source `{name}` can't be read: {error}", hint=_AGAIN) from None


def _in_archive(path: Path, wanted: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """Members are read in their order, never unpacked to disk."""
    left = {f"{PYTHON}/{batch}": (batch, "python") for batch in wanted}
    left |= {f"{BINARY}/{batch}.bin": (batch, "binary") for batch in wanted}
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            found = left.pop("/".join(PurePosixPath(member.name).parts[-2:]), None) if member.isfile() else None
            if found is not None:
                file = archive.extractfile(member)
                assert file is not None
                yield *found, file.read()


def _of_binary(content: bytes, batch: str, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    expected = BATCH * (1 + PLANES)
    if len(content) != expected:
        text = f"{batch}.bin in `{name}` has {len(content):,} bytes, and should have {expected:,}: 10,000 labels and images"
        raise DataMissing(text, hint=_AGAIN)
    rows = np.frombuffer(content, dtype=np.uint8).reshape(BATCH, 1 + PLANES)
    return rows[:, 1:], _in_range(rows[:, 0], f"{batch}.bin", name)


def _of_python(content: bytes, batch: str, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        found = _Reader(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        why = str(error) or type(error).__name__
        raise DataMissing(f"{batch} in `{name}` can't be read: {why}", hint=_AGAIN) from None
    fields = {k.decode("latin1") if isinstance(k, bytes) else k: v for k, v in found.items()} if isinstance(found, dict) else {}
    data, labels = fields.get("data"), fields.get("labels")
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise DataMissing(f"{batch} in `{name}` is no batch of CIFAR-10: it has no `data` and `labels`", hint=_HINT)
    if data.shape != (BATCH, PLANES) or not data.of_bytes or len(data.content) != BATCH * PLANES:
        raise DataMissing(f"`data` of {batch} in `{name}` should be 10000 x 3072 bytes, and is {data.words()}", hint=_AGAIN)
    if len(labels) != BATCH:
        raise DataMissing(f"{batch} in `{name}` has {len(labels):,} labels for its 10,000 images", hint=_AGAIN)
    if not all(type(label) is int and 0 <= label < len(CLASSES) for label in labels):
        raise DataMissing(f"{batch} in `{name}` has labels that are not 0 to 9: {_few(labels)}", hint=_AGAIN)
    planes = np.frombuffer(data.content, dtype=np.uint8).reshape(BATCH, PLANES, order=data.order)
    return planes, np.array(labels, dtype=np.int64)


def _in_range(labels: NDArray[Any], file: str, name: str) -> NDArray[np.int64]:
    found = labels.astype(np.int64)
    if len(found) and (found.min() < 0 or found.max() >= len(CLASSES)):
        raise DataMissing(f"{file} in `{name}` has labels that are not 0 to 9: {_few(found.tolist())}", hint=_AGAIN)
    return found


def _few(labels: Iterable[Any]) -> str:
    wrong = dict.fromkeys(repr(label) for label in labels if type(label) is not int or not 0 <= label < len(CLASSES))
    return ", ".join(list(wrong)[:3]) + (", ..." if len(wrong) > 3 else "")


class _Array:
    """What stands for a numpy array in a pickle: its state, looked at before any of it is believed."""

    shape: Any = ()
    kind: Any = None
    content: bytes = b""
    order: Any = "C"

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.kind, fortran, content = state
        self.order = "F" if fortran else "C"
        self.content = content if isinstance(content, bytes) else b""

    @property
    def of_bytes(self) -> bool:
        """Whether its numbers are unsigned bytes."""
        return isinstance(self.kind, _Kind) and self.kind.code in (b"u1", "u1")

    def words(self) -> str:
        """What it says to be."""
        code = self.kind.code if isinstance(self.kind, _Kind) else "?"
        return f"{self.shape} of {code.decode('latin1') if isinstance(code, bytes) else code}, {len(self.content):,} bytes"


class _Kind:
    """What stands for numpy's type of numbers."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code

    def __setstate__(self, _: Any) -> None:
        """Byte order and the like: nothing that bytes have."""


def _text_as_bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into the old protocol."""
    return text.encode({"latin1": "latin1"}[encoding])


class _Reader(pickle.Unpickler):
    """Reads dictionaries, lists, texts, numbers and arrays; whatever else a pickle asks for is refused, and nothing is run."""

    _KNOWN = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
        ("_codecs", "encode"): _text_as_bytes,
    }

    def find_class(self, module: str, name: str) -> Any:
        """What stands for `module.name`. Raises: UnpicklingError for anything that a batch of CIFAR-10 does not have."""
        known = self._KNOWN.get((module, name))
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch of CIFAR-10 does")
        return known
