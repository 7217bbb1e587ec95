"""Charts and tables: what a report shows of an entry, besides what it always shows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from interpreter.spec.base import Config
from interpreter.spec.measures import Epochs, Smooth
from interpreter.spec.robustness import AnyLine, Scale


class Chart(Config):
    """One figure of the report.

    curves: metric histories; forest: effects of claims with intervals and margins; measures: one dot a trial;
    schedule_trace: phases and rates under the curves; robustness: accuracy on shifted data against that on the original.
    """

    kind: Literal["curves", "forest", "measures", "schedule_trace", "robustness"] = "curves"
    """What is drawn."""
    y: str | list[str] | None = None
    """curves: metrics, `val/rmse`; measures: names of measures. Default: what the entry's measures read."""
    in_: str | None = Field(default=None, alias="in")
    """robustness: the accuracy on the original data, `original/accuracy`."""
    out: str | None = None
    """robustness: the accuracy on the shifted data, `shifted/accuracy`."""
    lines: list[AnyLine] = Field(default_factory=list)
    """robustness: what is drawn besides equal accuracies: `andreassen`, or fits to arms, `{fit: probit, to: [published]}`."""
    scale: Scale = "logit"
    """robustness: the scale of both axes, which are marked in percent all the same."""
    families: dict[str, list[str]] = Field(default_factory=dict)
    """robustness: arms that share a shape and a colour, by name: `{cutout: ["published[*cutout*]"]}`."""
    x: Literal["epoch", "stage_epoch"] = "epoch"
    """epoch: within the arm's main stage. stage_epoch: all stages of the chain, one after the other."""
    color: str = "arm"
    """What colours tell apart: `arm`, or a factor of a sweep."""
    facet: str | None = None
    """A factor of a sweep: one panel for each of its values."""
    arms: list[str] | None = None
    """Only these arms, in this order; the name of a sweep stands for all its points, `thaw[patience=3]` for those."""
    where: dict[str, Any] | None = None
    """Only trials with these values of factors, or these seeds: `{max_epochs: 100}`, `{seed: [0, 1]}`."""
    band: Literal["ci95", "sd", "none"] = "ci95"
    """Around the mean over seeds."""
    raw: Literal["faint", "none"] = "faint"
    """Single seeds' curves."""
    smooth: Smooth | None = None
    """How curves are smoothed; the raw ones stay visible."""
    epochs: Epochs | None = None
    """First and last epoch shown, counted from 1, both included."""
    caption: str = ""
    """A sentence below the figure."""
    title: str = ""
    """Above the figure. Absent: the chart's name."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Chart:
        robust = self.kind == "robustness"
        if robust and (self.in_ is None or self.out is None):
            raise ValueError("a chart of robustness has `in` and `out`, two accuracies: original/accuracy, shifted/accuracy")
        mine = {"in_", "out", "lines", "scale", "families"} & self.model_fields_set
        if mine and not robust:
            raise ValueError(f"`{min(mine).rstrip('_')}` goes with `kind: robustness`")
        foreign = {"y", "x", "color", "facet", "band", "raw", "smooth", "epochs"} & self.model_fields_set
        if foreign and robust:
            raise ValueError(f"`{min(foreign)}` is not for a chart of robustness")
        return self


class SqlChart(Config):
    """One figure of whatever a query gives: columns of the result, by name, on its axes."""

    sql: str
    """A query on results.duckdb, read-only; `entry` and `profile` are bound as $entry and $profile."""
    mark: Literal["line", "point", "bar", "rule", "area"] = "point"
    """What is drawn for a row, or through the rows."""
    x: str
    """Column on the horizontal axis."""
    y: str
    """Column on the vertical axis."""
    color: str | None = None
    """Column that colours tell apart."""
    facet: str | None = None
    """Column with one panel for each value."""
    caption: str = ""
    """A sentence below the figure."""
    title: str = ""
    """Above the figure. Absent: the chart's name."""


class Table(Config):
    """One table of the report: a row an arm, a column a measure or metric; or, with `cell`, one factor against another."""

    rows: str = "arm"
    """`arm`, `trial`, a factor of a sweep, or `STAGE.at` for the checkpoints that a probe looked at."""
    columns: list[str] | str
    """Measures by name, or metrics `split/name` of evaluate stages. With `cell`: `arm` or a factor, a column for each value."""
    cell: str | None = None
    """What stands where a row meets a column: text with metrics or measures in braces, `{val/accuracy:.2%} / {epoch}`."""
    format: str = "{mean:.3f} ± {ci:.3f}"
    """For rows: arm, with mean, ci (95 % half-width of the mean), sd, n, min, max."""
    caption: str = ""
    """A sentence with the table."""

    @model_validator(mode="after")
    def _crossed(self) -> Table:
        if isinstance(self.columns, str) != (self.cell is not None):
            raise ValueError("`cell` goes with one word under `columns` (`arm` or a factor), a list of columns goes without")
        if isinstance(self.columns, list) and not self.columns:
            raise ValueError("`columns` is empty: a table shows at least one")
        return self


class SqlTable(Config):
    """One table of whatever a query gives."""

    sql: str
    """A query on results.duckdb, read-only; `entry` and `profile` are bound as $entry and $profile."""
    format: dict[str, str] = Field(default_factory=dict)
    """Column -> format of its numbers: `{rmse: ".3f"}`. Others are shown with four figures."""
    caption: str = ""
    """A sentence with the table."""


AnyChart = Chart | SqlChart
AnyTable = Table | SqlTable
