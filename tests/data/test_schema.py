"""A schema is plain JSON, and a model's schema holds for other data."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from senzai.core.errors import InputError, SettingError, ShapeError, UnknownNameError
from senzai.data import KINDS, Choice, Schema, Split, describe, detect_kind, open_data

RNG = np.random.default_rng(0)
SOURCES = {
    "digits": "digits",
    "reals": RNG.normal(size=(9, 3)),
    "frame": pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 0.1, 0.7]}),
    "bytes": RNG.integers(0, 256, (5, 9, 9, 3), dtype=np.uint8),
    "labelled": (torch.rand(6, 4), ["x", "y", "x", "y", "x", "y"]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_json_in_both_directions(name):
    schema = open_data(SOURCES[name]).schema
    assert Schema.model_validate(json.loads(schema.model_dump_json())) == schema


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_data_through_a_saved_schema(name):
    fitted = open_data(SOURCES[name])
    saved = Schema.model_validate_json(fitted.schema.model_dump_json())
    again = open_data(SOURCES[name], schema=saved)
    assert torch.equal(again.batch().x, fitted.batch().x)
    ignored = {"reasons"}
    assert again.schema.model_dump(exclude=ignored) == fitted.schema.model_dump(exclude=ignored)


@pytest.mark.parametrize("name", SOURCES)
def test_the_surest_kind_is_taken(name):
    claims = {k: c.confidence for k in KINDS if (c := KINDS[k].claims(SOURCES[name], {}))}
    assert max(claims, key=claims.get) == detect_kind(SOURCES[name])
    assert sorted(claims.values())[-1] - sorted([0.0, *claims.values()])[-2] > 0.3  # and surely


@pytest.mark.parametrize("name", SOURCES)
def test_a_description_is_json(name):
    about = json.loads(json.dumps(describe(open_data(SOURCES[name])), allow_nan=False))
    assert about["n_rows"] == len(open_data(SOURCES[name]))
    assert about["split"] is None or sum(about["split"].values()) == about["n_rows"]
    assert about["reasons"]
    assert all(r.endswith(".") or r.endswith(")") for r in about["reasons"])


def test_kinds_say_what_they_are():
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.title
        assert kind.suffixes


@pytest.mark.parametrize(
    ("x", "family", "settings", "shared"),
    [
        (np.eye(4), "bernoulli", {}, ()),
        (RNG.random((5, 3)), "continuous_bernoulli", {}, ()),
        (np.arange(200, dtype=np.uint8).reshape(50, 4), "discretised_logistic", {"levels": 256}, ()),
        (RNG.normal(size=(5, 3)), "normal", {}, ("scale",)),
        (np.arange(900).reshape(300, 3), "negative_binomial", {}, ()),
    ],
)
def test_proposals_for_arrays(x, family, settings, shared):
    p = open_data(x).propose()
    assert (p.likelihood, p.shared, p.encoder) == (Choice(family, settings), shared, Choice("mlp"))
    assert p.reason


def test_proposals_for_images():
    big, tiny = (RNG.integers(0, 256, (5, n, 17), dtype=np.uint8) for n in (16, 15))
    assert open_data(big).propose().encoder.name == "conv"
    assert open_data(tiny).propose().encoder.name == "mlp"
    assert open_data(tiny, options={"conv_from": 4}).propose().encoder.name == "conv"


def test_schemas_are_frozen_and_strict():
    schema = open_data("digits").schema
    with pytest.raises(ValidationError, match="frozen"):
        schema.kind = "array"
    with pytest.raises(ValidationError, match="Extra inputs"):
        Schema.model_validate({**schema.model_dump(), "extra": 1})
    with pytest.raises(ValidationError, match="below 1"):
        Split(validation=0.5, test=0.5)


def test_the_fingerprint_is_of_the_content():
    x = np.arange(12.0).reshape(4, 3)
    a, b = open_data(x).schema.fingerprint, open_data(x + 1).schema.fingerprint
    assert a != b
    assert a == open_data(x.copy()).schema.fingerprint
    assert a.startswith("sha256:")


def test_a_frame_model_takes_columns_by_name():
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5], "bmi": [0.5, 0.1, 7.0]})
    schema = open_data(frame, kind="array").schema
    other = frame[["bmi", "a"]].assign(more="text")
    data = open_data(other, schema=schema)
    assert torch.equal(data.batch().x, open_data(frame, kind="array").batch().x)
    assert any("more" in r for r in data.schema.reasons)
    with pytest.raises(ShapeError, match=r"2 columns.*lacks bmi\. Did you mean 'bml'\? Add them"):
        open_data(frame.rename(columns={"bmi": "bml"}), schema=schema)


def test_a_frame_model_finds_its_label_where_there_is_one():
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": [0.5, 0.1, 7.0], "kind": ["u", "v", "u"]})
    schema = open_data(frame, options={"label": "kind"}, kind="array").schema
    assert open_data(frame, schema=schema).batch().y.tolist() == [0, 1, 0]
    assert open_data(frame[["a", "b"]], schema=schema).batch().y is None


def test_an_array_for_a_frame_model_comes_back_as_an_array():
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 0.1, 7.0]})
    data = open_data(frame.to_numpy(), schema=open_data(frame, kind="array").schema)
    assert isinstance(data.decode(data.batch().x), np.ndarray)


def test_rows_of_another_shape_are_refused():
    schema = open_data(RNG.normal(size=(5, 3))).schema
    with pytest.raises(ShapeError, match=r"shape \(3,\).*rows of the shape \(4,\).*same features"):
        open_data(RNG.normal(size=(5, 4)), schema=schema)
    images = open_data("digits").schema
    with pytest.raises(ShapeError, match=r"\(1, 8, 8\).*\(1, 9, 9\)"):
        open_data(np.zeros((3, 9, 9), np.uint8), schema=images)


@pytest.mark.parametrize(
    ("fitted", "other", "why"),
    [
        (np.eye(4), np.eye(4) / 2, "whole numbers from 0 to 1, but got 0.5 in row 0 and 3 more"),
        (RNG.random((5, 3)), RNG.random((5, 3)) + 1, "numbers from 0 to 1"),
        (np.array([[0, 9], [1, 2]]), np.array([[0, 1], [-1, 2]]), "whole numbers from 0, but got -1 in row 1"),
        (np.arange(256).reshape(64, 4) / 255, np.array([[0, 1, 99.0, 3]]), "from 0 to 1 in steps of 1/255, but got 99"),
    ],
)
def test_values_that_the_model_was_not_made_for(fitted, other, why):
    with pytest.raises(InputError, match=why):
        open_data(other, schema=open_data(fitted).schema)


def test_bytes_for_a_model_of_bytes_stored_as_floats():
    k = np.arange(256, dtype=np.uint8).reshape(64, 4)
    data = open_data(k, schema=open_data(k / 255).schema)
    assert torch.equal(data.batch().x, torch.from_numpy(k))
    assert np.array_equal(data.decode(data.batch().x), k)


def test_decisions_are_not_taken_again():
    schema = open_data(np.arange(900).reshape(300, 3)).schema
    assert open_data(np.eye(3, dtype=int), schema=schema).schema.values == "count"


def test_kind_and_options_are_checked():
    schema = open_data("digits").schema
    with pytest.raises(InputError, match=r"'images'.*kind='array'"):
        open_data("digits", kind="array", schema=schema)
    with pytest.raises(UnknownNameError, match="Did you mean 'array'"):
        open_data(np.eye(3), kind="aray")
    with pytest.raises(SettingError, match=r"'vales'. Did you mean 'values'"):
        open_data(np.eye(3), options={"vales": "real"})
    with pytest.raises(SettingError, match="'values' cannot be 'reel'"):
        open_data(np.eye(3), options={"values": "reel"})
    with pytest.raises(SettingError, match=r"has the options.*'size'"):
        open_data(np.eye(3), options={"size": 3})
    assert open_data("digits", kind="array").schema.event_shape == (8, 8)
