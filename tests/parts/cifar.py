"""Archives of CIFAR-10 in the form in which they were published, with images made up here."""

from __future__ import annotations

import struct
import tarfile
from pathlib import Path

import numpy as np

BATCHES = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
BATCH, PLANES = 10_000, 3072


def images(batch: int) -> tuple[np.ndarray, np.ndarray]:
    """(10000, 3072) bytes and (10000,) labels, all classes equally often. No two images are alike, and they compress well."""
    rng = np.random.default_rng(batch)
    line = np.tile(rng.integers(0, 256, PLANES, dtype=np.uint8), 2)
    pixels = np.lib.stride_tricks.sliding_window_view(line, PLANES)[np.arange(BATCH) % PLANES].copy()
    pixels[:, :4] = np.arange(batch * BATCH, (batch + 1) * BATCH, dtype=np.uint32)[:, None].view(np.uint8)
    return pixels, rng.permutation(np.repeat(np.arange(10), BATCH // 10))


def text(value: bytes) -> bytes:
    """A text as Python 2 pickled it."""
    return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<I", len(value))) + value


def array(data: bytes, shape: tuple[int, int], kind: bytes = b"u1", fortran: bool = False) -> bytes:
    """An array as Python 2 pickled it, by numpy's own function."""
    whole = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in shape) + b"t"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR"
    dtype = (
        b"cnumpy\ndtype\n(" + text(kind) + b"K\x00K\x01tR(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    return made + b"(K\x01" + whole + dtype + (b"\x88" if fortran else b"\x89") + text(data) + b"tb"


def pickled(entries: dict[bytes, bytes]) -> bytes:
    """A dictionary of things that are pickled already, in protocol 2."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def numbers(values: list[int]) -> bytes:
    """A list of integers."""
    return b"](" + b"".join(b"K" + bytes([n]) if 0 <= n < 256 else b"J" + struct.pack("<i", n) for n in values) + b"e"


def python_batch(pixels: np.ndarray, labels: list[int], name: str = "training batch 1 of 5") -> bytes:
    """A file of the python archive."""
    entries = {
        b"data": array(pixels.tobytes(), pixels.shape),
        b"labels": numbers(labels),
        b"batch_label": text(name.encode()),
        b"filenames": b"](" + b"".join(text(b"camion_s_%06d.png" % i) for i in range(len(labels))) + b"e",
    }
    return pickled(entries)


def binary_batch(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    """A file of the binary archive."""
    return np.concatenate([labels.astype(np.uint8)[:, None], pixels], axis=1).tobytes()


def write_all(folder: Path) -> None:
    """Both archives, unpacked, in `folder`."""
    for part in ("cifar-10-batches-py", "cifar-10-batches-bin"):
        (folder / part).mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        pixels, labels = images(number)
        (folder / "cifar-10-batches-py" / name).write_bytes(python_batch(pixels, labels.tolist()))
        (folder / "cifar-10-batches-bin" / f"{name}.bin").write_bytes(binary_batch(pixels, labels))
    names = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]
    meta = pickled(
        {b"num_cases_per_batch": b"J" + struct.pack("<i", BATCH), b"label_names": b"](" + b"".join(map(text, names)) + b"e"}
    )
    (folder / "cifar-10-batches-py" / "batches.meta").write_bytes(meta)
    (folder / "cifar-10-batches-bin" / "batches.meta.txt").write_bytes(b"\n".join(names))


def pack(folder: Path, archive: Path, names: list[str] | None = None) -> None:
    """`folder`, or only the files `names` of it, as an archive."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as file:
        for path in sorted(folder.iterdir()):
            if names is None or path.name in names:
                file.add(path, arcname=f"{folder.name}/{path.name}")
