"""What a file of predictions holds, as far as names, types and shapes tell, without reading the numbers.

An `.npz` archive of arrays, or a Parquet table with columns, called by what they are (the singular will do):

    outputs         (N, K) logits of classes, or numbers predicted; (N,) for one number
    probabilities   (N, K) of classes
    classes         (N,) predicted classes, from 0, where nothing else is known
    targets         (N,) classes from 0 or numbers; (N, K) numbers
    ids             (N,) names of the examples; absent: their row
    class_names     (K,) of an archive

One of the first three, and targets, are needed; `columns` says which is which under other names. An archive may hold the
predictions of several seeds: one more axis in front of outputs, probabilities or classes, a row a seed, counted from 0. Or those
of several models, a row a model, with an array of their names: see `each` of an import.
"""

from __future__ import annotations

import ast
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from interpreter.spec.names import did_you_mean

PREDICTED = ("outputs", "probabilities", "classes")
ROLES = (*PREDICTED, "targets", "ids", "class_names")
UNPACKED_BYTES = 500_000_000
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)  # what reading a bad archive may raise
_SINGULAR = {"output": "outputs", "probability": "probabilities", "class": "classes", "target": "targets", "id": "ids"}
CLASS_METRICS = ("accuracy", "precision", "recall", "f1")  # what predicted classes alone decide


@dataclass(frozen=True, slots=True)
class Array:
    """An array of an archive: `kind` is NumPy's letter for its type (f, i, u, b, U, S, O)."""

    kind: str
    shape: tuple[int, ...]
    at: int = 0  # where its numbers begin in its file
    size: int | None = None  # bytes of a number; None where that is not plain
    order: str = "<"  # of its bytes


def roles(names: Iterable[str], columns: Mapping[str, str] | None) -> tuple[dict[str, str], list[str]]:
    """(role -> name, what is wrong) for a file that has `names`. `columns`: name -> role, where the page says so."""
    names = list(names)
    found: dict[str, str] = {}
    problems: list[str] = []
    for name, role in (columns or {}).items():
        if name not in names:
            problems.append(f"has no `{name}`; {did_you_mean(name, names)}")
        elif role not in ROLES:
            problems.append(f"`{role}` is nothing that predictions have; {did_you_mean(role, ROLES)}")
        else:
            found[role] = name
    for name in names if columns is None else ():
        role = _SINGULAR.get(name, name)
        if role in ROLES:
            found.setdefault(role, name)
    given = [role for role in PREDICTED if role in found]
    if problems:
        return found, problems
    if len(given) != 1:
        what = f"has {' and '.join(given)}" if given else f"has none of {', '.join(PREDICTED)}"
        problems.append(
            f"{what} (it holds {', '.join(names[:8])}); say which is which: `columns: {{NAME: outputs, NAME: targets}}`"
        )
    if "targets" not in found:
        problems.append("has no `targets`; say which they are: `columns: {NAME: targets}`")
    return found, problems


def headers(data: bytes) -> tuple[dict[str, Array], list[str]]:
    """(name -> array, what is wrong) of an npz archive, from the headers of its members."""
    arrays: dict[str, Array] = {}
    problems: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(item.file_size for item in archive.infolist())
            if size > UNPACKED_BYTES:
                return {}, [f"unpacks to {size / 1e6:.0f} MB; {UNPACKED_BYTES // 1_000_000} MB is the most that is read"]
            for item in archive.infolist():
                with archive.open(item) as file:
                    array = _header(file.read(12) + file.read(4096))
                name = item.filename.removesuffix(".npy")
                if array is None:
                    problems.append(f"`{name}` in it is no array")
                elif array.kind in "OV":
                    problems.append(f"`{name}` holds objects, which are not read; save plain numbers or text")
                elif array.size is not None and item.file_size != array.at + math.prod(array.shape) * array.size:
                    wanted = array.at + math.prod(array.shape) * array.size
                    problems.append(f"`{name}` in it is cut short: {item.file_size:,} of {wanted:,} bytes")
                else:
                    arrays[name] = array
    except DAMAGED as error:
        return {}, [f"is no archive of arrays that can be read: {error or 'it is cut off'}"]
    return arrays, problems


def _header(data: bytes) -> Array | None:
    """The type and shape that an .npy file begins with (NumPy's format, versions 1 to 3)."""
    if data[:6] != b"\x93NUMPY" or len(data) < 12:
        return None
    wide = data[6] > 1
    length = struct.unpack("<I", data[8:12])[0] if wide else struct.unpack("<H", data[8:10])[0]
    start = 12 if wide else 10
    try:
        value = ast.literal_eval(data[start : start + length].decode("utf-8"))
        descr, shape = value["descr"], tuple(int(n) for n in value["shape"])
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(descr, str):
        return Array("V", shape)
    size = int(descr[2:]) * (4 if descr[1] == "U" else 1) if descr[2:].isdecimal() else None
    return Array(descr[1], shape, start + length, size, descr[0])


def texts(data: bytes, name: str, array: Array) -> tuple[str, ...] | None:
    """The texts in the array called `name` of an npz archive, described by `array`; None where it is no list of texts."""
    if array.kind not in "US" or len(array.shape) != 1 or not array.size:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            raw = archive.read(f"{name}.npy")
        code = ("utf-32-be" if array.order == ">" else "utf-32-le") if array.kind == "U" else "utf-8"
        cells = [raw[array.at + i * array.size : array.at + (i + 1) * array.size].decode(code) for i in range(array.shape[0])]
    except (*DAMAGED, KeyError):
        return None
    return tuple(cell.rstrip("\0") for cell in cells)


def of_each(arrays: Mapping[str, Array], found: Mapping[str, str], each: str, count: int) -> tuple[dict[str, Array], list[str]]:
    """(the arrays as those of one model are, what is wrong) where an archive has `count` models in front, named by `each`."""
    name = found[next(role for role in PREDICTED if role in found)]
    shape = arrays[name].shape
    if shape[:1] != (count,):
        return {}, [f"`{each}` names {count} models, and `{name}` has {shape[0] if shape else 0} rows in front"]
    return {**arrays, name: replace(arrays[name], shape=shape[1:])}, []


def wrong_names(each: str, there: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """What is wrong with the names of models: twice the same, or one wanted that isn't there."""
    names, problems = list(there), []
    for name in sorted({name for name in names if names.count(name) > 1})[:3]:
        problems.append(f"has `{name}` twice in `{each}`")
    for name in wanted:
        if name not in names:
            problems.append(f"has no `{name}` in `{each}`; {did_you_mean(name, names)}")
    return problems


def misfit(arrays: Mapping[str, Array], found: Mapping[str, str]) -> tuple[int, list[str]]:
    """(seeds in front, 0 where there is no such axis; what does not fit) of the arrays in their roles."""
    role = next(role for role in PREDICTED if role in found)
    predicted, targets = arrays[found[role]], arrays[found["targets"]]
    problems = []
    plain = {"outputs": 2, "probabilities": 2, "classes": 1}[role]
    dims = len(predicted.shape)
    several = dims == plain + 1
    if not (dims in (plain, plain + 1) or (role == "outputs" and dims == 1)):
        problems.append(f"`{found[role]}` has {dims} axes; {role} have {plain}, or one more in front for seeds")
    if len(targets.shape) not in (1, 2):
        problems.append(f"`{found['targets']}` has {len(targets.shape)} axes; targets have one or two")
    if problems:
        return 0, problems
    rows = predicted.shape[1 if several else 0]
    for other in ("targets", "ids"):
        if other in found and arrays[found[other]].shape[:1] != (rows,):
            problems.append(f"`{found[role]}` has {rows} examples and `{found[other]}` has {arrays[found[other]].shape[0]}")
    if rows == 0:
        problems.append("has no examples")
    if role == "classes" and predicted.kind not in "iu":
        problems.append(f"`{found[role]}` are no whole numbers, and classes are")
    if role != "classes" and predicted.kind not in "fiu":
        problems.append(f"`{found[role]}` are no numbers")
    if targets.kind not in "fiu":
        problems.append(f"`{found['targets']}` are no numbers; classes are counted from 0")
    return (predicted.shape[0] if several else 0), problems


def task_of(arrays: Mapping[str, Array], found: Mapping[str, str]) -> str:
    """ "classification" where targets are whole numbers or the predictions are of classes, else "regression"."""
    whole = arrays[found["targets"]].kind in "iu"
    return "classification" if whole or "outputs" not in found else "regression"
