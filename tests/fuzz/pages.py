"""Pages built from the models of the language: most are valid, with sweeps, claims, charts, tables and profiles."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from interpreter import catalog
from interpreter.check.entries import STATES
from interpreter.check.waivers import RULES
from interpreter.spec.claims import SHAPES
from interpreter.spec.combined import Combine
from interpreter.spec.components.models import Head
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.measures import Measure
from interpreter.spec.stages import Average, Keep, Thaw
from interpreter.spec.views import Chart
from tests.fuzz.trees import Draw
from tests.fuzz.walk import Known, component, config

DATE = "2026-01-01"
_ALONE = ("all ", "any ", "mean ")  # what of several points a claim on one side may speak of
# Paths that a sweep or a `set` may change on most pages, and values that go there.
CHANGES: dict[str, tuple[Any, ...]] = {
    "schedules.s0.epochs": (1, 2, 3, 5, 8),
    "schedules.s0.optimizer.lr": (0.1, 0.01, 0.003, 1e-4),
    "stages.f0.head.dropout": (0.0, 0.1, 0.25, 0.5),
    "stages.f0.schedule.batch_size": (8, 16, 32, 64),
    "models.m0.hidden": ([8], [16], [32, 16]),
    "stages.f0.thaw.patience": (1, 3, "off"),
    "datasets.d0.per_class": (5, 10, 20),
    "stages.f0.model": ("m0", "m1"),
    "seeds": (1, 2, 3),
}


def _chance(draw: Draw, percent: int) -> bool:
    return bool(draw(st.integers(0, 99)) < percent)


def _one(draw: Draw, items: Any) -> Any:
    return draw(st.sampled_from(list(items)))


@st.composite
def pages(draw: Draw) -> dict[str, Any]:
    """A page, as plain data."""
    known = Known({"datasets": ["d0"], "models": ["m0"], "objectives": ["classification"], "schedules": ["s0"]})
    page: dict[str, Any] = {"expt": 1, "date": DATE}
    page["datasets"] = {"d0": component(draw, "dataset", "digits", known)}
    page["models"] = {"m0": component(draw, "model", "mlp", known)}
    page["models"] |= {"m1": {"extends": "m0", "hidden": [4]}}
    for plural, kind, name in (("datasets", "dataset", "d1"), ("models", "model", "m2"), ("objectives", "objective", "o0")):
        if _chance(draw, 25):
            made = component(draw, kind, _one(draw, catalog.types(kind)), known)
            page.setdefault(plural, {})[name] = made
            known.names[plural].append(name)
    if _chance(draw, 20):
        page["datasets"]["few"] = {"extends": "d0", "per_class": 5}
        known.names["datasets"].append("few")
    given = {"epochs": draw(st.integers(1, 60)), "batch_size": _one(draw, (8, 32)), "optimizer": {"type": "adam", "lr": 1e-3}}
    page["schedules"] = {"s0": config(draw, Schedule, known, more=0.1, given=given)}
    page["entries"] = {name: _Entry(draw, known).made() for name in ("e0", "e1")[: 1 + _chance(draw, 15)]}
    return page


class _Entry:
    """Builds one entry; what it defines goes on from one part to the next."""

    def __init__(self, draw: Draw, known: Known) -> None:
        self.draw, self.known = draw, known
        self.fits: list[str] = []
        self.arms: dict[str, Any] = {}
        self.sweeps: dict[str, list[str]] = {}  # arm -> its factors
        self.again: list[str] = []  # arms that go on from sweeps
        self.measures: list[str] = []
        self.ends: list[str] = []
        self.has_paper = False

    def made(self) -> dict[str, Any]:
        draw = self.draw
        entry: dict[str, Any] = {"stages": self._stages(), "arms": self._arms()}
        if _chance(draw, 80):
            entry["seeds"] = _one(draw, (2, 3, 5, 1, {"from": 2, "n": 3}, {"f0": 1, self.fits[-1]: 2}, {"min": 7, "max": 9}))
        entry["measures"] = self._measures()
        if _chance(draw, 30):
            self.has_paper = True
            entry["references"] = {"paper": {self.measures[0]: 0.9, "source": "a paper", "split": "val", "data": "d0"}}
        if _chance(draw, 70):
            entry["expect"] = {f"c{i}": self._claim() for i in range(draw(st.integers(1, 3)))}
            entry["conclusion"] = "It is {{ verdict.c0 }}, at {{ measure.a0." + self.measures[0] + " }}\n"
            if _chance(draw, 30):
                entry["concludes"] = {"c0": _one(draw, STATES)}
        if _chance(draw, 40):
            entry["charts"] = {f"v{i}": self._chart() for i in range(draw(st.integers(1, 2)))}
        if _chance(draw, 40):
            entry["tables"] = {"t": self._table()}
        if "charts" in entry and "expect" not in entry:
            entry["charts"] = {name: chart for name, chart in entry["charts"].items() if chart.get("kind") != "forest"}
        if _chance(draw, 30):
            path = _one(draw, CHANGES)
            entry["profiles"] = {"quick": {path: _one(draw, CHANGES[path]), "seeds": 2}}
        if _chance(draw, 20):
            entry["assumed"] = [_one(draw, ("models.m0.hidden", "schedules.s0.epochs", "datasets.d0")), "stages.f0.data"]
        if _chance(draw, 10):
            entry["allow"] = [{"rule": _one(draw, RULES), "why": "because"}]
        if _chance(draw, 10):
            entry["updates"] = [{"date": "2026-02-01", "text": "later"}]
        if _chance(draw, 10):
            entry["outcome"] = {"status": "failed", "stage": "f0", "cause": "no memory"}
        if _chance(draw, 10):
            entry |= {"title": "A title: of sorts", "notes": "See [it](2026-01-01/e0).\n", "about": "2025-12-31", "notebook": "n"}
        return entry

    def _stages(self) -> dict[str, Any]:
        draw, known, stages = self.draw, self.known, {}
        for index in range(draw(st.integers(1, 3))):
            name = f"f{index}"
            fit: dict[str, Any] = {"fit": "classification", "data": "d0", "model": "m0", "schedule": "s0"}
            if _chance(draw, 8):
                fit |= {"fit": _one(draw, known.one("objectives")), "data": _one(draw, known.one("datasets"))}
            if _chance(draw, 8):
                fit["model"] = _one(draw, ["m1", *known.one("models")])
            for key, cls, percent in (("head", Head, 30), ("thaw", Thaw, 10), ("average", Average, 5), ("keep", Keep, 20)):
                if _chance(draw, percent):
                    fit[key] = config(draw, cls, known, more=0.3, given={"swa": 2} if cls is Average else {})
            if self.fits and _chance(draw, 20):
                starts = ("random", {"from": f"{self.fits[0]}@best"}, {"from": f"{self.fits[0]}@last", "take": "encoder-only"})
                fit["start"] = _one(draw, starts)
            stages[name] = fit
            self.fits.append(name)
        if _chance(draw, 70):
            stages["t0"] = {"evaluate": _one(draw, known.one("datasets")) if _chance(draw, 5) else "d0"}
            self.ends.append("t0")
        if _chance(draw, 20):
            at: Any = _one(draw, ("last", "best", ["best", "last"]))
            if _chance(draw, 30):
                at = {"from": 1, "every": 1, "and": "last"}
                for fit in self.fits:
                    stages[fit]["keep"] = {"every": 1}
            stages["p0"] = {"probe": "classification", "data": "d0", "schedule": "s0", "at": at}
            self.ends.insert(0, "p0")
        if _chance(draw, 15):
            stages["score"] = {"score": "d0", "replicates": 2}
            self.ends.append("score")
        return stages

    def _arms(self) -> dict[str, Any]:
        draw = self.draw
        self.arms["a0"] = {"chain": [*self.fits[:1], *self.ends], "baseline": True}
        for index in range(1, draw(st.integers(2, 4))):
            name = f"a{index}"
            chain = self.fits[: draw(st.integers(1, len(self.fits)))] + self.ends
            arm: dict[str, Any] = {"chain": chain}
            if _chance(draw, 30):
                path = _one(draw, CHANGES)
                arm["set"] = {path: _one(draw, CHANGES[path])}
            if _chance(draw, 45):
                self._sweep(name, arm)
            elif self.sweeps and _chance(draw, 30):
                before = _one(draw, self.sweeps)
                arm = {"chain": [f"{before}[*].f0{_one(draw, ('', '@best', '@last', '@*'))}", *self.ends]}
                self.again.append(name)
            if _chance(draw, 5):
                arm["rerun"] = True
            self.arms[name] = arm["chain"] if set(arm) == {"chain"} and _chance(draw, 50) else arm
        if _chance(draw, 15):
            of = {"combine": "a0" if _chance(draw, 80) else _one(draw, self.arms), "members": 2}
            self.arms["joint"] = config(draw, Combine, self.known, more=0.1, given=of)
        if _chance(draw, 8):
            self.arms["old"] = {"import": _one(draw, ("old.csv", "nowhere.csv")), "split": "val", "data": "d0"}
        return self.arms

    def _sweep(self, name: str, arm: dict[str, Any]) -> None:
        draw = self.draw
        how = _one(draw, ("vary", "vary", "zip", "points", "one_at_a_time"))
        paths = draw(st.lists(st.sampled_from(list(CHANGES)), min_size=1, max_size=3, unique=True))
        if how == "points":
            labels = ("1-4-20", "small", "large")[: draw(st.integers(1, 3))]
            arm[how] = {label: {path: _one(draw, CHANGES[path]) for path in paths} for label in labels}
            self.sweeps[name] = []
            return
        arm[how] = {path: list(CHANGES[path][: 2 if how == "zip" else 4]) for path in paths}
        if _chance(draw, 20):
            arm[how][paths[0]] = {f"l{i}": item for i, item in enumerate(arm[how][paths[0]])}
        self.sweeps[name] = [] if how == "one_at_a_time" else [path.rpartition(".")[2] for path in paths]

    def _measures(self) -> dict[str, Any]:
        draw = self.draw
        found: dict[str, Any] = {"acc": {"metric": "val/accuracy", "read": "best"}}
        for index in range(draw(st.integers(0, 2))):
            evaluated = [f"{end}{'.val' if end == 'p0' else ''}/accuracy" for end in self.ends if end != "score"]
            metric = _one(draw, ["val/loss", "val/accuracy", "f0.val/loss", *evaluated])
            ways: list[dict[str, Any]] = [{"metric": metric}, {"metric": metric}, {"metric": metric, "at": "acc"}]
            ways += [{"phase": 0, "read": "length"}, {"resource": "seconds", "read": "median"}]
            given = _one(draw, ways)
            found[f"m{index}"] = config(draw, Measure, self.known, more=0.08, given=given)
        self.measures = list(found)
        return found

    def _side(self, *, other: bool = True, words: tuple[str, ...] = (*_ALONE, "best ")) -> str:
        """One side of a claim; `other`: any arm but a0, which is compared with."""
        draw, name = self.draw, _one(self.draw, [arm for arm in self.arms if arm != "a0" or not other])
        if name not in self.sweeps:
            return f"mean {name}" if name in self.again else str(name)
        selectors = ["", "", "[*]"]
        if _chance(draw, 20):
            selectors = [f"[{f}={_one(draw, (1, 2, 3, 0.1, 0.01, 'l0', 'off'))}]" for f in self.sweeps[name]] or [""]
        word = _one(draw, words) if _chance(draw, 90) else ""
        return f"{word}{name}{_one(draw, selectors)}"

    def _claim(self) -> dict[str, Any]:
        draw, on = self.draw, _one(self.draw, self.measures) if _chance(self.draw, 20) else "acc"
        kinds = ["order", "order", "likeness", "value", "shape", "finishes"]
        kinds += ["trend"] * bool(self.sweeps) + ["reproduces"] * _chance(draw, 20) + ["reference"] * self.has_paper
        match _one(draw, kinds):
            case "order":
                right = self._side(other=False) if _chance(draw, 20) else "a0"
                claim = {"claim": f"{self._side()} < {right}", "on": on, "margin": 0.01}
                if "best" in claim["claim"] and _chance(draw, 80):
                    claim["chosen_by"] = _one(draw, self.measures)
                return claim
            case "likeness":
                return {"claim": f"{self._side()}.{on} ~ a0", "on": on, "within": 0.02, "over": "examples"}
            case "value":
                return {"value": f"{on} > {_one(draw, ('50%', '0.5', '1e-3'))}", "arm": self._side(words=_ALONE), "margin": 0}
            case "trend":
                arm = _one(draw, self.sweeps or self.arms)
                along = _one(draw, self.sweeps.get(arm) or ["epochs"])
                return {"trend": "rising", "arm": arm, "along": along, "on": on, "margin": 0}
            case "shape":
                return {"shape": _one(draw, SHAPES), "arm": self._side(words=_ALONE), "on": "val/loss", "by": 0.05}
            case "finishes":
                return {"finishes": _one(draw, self.arms)}
            case "reproduces":
                return {
                    "reproduces": f"{DATE}/{_one(draw, ('e0', 'e1'))}/a0",
                    "arm": self._side(words=("",)),
                    "on": on,
                    "within": 0.1,
                }
        return {"claim": f"{self._side()} ~ paper", "on": self.measures[0], "within": 0.1}

    def _chart(self) -> dict[str, Any]:
        draw = self.draw
        if _chance(draw, 15):
            return {"sql": "SELECT 1 AS x, 2 AS y", "x": "x", "y": "y", "mark": _one(draw, ("line", "bar"))}
        kind = _one(draw, ("curves", "measures", "forest", "schedule_trace"))
        given: dict[str, Any] = {"kind": kind, "y": [_one(draw, self.measures)] if kind == "measures" else ["val/loss"]}
        factors = [factor for found in self.sweeps.values() for factor in found]
        if _chance(draw, 20):
            given["arms"] = [_one(draw, self.arms)]
        if factors and _chance(draw, 30):
            given |= {"color": _one(draw, ["arm", *factors]), "facet": _one(draw, factors)}
        if _chance(draw, 15):
            given["where"] = {_one(draw, [*factors, "seed"]): _one(draw, (1, [1, 2], "l0"))}
        made = config(draw, Chart, self.known, more=0.1, given={"where": {}, "facet": None, **given})
        return {key: item for key, item in made.items() if item not in ({}, None)}

    def _table(self) -> dict[str, Any]:
        draw = self.draw
        if _chance(draw, 15):
            return {"sql": "SELECT arm, 1.0 AS x", "format": {"x": ".3f"}}
        factors = [factor for found in self.sweeps.values() for factor in found]
        crossed = [*(["p0.at"] if "p0" in self.ends else []), *factors]
        if crossed and _chance(draw, 30):
            return {"rows": _one(draw, crossed), "columns": "arm", "cell": "{val/accuracy:.2%} / {epoch}"}
        columns = [*self.measures, *(["t0/loss"] if "t0" in self.ends and _chance(draw, 50) else [])]
        return {"rows": _one(draw, ["arm", "trial", *factors]), "columns": columns, "format": "{mean:.2f} ± {sd}"}
