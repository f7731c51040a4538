"""Models made sick on purpose are diagnosed, and healthy ones left alone."""

import pytest

from senzai.testing.clinic import HEALTHY, SICK

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("patient", SICK, ids=lambda p: p.name)
def test_the_illness_comes_first(patient):
    _, _, found = patient.examined()
    assert found.first is not None, found.facts.numbers()
    assert found.first.name == patient.illness, [(f.name, f.value, f.threshold) for f in found.findings]


@pytest.mark.parametrize("patient", HEALTHY, ids=lambda p: p.name)
def test_the_healthy_are_left_alone(patient):
    _, _, found = patient.examined()
    assert not [(f.name, f.value, f.threshold) for f in found.findings if f.grade != "note"]


def test_there_are_enough_of_both():
    assert len({p.illness for p in SICK}) >= 16
    assert len(HEALTHY) >= 8
