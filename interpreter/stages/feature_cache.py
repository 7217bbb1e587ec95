"""Features of examples by frozen encoders, each computed once and kept in the cache folder.

A file holds the features of one split, as one checkpoint's encoder gives them in evaluation mode:

    features/<key of the fit>/<checkpoint>-<split>-<digest>.npy

float32, a row an example (pose by pose, where it is looked at in several), mapped into memory. The digest is of everything that
decides a bit of it: the encoder's weights and settings, the data with its fingerprints, the draw of its augmentation where it has
one, and the numerics. So probes of other heads, seeds and pages find what is there. The folder may be thrown away at any time.

A file appears whole or not at all. Stages that need the same ones at the same time share the work: each makes those that nobody
is at.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from interpreter.errors import StageFailed
from interpreter.parts.contract import Data, Draw, Model, Split
from interpreter.run.record import write_atomically
from interpreter.spec.canonical import canonical, digest
from interpreter.stages.diagnostics import hash_of
from interpreter.stages.work import Work

FORMAT = 1  # of the files; raised when what is computed changes
FOLDER = "features"
_LOOKED_AT = 1024  # examples by which it is told whether a split is augmented
_AT_ONCE = 64
_WAIT_S = 0.2

Floats = NDArray[np.float32]
Parts = Iterator[Tensor]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Features to be had: where they are kept, how many rows they are, and what makes them, some rows after the other."""

    path: Path
    rows: int
    make: Callable[[], Parts]


def place_of(work: Work, fit: str, checkpoint: str, encoder: str, split: str, draw: Draw | None) -> Path:
    """The file of the features of one split by the encoder (its hash) of one checkpoint, the examples seen as `draw` says."""
    stage, numerics = work.stage, work.numerics
    identity: Mapping[str, Any] = stage.identity
    decides = {
        "format": FORMAT,
        "encoder": encoder,
        "model": stage.settings["model"],
        "data": identity["settings"]["data"],
        "fingerprints": identity.get("data"),
        "scores": [each.key for each in stage.inputs if each.role == "scores"],
        "draw": None if draw is None else [draw.stream, draw.epoch],
        "numerics": [numerics.device, numerics.threads, numerics.precision, numerics.tf32, torch.__version__],
    }
    view = "" if draw is None else f"-view-{draw.epoch}"
    name = f"{Path(checkpoint).stem}-{split}{view}-{digest(canonical(decides))[:16]}.npy"
    return work.project.cache / FOLDER / fit / name


def obtain(wanted: Sequence[Wanted], paused: Callable[[], None]) -> list[Floats]:
    """The features of each, mapped into memory: read where they are there, made where they are not.

    `paused` is called while others make what is left; it may raise. Raises: OSError (disk full).
    """
    found: dict[int, Floats] = {}
    while len(found) < len(wanted):
        before = len(found)
        for number, one in enumerate(wanted):
            if number in found:
                continue
            array = _read(one)
            if array is None:
                with _claimed(one.path) as mine:
                    if not mine:
                        continue
                    array = _read(one)  # made while we came to it
                    if array is None:
                        write_atomically(one.path, lambda file, one=one: _write(file, one))  # type: ignore[misc]
                        array = _read(one)
            if array is None:
                raise StageFailed(f"features that were just written to {one.path.name} can't be read")
            found[number] = array
        if len(found) == before:
            paused()
            time.sleep(_WAIT_S)
    return [found[number] for number in range(len(wanted))]


def _read(wanted: Wanted) -> Floats | None:
    try:
        array: Floats = np.load(wanted.path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.dtype == np.float32 and array.ndim > 1 and len(array) == wanted.rows else None


def _write(file: BinaryIO, wanted: Wanted) -> None:
    # As bytes, not through a map: where the disk is full, a write says so, and a map ends the process.
    rows = 0
    for part in wanted.make():
        values = np.ascontiguousarray(part.numpy(), dtype=np.float32)
        if not rows:
            header = {"descr": "<f4", "fortran_order": False, "shape": (wanted.rows, *values.shape[1:])}
            np.lib.format.write_array_header_2_0(file, header)
        file.write(values.tobytes())
        rows += len(values)
    if rows != wanted.rows:
        raise StageFailed(f"an encoder gave features of {rows} examples, and there are {wanted.rows}")


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether this process is the one that makes the file at `path` now. A claim ends with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_suffix(".lock")
    held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks: then the work may be done twice, which hurts nobody
            pass
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)  # whoever opened it before finds the features there, when it gets hold of it
    finally:
        os.close(held)


class Encoder:
    """One frozen encoder, in evaluation mode, with the hash of its weights and buffers. `model` lends its form alone."""

    def __init__(self, model: Model, weights: Mapping[str, Tensor], work: Work, what: str) -> None:
        fabric, encoder = work.fabric(), copy.deepcopy(model.encoder)
        alone = Model(encoder, nn.Identity(), model.features, model.dims, model.views, model.members, model.orders)
        alone.load_state_dict({name: tensor for name, tensor in weights.items() if name.startswith("encoder.")})
        self._model, self._what = alone, what
        self._unit = fabric.setup_module(alone)
        self._unit.eval()
        self._device = fabric.device
        self._hash = hash_of(alone.state_dict())

    def __call__(self, x: Tensor) -> Tensor:
        """Features of a batch, as float32 on the CPU. Shape: (B, C, ...) -> (B, features)."""
        if x.ndim != self._model.dims and self._model.views == 1 and self._model.members == 1:
            raise StageFailed(
                "training examples of this data are several views of an image each, and a head sees one",
                hint="probe the same data with another `augment`, or none",
            )
        with torch.no_grad():  # not inference mode: heads go backward through what they are given
            features: Tensor = self._unit(x.to(self._device, non_blocking=True)).float().cpu()
        return features

    def check(self) -> None:
        """Raises: StageFailed when its weights or buffers are no longer what they were."""
        now = hash_of(self._model.state_dict())
        if now != self._hash:
            raise StageFailed(f"the encoder of {self._what} changed while it was frozen: {self._hash}, now {now}")


def augmented(data: Data, split: str, stream: int) -> bool:
    """Whether training examples of a split are not always the same: seen, on up to 1,024 of them, not believed."""
    examples: Split = data.splits[split]
    for begin in range(0, min(len(examples), _LOOKED_AT), _AT_ONCE):
        index = np.arange(begin, min(begin + _AT_ONCE, len(examples)), dtype=np.int64)
        x, y = examples.batch(index, None)
        for epoch in (0, 1):
            other, told = examples.batch(index, Draw(stream, epoch))
            if x.shape != other.shape or not torch.equal(x, other) or not torch.equal(y, told):
                return True
    return False
