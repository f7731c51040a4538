"""What is found does not depend on the blocks that data are looked at in."""

import numpy as np
import pytest
import torch

from senzai.core.errors import InputError
from senzai.data import facts, fingerprint, open_data
from senzai.data.facts import grid_table, survey

RNG = np.random.default_rng(0)
ARRAYS = {
    "reals": RNG.normal(size=(23, 3)),
    "decimals": np.round(RNG.normal(size=(23, 3)), 2) * [1.0, 10.0, 100.0],
    "bytes": RNG.integers(0, 256, (23, 5, 5), dtype=np.uint8),
    "bits": RNG.integers(0, 2, (23, 3)),
    "grid": grid_table("multiply", "float32")[:207].reshape(23, 3, 3),
    "counts": RNG.poisson(3.0, (23, 3)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_blocks_do_not_matter(monkeypatch, name):
    x = ARRAYS[name]
    whole, data = survey(x), open_data(x)
    monkeypatch.setattr(facts, "BLOCK", 7)
    assert survey(x) == whole
    again = open_data(x)
    assert again.schema == data.schema
    assert torch.equal(again.batch().x, data.batch().x)


def test_rows_are_counted_over_all_blocks(monkeypatch):
    monkeypatch.setattr(facts, "BLOCK", 7)
    x = ARRAYS["reals"].copy()
    x[[11, 20], [1, 2]] = np.nan
    with pytest.raises(InputError, match=r"2 are not: row 11, column 1"):
        open_data(x)
    with pytest.raises(InputError, match=r"got 9 in row 17"):
        open_data(np.where(np.arange(23)[:, None] == 17, 9, ARRAYS["bits"]), schema=open_data(ARRAYS["bits"]).schema)


def test_large_data_are_sampled_for_their_fingerprint(monkeypatch, tmp_path):
    x = ARRAYS["reals"]
    monkeypatch.setattr(fingerprint, "WHOLE_BYTES", 100)
    mark = fingerprint.of_array(x)
    assert mark.startswith("sha256-sample:")
    assert mark == fingerprint.of_array(x.copy())
    assert mark != fingerprint.of_array(x[:-1])
    (tmp_path / "a").write_bytes(bytes(200))
    assert fingerprint.of_files([tmp_path / "a"], tmp_path).startswith("sha256-sample:")
