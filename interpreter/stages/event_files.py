"""Scalars of TensorBoard's event files, as curves. The only file that knows the package `tensorboard`, which is optional.

Tags are mapped to metrics as columns of a CSV file are. Several files of a folder are one run, in the order of their names,
which begin with the time they were made: where they tell the same tag and step, as after a restart, the last one counts.
Scalars belong to steps. Where there is a scalar that counts epochs (Lightning's `epoch`), a step is of the epoch that was
told with it, or last before it; else steps are epochs. Of several values of a tag in one epoch the last one counts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from pathlib import Path

from interpreter.errors import StageFailed
from interpreter.spec.curve_files import Curves, Layout, metric_of, named, out_of_bounds
from interpreter.spec.imported import event_files
from interpreter.spec.names import did_you_mean

Scalars = dict[str, dict[int, float]]  # tag -> step -> value


def read_event_files(path: Path, layout: Layout) -> Curves:
    """The curves in an event file, or in those of a folder. Raises: StageFailed where `tensorboard` is not installed."""
    found = Curves()
    scalars: Scalars = {}
    for file in event_files(path) if path.is_dir() else [path]:
        if not _take(file, scalars):
            found.tell(f"has an event file that can't be read: {file.name}")
    counted = scalars.pop(layout.epoch, {})
    if not scalars:
        found.tell("has no scalars")
        return found
    chosen = _choose(scalars, layout, found)
    epoch_steps = sorted(step for step, value in counted.items() if math.isfinite(value))
    epochs: dict[int, dict[str, float]] = {}
    for tag, metric in chosen.items():
        for step in sorted(scalars[tag]):
            value = scalars[tag][step]
            if why := out_of_bounds(metric, value):
                found.tell(f"`{tag}` at step {step}: {why}")
            at = epoch_steps[max(0, bisect_right(epoch_steps, step) - 1)] if epoch_steps else step
            epoch = int(counted[at]) if epoch_steps else step
            if epoch < layout.first_epoch:
                found.tell(f"`{tag}` begins with epoch {epoch}, and the first is {layout.first_epoch}; say `first_epoch: 0`")
                break
            epochs.setdefault(epoch - layout.first_epoch, {})[metric] = value
    found.by_seed[None] = dict(sorted(epochs.items()))
    return found


def _take(file: Path, scalars: Scalars) -> bool:
    """Add the scalars of `file`; False when it is no event file, or damaged. A file cut off at its end gives what is whole."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.util import tensor_util
    except ImportError:
        raise StageFailed(
            "event files are read by the package `tensorboard`, which is not installed", hint="pip install tensorboard"
        ) from None
    told = False
    try:
        for event in EventFileLoader(str(file)).Load():
            told = True
            for value in event.summary.value:
                array = tensor_util.make_ndarray(value.tensor) if value.HasField("tensor") else None
                if array is not None and array.size == 1 and array.dtype.kind in "fiu":
                    scalars.setdefault(value.tag, {})[int(event.step)] = float(array.reshape(-1)[0])
    except Exception:  # whatever its decoder raises on bytes that are no events
        return False
    return told


def _choose(scalars: Scalars, layout: Layout, found: Curves) -> dict[str, str]:
    """Tag -> `split/metric`, of the tags that are wanted."""
    if layout.columns is not None:
        wanted = named(layout.columns, layout.split)
        for tag in wanted:
            if tag not in scalars:
                found.tell(f"has no scalar `{tag}`; {did_you_mean(tag, scalars)}")
        return {tag: metric for tag, metric in wanted.items() if tag in scalars}
    chosen = {tag: metric for tag in sorted(scalars) if (metric := metric_of(tag, layout.split)) is not None}
    for metric in sorted(set(chosen.values())):
        same = [tag for tag, m in chosen.items() if m == metric]
        if len(same) > 1:
            found.tell(f"has several scalars that mean {metric}: {', '.join(same)}; choose with `columns`")
    if not chosen:
        some = ", ".join(f"`{tag}`" for tag in sorted(scalars)[:8])
        found.tell(f"has no scalar that is a known metric (it has {some}); name them: `columns: {{TAG: split/metric}}`")
    return chosen
