"""The cases: pages built from the models, and real pages changed at random, as text and as trees."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from interpreter.project import Project
from tests.check.pages import PAGE
from tests.fuzz.holds import SPECS
from tests.fuzz.pages import DATE, pages
from tests.fuzz.trees import Draw, mutate_text, mutate_tree, tree_of, write

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """A page to examine: its name, its content, the profile it is checked at, and what kind of case it is."""

    name: str
    data: bytes
    profile: str = ""
    kind: str = "built"


def make_project(root: Path) -> Project:
    """A project with the real pages, beside which cases are put."""
    (root / "specs" / "notebooks").mkdir(parents=True)
    for path in SPECS.glob("*.yaml"):
        shutil.copy(path, root / "specs")
    (root / "old.csv").write_text("epoch,val_loss,val_accuracy\n1,1.0,0.5\n2,0.9,0.6\n")
    (root / "specs" / "notebooks" / "n.yaml").write_text("expt: 1\ntitle: A notebook\norder: [2024-06-28/finetune-curriculum]\n")
    return Project(root.resolve())


@lru_cache(maxsize=1)
def corpus() -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Real pages as (name, text, tree)."""
    texts = [(path.stem, path.read_text("utf-8")) for path in sorted(SPECS.glob("*.yaml"))]
    return tuple((name, text, tree_of(text)) for name, text in [*texts, (DATE, PAGE)])


@st.composite
def cases(draw: Draw) -> Case:
    """Any case."""
    kind = draw(st.sampled_from(("built", "built", "tree", "tree", "text", "text", "built-tree", "built-tree", "bytes")))
    if kind.startswith("built"):
        name, tree = DATE, draw(pages())
        if kind == "built-tree":
            tree = mutate_tree(draw, tree)
        profile = "quick" if "profiles" in str(tree) and draw(st.booleans()) else ""
        return Case(name, _bytes(write(tree)), profile, kind)
    name, text, tree = draw(st.sampled_from(corpus()))
    profile = "laptop" if draw(st.integers(0, 3)) == 0 else ""
    if kind == "tree":
        return Case(name, _bytes(write(mutate_tree(draw, tree))), profile, kind)
    text = mutate_text(draw, text)
    data = _bytes(text)
    if kind == "bytes":
        at = draw(st.integers(0, len(data)))
        some = draw(st.binary(min_size=1, max_size=4))
        if draw(st.booleans()):
            some = bytes(byte & 0x7F for byte in some)
        data = data[:at] + some + data[at + draw(st.integers(0, 3)) :]
    return Case(name, data, profile, kind)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
