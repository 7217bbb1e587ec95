"""What a stage is executed with: versions and source (drift), and the numerics that bit-equality is promised under."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, packages_distributions, version
from pathlib import Path
from typing import Any

from interpreter.catalog import plugins_of
from interpreter.plugins import GROUP
from interpreter.run.attempts import numbers, path_of
from interpreter.run.record import Record, read_json

_PACKAGES = ("torch", "lightning", "timm", "torchvision", "numpy", "scikit-learn")
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent
PARTS = {"dataset": "data", "model": "model", "objective": "objective"}  # where a stage's settings name each kind


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
    return found | {"git_commit": _git_commit(_PACKAGE_ROOT.parent), "source_hash": _source_hash(_PACKAGE_ROOT)}


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


def about(numerics: Numerics, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an attempt at a stage with these settings has in its file, besides who it is. Raises: UsageError for a bad plug-in."""
    return {"environment": environment() | plugins(settings), "numerics": asdict(numerics)}


def plugins(settings: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Versions (`plugins`) and source hashes (`plugin_sources`), by name, of the plug-ins that a stage with these settings uses.

    {} where it uses none: such records have no word of plug-ins. Raises: UsageError.
    """
    used: set[str] = set().union(*(plugins_of(kind, settings[name]) for kind, name in PARTS.items() if name in settings))
    releases = [_release(module) for module in sorted(used)]
    if not releases:
        return {}
    return {
        "plugins": {name: version for name, version, _ in releases},
        "plugin_sources": {name: source for name, _, source in releases},
    }


@cache
def _release(module: str) -> tuple[str, str, str]:
    """Name, version and hash of the source of an imported plug-in.

    The name is that of the installed package; of one that is only on PYTHONPATH, that of the module, with its `__version__`.
    """
    held = sys.modules[module]
    folder = Path(held.__file__ or "").resolve()
    source = _source_hash(folder.parent if held.__package__ else folder)
    for point in entry_points(group=GROUP):
        if point.value == module and point.dist is not None:
            return point.dist.name, point.dist.version, source
    top = module.partition(".")[0]
    for name in packages_distributions().get(top, ()):
        return name, version(name), source
    return top, str(getattr(sys.modules[top], "__version__", "unknown")), source


def _source_hash(root: Path) -> str:
    """Of all Python files under a folder, or of one file."""
    total = hashlib.sha256()
    for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
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
