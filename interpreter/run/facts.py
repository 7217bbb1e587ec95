"""Facts of models, which only torch knows, for the rooms without torch: asked of a process of its own, once, and cached.

A cached fact is named by the hash of all it follows from: the settings of the model and the head, the shape of an example,
the number of outputs, the model's component version, the versions of torch and timm, and the source of the builders. Versions
are not enough: a component's is raised when its numbers change, and names of parameters can change without that; while
a builder is being written, its source is the one thing that always tells. The cache may be thrown away at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import interpreter
from interpreter import catalog
from interpreter.errors import UsageError
from interpreter.project import Project
from interpreter.run.record import write_atomically
from interpreter.spec.canonical import key_of

PROCESS = "interpreter.stages.facts"
TIMEOUT_S = 300.0
_FORMAT = 1
_PACKAGES = ("torch", "timm")  # what decides names and shapes besides our own source
_SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_VERSION = re.compile(r"^__version__ = ['\"](.+?)['\"]", re.MULTILINE)
_PACKAGE_ROOT = Path(interpreter.__file__).resolve().parent

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A model to look at: settings as plain data, and what it is built for."""

    model: Json
    head: Json
    shape: tuple[int, ...]  # of one view of an example, (C, H, W) or (C, X, Y, Z)
    outputs: int
    version: int  # the model's component version
    views: int = 1  # of an example, whose features the head takes side by side
    groups: int = 1  # equal parts of the features, each with a head of its own

    @property
    def key(self) -> str:
        """What the cached facts are named by. Raises KeyError for a model type that is not in the catalog."""
        return key_of(
            {
                "format": _FORMAT,
                "model": dict(self.model),
                "head": dict(self.head),
                "shape": self.shape,
                "outputs": self.outputs,
                "version": self.version,
                "views": self.views,
                "groups": self.groups,
                "packages": _versions(),
                "source": _source(str(self.model["type"])),
            }
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model once it was built. Counts are numbers of parameters; shared ones count once."""

    parameters: tuple[tuple[str, tuple[int, ...], bool], ...]  # name, shape, trainable; in the order of the network
    total: int
    encoder: int
    head: int
    features: int  # length of the vector between encoder and head
    buffers: int  # bytes of what is kept but not trained
    groups: Mapping[str, tuple[str, ...]]  # group -> names of its parameters; each is in exactly one


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a model can't be built: one line, and the remedy where one is known."""

    error: str
    hint: str = ""


def cached(project: Project, request: Request) -> Facts | None:
    """The facts of `request` where they are known already; never starts a process. An unreadable cache knows nothing."""
    try:
        return _facts(json.loads(_file(project, request).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def facts_of(project: Project, requests: Sequence[Request], timeout_s: float = TIMEOUT_S) -> list[Facts | Refusal]:
    """The facts of each of `requests`; one process is started for all that are not cached, none when all are.

    A model whose building ends the process, or alone takes longer than `timeout_s`, is refused, and the others are looked at
    by a new process. Refusals are not cached: they may have come of this machine.

    Raises: UsageError when the process can't even begin (torch is missing or broken).
    """
    keys = [request.key for request in requests]
    answers: dict[str, Facts | Refusal] = {}
    missing: dict[str, Request] = {}
    for key, request in dict(zip(keys, requests, strict=True)).items():
        known = cached(project, request)
        if known is None:
            missing[key] = request
        else:
            answers[key] = known
    while missing:
        found = _ask(project, list(missing.values()), timeout_s)
        for (key, request), answer in zip(list(missing.items()), found, strict=False):
            answers[key] = _taken(project, request, answer)
            del missing[key]
    return [answers[key] for key in keys]


def _ask(project: Project, requests: list[Request], timeout_s: float) -> list[dict[str, Any]]:
    """Answers to the first of `requests`, at least one: the last may be the refusal of a model that ended the process."""
    fields = ("model", "head", "shape", "outputs", "views", "groups")
    plain = [{name: getattr(r, name) for name in fields} for r in requests]
    asked = json.dumps({"plugins": list(project.plugins), "requests": plain})
    path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT.parent), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, **dict.fromkeys(_SINGLE, "1"), "PYTHONPATH": path}
    command = [sys.executable, "-P", "-m", PROCESS]
    try:
        done = subprocess.run(command, input=asked.encode(), capture_output=True, env=env, timeout=timeout_s)
        out, errors, ended, late = done.stdout, done.stderr, _ending(done.returncode), False
    except subprocess.TimeoutExpired as error:
        out, errors, ended, late = error.stdout or b"", error.stderr or b"", f"it took more than {timeout_s:g} s", True
    except OSError as error:
        raise UsageError(f"models can't be looked at: {sys.executable} can't be started: {error.strerror}") from None
    # A line that was not finished is no answer.
    lines = [json.loads(line) for line in out[: out.rfind(b"\n") + 1].splitlines()]
    if not lines:
        said = errors.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(
            f"models can't be looked at: {said[-1] if said else ended}", hint=f"see what `{' '.join(command)}` says by itself"
        )
    answers: list[dict[str, Any]] = lines[1:]
    # Late after others, a model has not had all of the time for itself: it comes first in the next process.
    if len(answers) < len(requests) and not (late and answers):
        answers.append({"error": f"building it failed: {ended}", "hint": ""})
    return answers


def _ending(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"its process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"its process exited with {code}"


def _taken(project: Project, request: Request, answer: dict[str, Any]) -> Facts | Refusal:
    """`answer` typed, and cached when it holds facts. A disk that is full or read-only costs the cache, not the facts."""
    if "error" in answer:
        return Refusal(answer["error"], answer["hint"])
    facts = _facts(answer)
    with contextlib.suppress(OSError):
        write_atomically(_file(project, request), json.dumps(answer, ensure_ascii=False).encode() + b"\n")
    return facts


def _facts(answer: dict[str, Any]) -> Facts:
    """Raises: KeyError, TypeError, ValueError or AttributeError for what is no answer."""
    parameters = answer["parameters"]
    if sum(count for _, _, count, _ in parameters) != answer["total"] or answer["encoder"] + answer["head"] != answer["total"]:
        raise ValueError("the counts do not add up")
    return Facts(
        parameters=tuple((str(name), tuple(shape), bool(trainable)) for name, shape, _, trainable in parameters),
        total=answer["total"],
        encoder=answer["encoder"],
        head=answer["head"],
        features=answer["features"],
        buffers=sum(size for _, _, size in answer["buffers"]),
        groups={name: tuple(names) for name, names in answer["groups"].items()},
    )


def _file(project: Project, request: Request) -> Path:
    return project.cache / "models" / f"{request.key}.json"


@cache
def _versions() -> dict[str, str]:
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    """The version that a package says it has, in the file where torch and timm say it; it is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return "absent"
    with contextlib.suppress(OSError):
        if said := _VERSION.search(Path(spec.origin).with_name("version.py").read_text("utf-8")):
            return said[1]
    from importlib.metadata import version  # takes 50 ms to import: only for a package that is laid out otherwise

    return version(package)


@cache
def _source(type_: str) -> str:
    """A hash of the source that builds a model of this type: our models and head, and the folder of its builder."""
    files = {_PACKAGE_ROOT / "parts" / "build.py", *(_PACKAGE_ROOT / "parts" / "models").glob("*.py")}
    line = catalog.find("model", type_)
    if line is None:
        raise KeyError(type_)
    module = line.builder.partition(":")[0]
    spec = find_spec(module) if module else None
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin)
        files |= set(path.parent.rglob("*.py")) if "." in module else {path}  # a lone module has no folder of its own
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]
