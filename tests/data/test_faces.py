"""Drawn faces: the same at any time, of any size, and with factors that can be read off again."""

import numpy as np
import pytest

from senzai.core.errors import InputError
from senzai.data import builtin, open_data
from senzai.data.faces import FACTORS, N_NAMED, NAMES, factors_of, labels_of, render


def changed(name, values, *, number=3, size=32):
    factors = np.repeat(factors_of([number]), len(values), 0)
    factors[:, NAMES.index(name)] = values
    return render(factors, size).astype(float)


def test_a_face_is_known_by_its_number_whatever_else_is_drawn():
    some = factors_of([11, 4, 900])
    assert (factors_of(range(12))[11] == some[0]).all()
    assert (render(some, 32)[1] == render(factors_of([4]), 32)[0]).all()
    assert len({row.tobytes() for row in render(factors_of(range(300)), 32)}) == 300


@pytest.mark.parametrize("size", [16, 32, 64])
def test_the_same_face_at_any_size(size):
    small, large = (render(factors_of([8, 9]), side).astype(float) for side in (size, 128))
    step = 128 // size
    averaged = large.reshape(2, size, step, size, step, 3).mean((2, 4))
    assert small.shape == (2, size, size, 3)
    assert np.abs(small - averaged).mean() < 6
    assert render(factors_of([8]), 33).shape == (1, 33, 33, 3)


def test_edges_are_smooth():
    face = render(factors_of([1]), 64)
    assert len(np.unique(face.reshape(-1, 3), axis=0)) > 300


@pytest.mark.parametrize("name", NAMES)
def test_every_factor_changes_the_picture_and_nothing_but_factors_does(name):
    factor = FACTORS[NAMES.index(name)]
    ends = range(len(factor.values)) if factor.values else (factor.low, factor.high)
    drawn = [changed(name, list(ends), number=n, size=64) for n in (3, 6, 27)]
    for i in range(1, len(drawn[0])):
        assert max(np.abs(d[i] - d[i - 1]).max() for d in drawn) > 12, (name, i)


def test_brightness_follows_the_light():
    left, right = changed("light", [-1.0, 1.0])
    gap = right.mean((0, 2)) - left.mean((0, 2))
    assert gap[:8].mean() < -5 < 5 < gap[-8:].mean()


def test_a_smile_lifts_the_corners_of_the_mouth_over_its_middle():
    frown, smile = changed("smile", [-1.0, 1.0], number=12, size=128)
    moved = np.abs(smile - frown).sum(-1) > 60
    rows, columns = np.nonzero(moved)
    assert rows.min() > 60
    assert np.ptp(columns) < 60


def test_factors_are_uniform_and_independent():
    factors = factors_of(range(4000))
    for i, factor in enumerate(FACTORS):
        if factor.values:
            odds = np.array(factor.odds or (1,) * len(factor.values))
            share = np.bincount(factors[:, i].astype(int), minlength=len(odds)) / 4000
            assert np.abs(share - odds / odds.sum()).max() < 0.04, factor.name
        else:
            assert abs(factors[:, i].mean() - (factor.low + factor.high) / 2) < 0.04
    together = np.corrcoef(factors.T) - np.eye(len(FACTORS))
    assert np.abs(together).max() < 0.08  # five standard errors


def test_factors_are_read_off_by_a_regression_of_pixels():
    """What is large in the picture: lines of it are told far above chance without any network."""
    n, kept = 1000, 800
    factors = factors_of(range(n))
    x = render(factors, 16).reshape(n, -1) / 255
    targets = [np.eye(len(f.values))[factors[:, i].astype(int)] for i, f in enumerate(FACTORS) if f.values]
    y = np.concatenate([*targets, factors], 1)
    centre, mean = x[:kept].mean(0), y[:kept].mean(0)
    a = x[:kept] - centre
    weights = np.linalg.solve(a.T @ a + 3 * np.eye(a.shape[1]), a.T @ (y[:kept] - mean))
    told = (x[kept:] - centre) @ weights + mean
    right, start = {}, 0
    for i, target in enumerate(targets):
        end = start + target.shape[1]
        right[NAMES[i]] = (told[:, start:end].argmax(1) == factors[kept:, i]).mean()
        start = end
    missed = np.square(told[:, start:] - factors[kept:]).mean(0) / factors[kept:].var(0)
    explained = dict(zip(NAMES, 1 - missed, strict=True))
    for name, least in {"hair": 0.8, "background": 0.8, "shirt": 0.9, "glasses": 0.65, "beard": 0.65}.items():
        assert right[name] > least, (name, right[name])
    for name, least in {"skin": 0.95, "turn": 0.5, "tilt": 0.8, "light": 0.9, "nod": 0.6, "face_width": 0.4}.items():
        assert explained[name] > least, (name, explained[name])


def test_labels_are_the_names_of_values():
    factors = factors_of(range(50))
    labels = labels_of(factors)
    assert set(labels) == {"expression", *NAMES[:N_NAMED]}
    at = NAMES.index("glasses")
    assert [FACTORS[at].values.index(v) for v in labels["glasses"]] == factors[:, at].astype(int).tolist()
    smile = factors[:, NAMES.index("smile")]
    assert ((labels["expression"] == "smiling") == (smile >= 0.25)).all()
    assert ((labels["expression"] == "frowning") == (smile <= -0.25)).all()


@pytest.fixture
def few(monkeypatch):
    """Make the built-in sets small."""
    monkeypatch.setattr(builtin, "N_FACES", 60)
    builtin.faces.cache_clear()
    yield
    builtin.faces.cache_clear()


@pytest.mark.usefixtures("few")
def test_built_in_faces_go_through_the_door():
    data = open_data("faces")
    assert data.schema.kind == "images"
    assert data.schema.event_shape == (3, 32, 32)
    assert data.schema.label.classes == ("frowning", "neutral", "smiling")
    assert (data.decode(data.batch([7]).x)[0] == render(factors_of([7]), 32)[0]).all()
    worn = open_data("faces", options={"label": "glasses"})
    assert worn.schema.label.classes == ("none", "round", "square")
    assert worn.schema.label.name == "glasses"
    with pytest.raises(InputError, match=r"label='glases'.*knows expression"):
        open_data("faces", options={"label": "glases"})


@pytest.mark.parametrize(
    ("factors", "what"), [([[0.0] * 33], r"\(N, 34\)"), (["a"], r"\(N, 34\)"), ([[9.0, *[0.0] * 33]], "'skin'"),
                          ([[0.5, *[0.0] * 33]], "whole numbers from 0 to 5"), ([[0.0] * 33 + [2.0]], "'light'")],
)
def test_what_is_no_face_is_refused(factors, what):
    with pytest.raises(InputError, match=what):
        render(factors)


def test_sizes_and_numbers_are_checked():
    with pytest.raises(InputError, match="16 to 256"):
        render(factors_of([0]), 8)
    with pytest.raises(InputError, match="from 0 on"):
        factors_of([-1])
    assert render(factors_of([]), 32).shape == (0, 32, 32, 3)
