from __future__ import annotations

import pytest

from senzai.core.errors import SettingError
from senzai.objectives import Constant, Cyclical, LinearWarmup, Monotone

ALL = [Constant(), LinearWarmup(1), LinearWarmup(12), Monotone(1), Monotone(12), Cyclical(12, cycles=3), Cyclical(12,
                                                                                                                  cycles=5)]


@pytest.mark.parametrize("warmup", ALL)
def test_the_factor_lies_between_0_and_1_and_ends_at_1(warmup):
    assert all(0 <= warmup.factor(step) <= 1 for step in range(40))
    assert all(warmup.factor(step) == 1 for step in range(warmup.end, warmup.end + 20))


@pytest.mark.parametrize("warmup", [w for w in ALL if w != Constant()])
def test_it_starts_at_0(warmup):
    assert warmup.factor(0) == 0


@pytest.mark.parametrize("kind", [LinearWarmup, Monotone])
def test_a_ramp_never_falls_and_is_symmetric(kind):
    warmup = kind(20)
    values = [warmup.factor(step) for step in range(21)]
    assert values == sorted(values)
    assert [1 - v for v in reversed(values)] == pytest.approx(values)
    assert values[10] == pytest.approx(0.5)


def test_a_linear_ramp_is_straight():
    assert [LinearWarmup(5).factor(step) for step in range(6)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_cycles_start_again():
    warmup = Cyclical(30, cycles=3, ramp=0.5)
    cycle = [warmup.factor(step) for step in range(10)]
    assert cycle == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1])
    assert [warmup.factor(step) for step in range(30)] == pytest.approx(3 * cycle)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LinearWarmup(0),
        lambda: Monotone(-1),
        lambda: Cyclical(0),
        lambda: Cyclical(8, cycles=0),
        lambda: Cyclical(8, ramp=0.0),
        lambda: Cyclical(8, ramp=1.5),
        lambda: Cyclical(3, cycles=4),
    ],
)
def test_settings_check_themselves(wrong):
    with pytest.raises(SettingError):
        wrong()
