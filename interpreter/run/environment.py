"""What a stage is executed with: versions and source (drift), and the numerics that bit-equality is promised under."""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from interpreter.run.attempts import numbers, path_of
from interpreter.run.record import Record, read_json

_PACKAGES = ("torch", "lightning", "timm", "torchvision", "numpy", "scikit-learn")
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Numerics:
    """What changes the last bits. All but `loader_workers` is reused by later attempts of a stage."""

    threads: int
    device: str  # "cpu", "cuda", "mps"
    precision: str
    tf32: bool
    loader_workers: int  # for the record: draws do not depend on it


@cache
def environment() -> dict[str, str]:
    """Versions of Python and of what computes, the git commit of our source where there is one, and a hash of it."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found | {"git_commit": _git_commit(_PACKAGE_ROOT.parent), "source_hash": _source_hash()}


def first_numerics(record: Record) -> Mapping[str, Any] | None:
    """The numerics of a record's first attempt, or None when there is none."""
    taken = numbers(record)
    return read_json(path_of(record, taken[0], "json")).get("numerics") if taken else None


def reuse(record: Record, wanted: Numerics, devices: tuple[str, ...]) -> tuple[Numerics, tuple[str, ...]]:
    """The numerics a new attempt has to use, and in words what is not as wanted, or not as it was.

    `devices` are the kinds this machine has.
    """
    first = first_numerics(record)
    if first is None:
        return wanted, ()
    said: list[str] = []
    device = first.get("device", wanted.device)
    if device not in devices:
        said.append(f"begun on {device}, goes on on {wanted.device}: no longer bit-equal to an uninterrupted run")
        device = wanted.device
    elif device != wanted.device:
        said.append(f"stays on {device}, where it was begun, though {wanted.device} was asked for")
    threads = int(first.get("threads", wanted.threads))
    if threads != wanted.threads:
        said.append(f"stays with {threads} thread(s), as it was begun, though {wanted.threads} were asked for")
    tf32 = bool(first.get("tf32", wanted.tf32))
    return Numerics(threads, device, wanted.precision, tf32, wanted.loader_workers), tuple(said)


def about(numerics: Numerics) -> dict[str, Any]:
    """What an attempt's file holds besides who it is."""
    return {"environment": environment(), "numerics": asdict(numerics)}


def _source_hash() -> str:
    total = hashlib.sha256()
    for path in sorted(_PACKAGE_ROOT.rglob("*.py")):
        total.update(path.relative_to(_PACKAGE_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def _git_commit(root: Path) -> str:
    """The commit checked out at `root`, read without starting git; "" when there is none."""
    try:
        head = (root / ".git" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = root / ".git" / name
        if loose.exists():
            return loose.read_text().strip()
        for line in (root / ".git" / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line.split()[0]
    except OSError:
        pass
    return ""
