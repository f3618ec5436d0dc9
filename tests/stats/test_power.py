import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from repro.stats.equivalence import MATCH, critical_value, equivalence
from repro.stats.power import equivalence_power, look_power, one_sided_power, units_needed


@pytest.mark.parametrize(("n", "margin", "deviation"), [(3, 3.0, 0.0), (5, 1.5, 0.3), (10, 0.7, -0.2), (10, 0.4, 0.0)])
def test_equivalence_power_against_simulation(n, margin, deviation):
    x = np.random.default_rng(0).standard_normal((200_000, n)) + deviation
    c = critical_value(0.05, n - 1)
    reach = c * x.std(axis=1, ddof=1) / math.sqrt(n)
    simulated = (equivalence(x.mean(axis=1), reach, reach, margin) == MATCH).mean()
    assert equivalence_power(deviation, 1 / math.sqrt(n), n - 1, c, margin) == pytest.approx(simulated, abs=0.004)


@pytest.mark.parametrize(("n", "distance"), [(4, 1.0), (10, 0.5), (30, 0.5)])
def test_one_sided_power_against_statsmodels_and_the_noncentral_t(n, distance):
    c = critical_value(0.05, n - 1)
    ours = one_sided_power(distance, 1 / math.sqrt(n), n - 1, c)
    assert ours == pytest.approx(TTestPower().power(distance, n, 0.05, alternative="larger"), abs=5e-4)
    assert ours == pytest.approx(stats.nct.sf(c, n - 1, distance * math.sqrt(n)), abs=5e-4)


def test_known_standard_error_gives_normal_power():
    assert one_sided_power(3.0, 1.0, None, 1.645) == pytest.approx(stats.norm.cdf(3 - 1.645))


def test_units_needed_agrees_with_statsmodels():
    power = TTestPower()
    needed = units_needed(lambda n: one_sided_power(0.5, 1 / math.sqrt(n), n - 1, critical_value(0.05, n - 1)), 2)
    assert needed == math.ceil(power.solve_power(0.5, alpha=0.05, power=0.8, alternative="larger"))


@pytest.mark.parametrize("least", [4, 5, 17, 1000, 100_000])
def test_units_needed_finds_the_least(least):
    assert units_needed(lambda n: float(n >= least), 3) == least


def test_units_needed_gives_up():
    assert units_needed(lambda n: 0.79, 3) is None


@pytest.mark.parametrize(("step", "expected"), [(1, 17), (3, 18), (5, 20)])
def test_units_needed_comes_in_steps(step, expected):
    assert units_needed(lambda n: float(n >= 17), 0, step=step) == expected


@pytest.mark.parametrize("wanted", [0.8, 0.95])
def test_units_needed_for_another_power_agrees_with_statsmodels(wanted):
    def power(n: int) -> float:
        return one_sided_power(0.5, 1 / math.sqrt(n), n - 1, critical_value(0.05, n - 1))

    solved = TTestPower().solve_power(0.5, alpha=0.05, power=wanted, alternative="larger")
    assert units_needed(power, 2, wanted) == math.ceil(solved)


@pytest.mark.parametrize("two_sided", [True, False])
def test_a_known_part_of_the_error_is_not_estimated(two_sided):
    n, known, room = 5, 0.3, 1.6
    random = np.random.default_rng(1)
    x = random.standard_normal((200_000, n))
    d = x.mean(axis=1) - random.normal(0, known, 200_000)
    c = critical_value(0.05, n - 1)
    reach = c * np.sqrt(x.var(axis=1, ddof=1) / n + known**2)
    se = math.hypot(1 / math.sqrt(n), known)
    if two_sided:
        simulated, ours = (np.abs(d) + reach < room).mean(), equivalence_power(0.0, se, n - 1, c, room, known)
    else:
        simulated, ours = (d + room > reach).mean(), one_sided_power(room, se, n - 1, c, known)
    assert ours == pytest.approx(simulated, abs=0.005)


def test_without_any_error_the_side_decides():
    assert equivalence_power(0.1, 0.0, None, 1.6, 0.2) == 1.0
    assert equivalence_power(0.3, 0.0, None, 1.6, 0.2) == 0.0
    assert one_sided_power(0.0, 0.0, None, 1.6) == 0.0


def critical_at(alpha: float):
    return lambda n: critical_value(alpha, n - 1)


@pytest.mark.parametrize("two_sided", [True, False])
def test_one_look_is_the_fixed_sample(two_sided):
    seen = look_power(looks=1, units=8, sd=1.0, critical_at=critical_at(0.05), room=1.0, two_sided=two_sided)
    power = equivalence_power if two_sided else (lambda d, *rest: one_sided_power(d + rest[3], *rest[:3]))
    assert seen.by == seen.at
    assert seen.by[-1] == pytest.approx(power(0.0, 1 / math.sqrt(8), 7, critical_value(0.05, 7), 1.0), abs=0.01)


def test_several_looks_against_simulation_unit_by_unit():
    looks, units, room = 3, 4, 1.2
    x = np.random.default_rng(2).standard_normal((50_000, looks * units))
    shift = np.random.default_rng(3).normal(0, 0.1, 50_000)
    found, at = np.zeros(50_000, bool), []
    for n in (4, 8, 12):
        reach = critical_value(0.05 / 3, n - 1) * np.sqrt(x[:, :n].var(axis=1, ddof=1) / n + 0.1**2)
        match = np.abs(x[:, :n].mean(axis=1) - shift) + reach < room
        at.append(match.mean())
        found |= match
    seen = look_power(looks=looks, units=units, sd=1.0, critical_at=critical_at(0.05 / 3), room=room, target_se=0.1)
    assert seen.at == pytest.approx(at, abs=0.012)
    assert seen.by[-1] == pytest.approx(found.mean(), abs=0.012)
    assert list(seen.by) == sorted(seen.by)


def test_a_borrowed_spread_scales_with_our_own():
    # sd 1, the paper's single run: SE² = s²(1 + 1/n), so that only s is uncertain.
    n, room = 6, 4.0
    seen = look_power(looks=1, units=n, sd=1.0, critical_at=critical_at(0.05), room=room, target_se=1.0, borrowed=True)
    exact = equivalence_power(0.0, math.sqrt(1 + 1 / n), n - 1, critical_value(0.05, n - 1), room)
    assert seen.by[-1] == pytest.approx(exact, abs=0.01)
