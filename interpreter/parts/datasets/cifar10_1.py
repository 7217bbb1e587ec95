"""Builder of `cifar10_1`: CIFAR-10.1 from its npy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from interpreter.parts.contract import Data, Split
from interpreter.parts.datasets.cifar10 import as_data, constants_of, held, unusual
from interpreter.parts.datasets.cifar_files import CLASSES, read_arrays
from interpreter.parts.datasets.labelled import counts, here, missing_classes
from interpreter.spec.components.images import Cifar10v1

# Images of each class, in the label files that were published (Recht et al. 2018).
PUBLISHED = {"v4": [208, 212, 202, 212, 204, 218, 192, 210, 161, 202], "v6": [200] * 10}


def build(config: Cifar10v1, source: Path | None, cache: Path) -> Data:
    """CIFAR-10.1 of `source`, whole and in its own order; no cache is needed.

    Raises: DataMissing when the source or a file is not here, cut short, or not what it should be.
    """
    folder = here(source, config.source)
    names = [f"cifar10.1_{config.version}_{part}.npy" for part in ("data", "labels")]
    below = folder / "datasets"  # where the published repository has them
    inside = below if not (folder / names[0]).is_file() and (below / names[0]).is_file() else folder
    images = read_arrays(inside / names[0], inside / names[1], config.source)
    findings = unusual({"test": counts(images.labels, CLASSES)}, {"test": PUBLISHED[config.version]})
    hint = "the files are no longer what was published: get them again"
    findings += missing_classes({"test": images.labels}, CLASSES, config.source, empty="has no images", hint=hint)
    constants = constants_of(config.normalize)
    rows = np.arange(len(images.labels), dtype=np.int64)
    splits: dict[str, Split] = {"test": held(images, rows, config.version, constants, None)}
    return as_data(splits, constants, f"real: CIFAR-10.1 {config.version}, of the source `{config.source}`", findings, {})
