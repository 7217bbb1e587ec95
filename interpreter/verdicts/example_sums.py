"""What single examples add up to: a statistic of means over examples, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interpreter.spec.robustness import Scale
from interpreter.verdicts.clusters import clusters
from interpreter.verdicts.effective_robustness import Line, above_fitted, effective_robustness
from interpreter.verdicts.predictions import PER_EXAMPLE, Outputs
from interpreter.verdicts.readings import Metric
from interpreter.verdicts.resampling import Population, Resampled

Floats = npt.NDArray[np.float64]


class Gate(Exception):
    """There is no interval over examples: the state that this gives, and why."""

    def __init__(self, state: str, why: str) -> None:
        super().__init__(why)
        self.state, self.why = state, why


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One number of one side of one pair: where it was read, and what was predicted there."""

    metric: Metric
    outputs: Outputs

    def adds(self) -> Floats:
        """What each example adds to the mean."""
        return PER_EXAMPLE[self.metric.name].adds(self.outputs)


class Sums:
    """Collects what every example adds: linear terms in one column, others in columns of their own."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        # By place in the measure (original or shifted data) and ids; the first column has all linear terms.
        self._columns: dict[tuple[int, tuple[str, ...]], list[Floats]] = {}
        self._terms: list[tuple[float, Callable[..., Floats], tuple[tuple[int, int], ...]]] = []

    def add(self, weight: float, read: Sequence[Read], line: Line | None = None) -> None:
        """Add `weight` times the number that `read` gives to the statistic; with a line, how far above it."""
        if line is not None:
            places = tuple(self._column(i, one) for i, one in enumerate(read))
            self._terms.append((weight, lambda a, b: effective_robustness(a, b, line), places))
            return
        (one,) = read
        of_mean = PER_EXAMPLE[one.metric.name].of_mean
        if of_mean is None:
            self._population(0, one.outputs.ids)[0] += weight * one.adds()
        else:
            self._terms.append((weight, of_mean, (self._column(0, one),)))

    def add_fitted(self, weight: float, read: Sequence[Read], models: Sequence[Sequence[Read]], scale: Scale) -> None:
        """Add `weight` times how far `read` is above the line through `models`, which is drawn anew with the examples."""
        every = [read, *models]
        places = tuple(self._column(i, one) for i in (0, 1) for one in (each[i] for each in every))
        count = len(every)

        def above(*means: Floats) -> Floats:
            acc_in, acc_out = np.stack(means[:count], axis=-1), np.stack(means[count:], axis=-1)
            return above_fitted(acc_in[..., 0], acc_out[..., 0], acc_in[..., 1:], acc_out[..., 1:], scale)

        self._terms.append((weight, above, places))

    def _population(self, place: int, ids: tuple[str, ...]) -> list[Floats]:
        return self._columns.setdefault((place, ids), [np.zeros(len(ids))])

    def _column(self, place: int, read: Read) -> tuple[int, int]:
        """Where what the examples of `read` add has gone: (population, column)."""
        columns = self._population(place, read.outputs.ids)
        columns.append(read.adds())
        return list(self._columns).index((place, read.outputs.ids)), len(columns) - 1

    def resampled(self, constant: float, seed: int) -> Resampled:
        """The statistic, `constant` included, ready to be drawn. Raises: Gate."""
        populations = []
        for (_, ids), columns in self._columns.items():
            stacked = np.stack(columns)
            if not np.isfinite(stacked).all():
                raise Gate("incomplete", "some predictions are not finite: what they add to the metric is not known")
            units, count = clusters(ids, self._cluster)
            if count == 0:
                raise Gate("not-run", f"no id, such as `{ids[0]}`, is cut by the rule `cluster: {self._cluster}`")
            sums = np.array([np.bincount(units, weights=column, minlength=count) for column in stacked], dtype=np.float64)
            populations.append(Population(sums, np.bincount(units, minlength=count).astype(np.float64)))
        terms = list(self._terms)

        def statistic(means: Sequence[Floats]) -> Floats:
            total = constant + sum(mean[:, 0] for mean in means)
            for weight, of_means, places in terms:
                total = total + weight * of_means(*(means[p][:, c] for p, c in places))
            return np.asarray(total, dtype=np.float64)

        return Resampled(populations, statistic, seed)
