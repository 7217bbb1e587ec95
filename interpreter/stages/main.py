"""One attempt at one stage, from its stage.json to DONE: what a worker process, or this one, is asked to do."""

from __future__ import annotations

import contextlib
import errno
import os
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch

from interpreter import catalog
from interpreter.errors import ExptError, Fenced
from interpreter.plan.types import Stage
from interpreter.project import Project
from interpreter.run.attempts import Attempt, Busy, take
from interpreter.run.environment import Numerics, about, reuse
from interpreter.run.events import EventWriter, drop_torn_tail, read_events
from interpreter.run.executor import Ended
from interpreter.run.record import Record
from interpreter.stages.combine import run_combine
from interpreter.stages.evaluate import run_evaluate
from interpreter.stages.fit import run_fit
from interpreter.stages.imports import run_import
from interpreter.stages.probe import run_probe
from interpreter.stages.score import run_score
from interpreter.stages.work import Stopped, Work, device_of, devices

KINDS: Mapping[str, Callable[[Work], int]] = {
    "fit": run_fit,
    "evaluate": run_evaluate,
    "probe": run_probe,
    "score": run_score,
    "combine": run_combine,
    "import": run_import,
}


def run_stage(project: Project, key: str, stop: Callable[[], bool]) -> Ended:
    """Do the stage `key`, whose stage.json is written, as far as it goes; returns how it ended.

    `stop` is asked at each safe point. Nothing is raised for a failure of the stage: the record says what it was.
    """
    record = Record.of(project, key)
    attempt: Attempt | None = None
    events: EventWriter | None = None
    try:
        catalog.use(project.plugins)
        stage = record.read_stage()
        numerics, notes = reuse(record, _wanted(project, stage), devices())
        attempt = take(record, about(numerics, stage.settings))
        record.sweep()
        torn = drop_torn_tail(record.events)
        said = [("torn-event", f"the last line of an earlier attempt was cut off after {torn} bytes")] if torn else []
        corrupt = read_events(record.events).corrupt
        said += [("corrupt-event", f"a line at byte {c.offset} can't be read: {c.text}") for c in corrupt]
        said += [("numerics", text) for text in notes]
        _apply(numerics)
        events = EventWriter(record.events, attempt.number, attempt.check)
        epoch = KINDS[stage.kind](Work(project, record, stage, attempt, events, numerics, tuple(said), stop))
        attempt.end("done", epoch=epoch)
        return Ended("done")
    except Busy as busy:
        return Ended("busy", str(busy))
    except Stopped as stopped:
        return _end(attempt, "stopped", stopped.epoch, "")
    except Fenced as fenced:
        if attempt is not None:
            attempt.release()
        return Ended("fenced", str(fenced))
    except ExptError as error:
        return _end(attempt, "failed", None, f"{error} ({error.hint})" if error.hint else str(error))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        text = "no space left to write its record: free some and run again" if full else f"{type(error).__name__}: {error}"
        return _end(attempt, "failed", None, text, "" if full else traceback.format_exc())
    except Exception as error:  # whatever a model, an objective or a dataset may raise fails its stage, nothing else
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        return _end(attempt, "failed", None, f"{type(error).__name__}: {first}", traceback.format_exc())
    finally:
        if events is not None:
            with contextlib.suppress(OSError):
                events.close()


def _wanted(project: Project, stage: Stage) -> Numerics:
    execution = project.execution
    precision = str(stage.settings["schedule"]["precision"]) if stage.kind in ("fit", "probe") else "32"
    tf32 = torch.get_float32_matmul_precision() != "highest"
    return Numerics(execution.threads, device_of(execution.accelerator), precision, tf32, execution.loader_workers)


def _apply(numerics: Numerics) -> None:
    torch.set_num_threads(numerics.threads)
    torch.set_float32_matmul_precision("high" if numerics.tf32 else "highest")


def _end(attempt: Attempt | None, how: Any, epoch: int | None, error: str, trace: str = "") -> Ended:
    if attempt is not None:
        try:
            attempt.end(how, epoch=attempt.at[0] if epoch is None else epoch, error=error, trace=trace)
        except Fenced as fenced:
            return Ended("fenced", str(fenced))
        except OSError as second:  # the disk is full to the last byte: whoever started us is told, and writes it down
            return Ended(how, error or os.strerror(second.errno or 0))
    return Ended(how, error)
