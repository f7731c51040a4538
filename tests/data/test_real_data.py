"""Published data sets are read as what they are."""

import numpy as np
import pytest

from senzai.data import describe, open_data

SETS = {
    "mnist": ("images", (1, 28, 28), "levels", 60000, 10),
    "fashion_mnist/t10k-images-idx3-ubyte.gz": ("images", (1, 28, 28), "levels", 10000, 10),
    "freyfaces/freyfaces_u8.npz": ("images", (1, 28, 20), "levels", 1965, None),
    "cifar10/cifar10_10k.npz": ("images", (3, 32, 32), "levels", 10000, 10),
    "pneumoniamnist/pneumoniamnist.npz": ("images", (1, 28, 28), "levels", 4708, 2),
    "mnist1d/mnist1d.npz": ("array", (40,), "real", 4000, 10),
    "timevae/sine_subsampled_train_perc_20.npz": ("array", (24, 5), None, 2000, None),
    "timegan_stock/stock_data.csv": ("table", (6,), "mixed", 3685, None),
}


@pytest.mark.parametrize("name", SETS)
def test_a_published_set(data_dir, name):
    path = data_dir / name
    if not path.exists():
        pytest.skip(f"no {path}")
    kind, event, values, n, classes = SETS[name]
    data = open_data(path)
    s = data.schema
    assert (s.kind, s.event_shape, s.n_rows) == (kind, event, n)
    assert values is None or s.values == values
    assert classes is None or len(s.label.classes) == classes
    assert describe(data)["proposal"]["encoder"]["name"] == {"images": "conv", "table": "table"}.get(kind, "mlp")
    some = data.batch(np.arange(7))
    assert some.tensor.shape == (7, *event)
    assert len(data.decode(some.x)) == 7


def test_mnist_comes_back(data_dir):
    path = data_dir / "mnist" / "t10k-images-idx3-ubyte.gz"
    if not path.exists():
        pytest.skip(f"no {path}")
    data = open_data(path)
    back = data.decode(data.batch().x)
    assert (back.shape, back.dtype) == ((10000, 28, 28), np.uint8)
    assert abs(back.mean() / 255 - 0.1325) < 1e-3
