"""Every part and every recipe that is registered sits every exam."""

import pytest

from senzai.testing import cases, examine


@pytest.mark.parametrize(**cases())
def test_it_passes(entry):
    found = examine(entry)
    assert not found, "\n".join(map(str, found))
