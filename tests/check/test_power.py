"""The power that check tells agrees with SciPy's noncentral t."""

import numpy as np
import pytest
from scipy import stats

from interpreter.check.power import power


def reference(n: int, family: int, effect: float) -> float:
    df, shift = n - 1, effect * np.sqrt(n)
    critical = stats.t.ppf(1 - 0.05 / (2 * family), df)
    # SciPy's lower tail is NaN where it is nothing: far below a large shift.
    return float(1 - stats.nct.cdf(critical, df, shift) + np.nan_to_num(stats.nct.cdf(-critical, df, shift)))


@pytest.mark.parametrize("n", [2, 3, 5, 8, 13, 30])
@pytest.mark.parametrize("family", [1, 4, 12])
@pytest.mark.parametrize("effect", [0.0, 1.0, 2.0])
def test_power_is_that_of_the_t_test(n, family, effect):
    assert power(n, family, effect) == pytest.approx(reference(n, family, effect), abs=2e-4)


def test_the_figures_that_the_design_speaks_of():
    assert round(power(5, 1), 2) == 0.40
    assert round(power(5, 4), 2) == 0.15
    assert power(1, 1) == 0.0
