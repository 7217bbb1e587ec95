"""Zones with all that pairs are made from: of a folder of structures, of those that are embedded, or of a database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpreter.errors import DataMissing
from interpreter.parts.datasets import embedded_structures, gym_database, structures
from interpreter.parts.datasets.array_cache import Arrays, kept
from interpreter.parts.datasets.labelled import here
from interpreter.parts.datasets.pairs import AtomSource
from interpreter.parts.datasets.structures import Structures, told
from interpreter.parts.datasets.zones import RULE, Found, ZoneTable, directions, joined, zones_of
from interpreter.parts.random import derive
from interpreter.parts.voxels.atoms import in_no_channel
from interpreter.spec.canonical import key_of
from interpreter.spec.components.datasets import SPLITS
from interpreter.spec.components.volumes import NeighborLocation, StructureSplit, Zones

Finding = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Zoned:
    """Zones with all that pairs are made from, wherever they come from."""

    zones: ZoneTable
    splits: NDArray[np.str_]  # (Z,)
    atoms: AtomSource
    directions: NDArray[np.float64]  # (K, 3)
    neighbor_distance_A: float
    zone_A: float
    origin: str
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]
    key: str  # of everything here


def zoned_of(config: NeighborLocation, source: Path | None, cache: Path) -> Zoned:
    """The zones of the data that `config` names. Raises: DataMissing when it is not there, or can't be read."""
    if config.source == "embedded":
        files, folder = embedded_structures.embedded()
        found = structures.read(files, folder, cache)
        embedded_structures.check(found, config.embedded_fingerprint)
        origin = f"embedded: real protein structures shipped with {embedded_structures.PACKAGE}"
        return _of_structures(config, found, cache, origin)
    place = here(source, config.source)
    if database := gym_database.database_in(place, config.source):
        return _of_database(config, database)
    files = structures.listed(place, config.source)
    origin = f"real: structures of the source `{config.source}`"
    return _of_structures(config, structures.read(files, place, cache), cache, origin)


def _of_structures(config: NeighborLocation, found: Structures, cache: Path, origin: str) -> Zoned:
    key = key_of(["zones", RULE, found.key, config.zones.model_dump()])
    arrays = kept(cache / "zones" / f"{key}.npz", lambda: _all_zones(found, config.zones))
    why: dict[str, str] = json.loads(str(arrays["why"]))
    ends = np.cumsum(arrays["zones"])[:-1]
    columns = (np.split(arrays[name], ends) for name in ("number", "center_A", "allowed"))
    zones = joined(found.names, [Found(*row) for row in zip(*columns, strict=True)])
    findings = [*found.findings]
    limit = f"left out, being denser than {config.zones.max_density_per_nm3:g} atoms per nm3 somewhere, or torn apart"
    findings += told("clashing-structure", limit, (f"{name} ({text})" for name, text in why.items()))
    if text := in_no_channel(found.elements(), config.image):
        findings.append(("no-channel", text))
    bare = {name for name, n in zip(found.names, arrays["zones"].tolist(), strict=True) if not n} - why.keys()
    findings += told("structure-without-zones", "without a zone that is dense enough and has a dense neighbour", bare)
    if not len(zones):
        raise DataMissing(
            f"none of the {len(found.names)} structures of `{config.source}` has a zone that is dense and has a dense neighbour",
            hint="add structures, or lower `zones.min_density_per_nm3`, or `zones.neighbor_distance_A` where they are small",
        )
    said = any(found.splits)
    of_structure = list(found.splits) if said else _shared_out(found, arrays["zones"], config, findings)
    findings += _overlaps(found, of_structure)
    splits = np.array(of_structure, dtype=str)[zones.structure]
    points, sparse, lonely = arrays["points"].tolist()
    facts = {
        "structures": {split: of_structure.count(split) for split in SPLITS},
        "shared_out_by": structures.INDEX if said and config.source != "embedded" else "source" if said else config.structures.by,
        "left_out": {"unreadable": len(found.left_out), "clashing": len(why), "without_zones": len(bare)},
        "zones": {"kept": len(zones), "points": points, "below_density": sparse, "without_neighbor": lonely},
        "elements": found.elements(),
    }
    return Zoned(
        zones, splits, structures.StructureAtoms(found, config.image), directions(), config.zones.neighbor_distance_A,
        config.zones.size_A, origin, facts, tuple(findings), key_of([key, splits.tolist()]),
    )  # fmt: skip


def _all_zones(found: Structures, config: Zones) -> Arrays:
    each = [zones_of(found.atoms(s), config) for s in range(len(found.names))]
    why = {name: one.why for name, one in zip(found.names, each, strict=True) if one.why}
    return {
        "zones": np.array([len(one.number) for one in each], dtype=np.int64),
        **{name: np.concatenate([getattr(one, name) for one in each]) for name in ("number", "center_A", "allowed")},
        "points": np.array([(one.points, one.sparse, one.lonely) for one in each], dtype=np.int64).sum(axis=0),
        "why": np.array(json.dumps(why)),
    }


def _shared_out(found: Structures, zones: NDArray[np.int64], config: NeighborLocation, findings: list[Finding]) -> list[str]:
    """The split of each structure, similar ones together; files of the same content always are."""
    names: Sequence[str] = found.digests
    if config.structures.by == "cluster":
        if not any(found.clusters):
            text = f"no {structures.INDEX} says which structures are similar: each stands for itself"
            findings.append(("no-clusters", f"{text}, and relatives may be in two splits"))
        names = [cluster or digest for cluster, digest in zip(found.clusters, found.digests, strict=True)]
    weights: dict[str, int] = {}
    for name, n in zip(names, zones.tolist(), strict=True):
        weights[name] = weights.get(name, 0) + n
    split_of = share_out(weights, config.structures)
    return [split_of[name] for name in names]


def share_out(weights: Mapping[str, int], config: StructureSplit) -> dict[str, str]:
    """A split for each group of structures, so that val and test come as near to their share of the zones as they can.

    Raises: DataMissing where there are fewer groups with zones than splits.
    """
    wanted = {split: share for split, share in (("test", config.test), ("val", config.val)) if share > 0}
    order = sorted((name for name, n in weights.items() if n), key=lambda name: derive(config.seed, "structures", name))
    if len(order) <= len(wanted):
        ways = ["add structures"]
        ways += ["share them out by `structures: {by: structure}`"] * (config.by == "cluster")
        ways += ["leave test out: `structures: {test: 0}`"] * (config.test > 0)
        raise DataMissing(
            f"{len(order)} groups of similar structures have zones, too few for {len(wanted) + 1} splits",
            hint=", or ".join(ways),
        )
    total = sum(weights.values())
    left = {split: share * total for split, share in wanted.items()}
    found = dict.fromkeys(weights, "train")
    for name in order:
        for split, room in left.items():
            if weights[name] <= 2 * room:  # half of it at least is still due
                found[name] = split
                left[split] = room - weights[name]
                break
    for split in wanted:  # groups are so large that none fits: the smallest are given
        if split not in found.values():
            some = [name for name in order if found[name] == "train"]
            found[min(some, key=lambda name: weights[name])] = split
    return found


def _overlaps(found: Structures, splits: Sequence[str]) -> list[Finding]:
    """What is in two splits: files of the same content, and clusters."""
    out = []
    same, related = "byte for byte one of another split", "with relatives of its cluster in another split"
    for code, words, groups in (
        ("overlapping-splits", same, found.digests),
        ("cluster-in-two-splits", related, found.clusters),
    ):
        where: dict[str, set[str]] = {}
        for group, split in zip(groups, splits, strict=True):
            where.setdefault(group, set()).add(split)
        both = [name for name, group in zip(found.names, groups, strict=True) if group and len(where[group]) > 1]
        out += told(code, words, both)
    return out


def _of_database(config: NeighborLocation, path: Path) -> Zoned:
    gym = gym_database.read(path)
    findings = []
    zone_A = config.zones.size_A if gym.zone_A is None else gym.zone_A
    if config.zones.model_dump() != Zones().model_dump():
        text = f"zones are those of {path.name}, so `zones` decides nothing; they are {zone_A:g} angstrom wide"
        findings.append(("zones-of-the-database", text))
    if strange := sorted(set(gym.splits) - set(SPLITS)):
        text = f"left out: zones in splits named {', '.join(strange)}, which are none of {', '.join(SPLITS)}"
        findings.append(("unknown-split", text))
    state = path.stat()
    facts = {
        "structures": gym.structures,
        "assemblies": len(gym.assemblies),
        "shared_out_by": "database",
        "zones": {"kept": len(gym.zones), "without_neighbor": gym.lonely},
    }
    return Zoned(
        gym.zones, np.array(gym.splits, dtype=str), gym_database.GymAtoms(path, gym.assemblies, config.image), gym.directions,
        gym.neighbor_distance_A, zone_A, f"real: the macromol_gym database {path.name} of the source `{config.source}`", facts,
        tuple(findings), key_of(["gym", path.name, state.st_size, state.st_mtime_ns, config.zones.size_A]),
    )  # fmt: skip
