"""Charts and tables: what a report shows of an entry, besides what it always shows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from interpreter.spec.base import Config
from interpreter.spec.measures import Smooth


class Chart(Config):
    """One figure of the report.

    curves: metric histories; forest: effects of claims with intervals and margins; measures: one dot a trial.
    """

    kind: Literal["curves", "forest", "measures"] = "curves"
    y: str | list[str] | None = None
    """curves: metrics, `val/rmse`; measures: names of measures. Default: what the entry's measures read."""
    x: Literal["epoch", "stage_epoch"] = "epoch"
    """epoch: within the arm's main stage. stage_epoch: all stages of the chain, one after the other."""
    color: Literal["arm"] = "arm"
    arms: list[str] | None = None
    """Only these arms, in this order."""
    where: dict[str, Any] | None = None
    """Only trials with these values, for instance `{seed: 0}`."""
    band: Literal["ci95", "sd", "none"] = "ci95"
    """Around the mean over seeds."""
    raw: Literal["faint", "none"] = "faint"
    """Single seeds' curves."""
    smooth: Smooth | None = None
    epochs: tuple[int, int] | None = None
    caption: str = ""
    title: str = ""


class Table(Config):
    """One table of the report: a row an arm, a column a measure or metric."""

    rows: Literal["arm", "trial"] = "arm"
    columns: list[str] = Field(min_length=1)
    """Measures by name, or metrics `split/name` of evaluate stages."""
    format: str = "{mean:.3f} ± {ci:.3f}"
    """For rows: arm, with mean, ci (95 % half-width of the mean), sd, n, min, max."""
    caption: str = ""
