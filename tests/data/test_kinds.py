"""What kinds answer: how sure they are of a source, plain values in and out, and what they know of their data."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from senzai.core.errors import InputError, SettingError
from senzai.data import KINDS, Claim, Field, Schema, detect_kind, open_data
from senzai.data.images.details import ImageDetails

R = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "age": [30, 41, None, 28] * 5, "city": ["Ulm", "Bonn", None, "Köln"] * 5,
    "day": pd.to_datetime(["2024-01-02", "2024-03-04", "2024-05-06", "2024-07-08"] * 5),
    "x": R.normal(size=20).round(3),
})


class Lines(type(KINDS["array"]).__mro__[1]):
    """A kind that could also read tables, made for one test."""

    name, title, suffixes, options = "lines", "lines of text", (".csv",), KINDS["array"].options

    def __init__(self, confidence):
        self.confidence = confidence

    def claims(self, source, options):
        return Claim(self.confidence, "each row has a text") if str(source).endswith(".csv") else None

    def read(self, source, options, schema=None): ...
    def infer(self, opened, options): ...
    def check(self, opened, schema, options): ...
    def rows(self, opened, schema): ...
    def decode(self, x, schema, *, about=None, soft=False): ...
    def write(self, decoded, path, schema): ...
    def propose(self, schema): ...


def test_others_that_are_nearly_as_sure_are_named_and_a_tie_is_an_error(tmp_path, monkeypatch):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setitem(KINDS, "lines", Lines(0.6))
    data = open_data(tmp_path / "t.csv")
    assert data.schema.kind == "table"
    assert "it could also be lines (each row has a text)" in data.schema.reasons[0]
    monkeypatch.setitem(KINDS, "lines", Lines(0.79))
    with pytest.raises(InputError, match=r"could be table \(because .*\) or lines .*kind="):
        open_data(tmp_path / "t.csv")
    assert open_data(tmp_path / "t.csv", kind="table").schema.kind == "table"
    monkeypatch.setitem(KINDS, "lines", Lines(0.95))
    assert detect_kind(tmp_path / "t.csv") == "lines"


@pytest.mark.parametrize("suffix", [".psd", ".blend", ".docx"])
def test_a_folder_without_pictures_is_no_folder_of_pictures(tmp_path, suffix):
    for i in range(3):
        (tmp_path / f"{i}{suffix}").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=rf"holds \{suffix} \(3\)"):
        detect_kind(tmp_path)
    (tmp_path / "deep").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "deep" / "a.png")
    assert detect_kind(tmp_path) == "images"


def test_a_table_goes_through_json_as_records():
    data = open_data(FRAME)
    text = json.dumps(data.kind.to_json(FRAME, data.schema))
    assert json.loads(text)[1]["city"] == "Bonn"
    assert json.loads(text)[2]["age"] is None
    again = open_data(data.kind.from_json(json.loads(text), data.schema), schema=data.schema)
    assert (again.batch().tensor == data.batch().tensor)[data.batch().mask].all()
    assert (again.batch().mask == data.batch().mask).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pictures_go_through_json_as_files(dtype):
    top = {"uint8": 255, "uint16": 4095, "float32": 1}[dtype]
    pictures = (R.integers(0, top + 1, (4, 9, 7)) if top > 1 else R.integers(0, 256, (4, 9, 7)) / 255).astype(dtype)
    data = open_data(pictures, kind="images")
    found = json.loads(json.dumps(data.kind.to_json(pictures, data.schema)))
    assert isinstance(found[0], str)
    again = open_data(data.kind.from_json(found, data.schema), schema=data.schema)
    assert (again.batch().tensor == data.batch().tensor).all()
    with pytest.raises(InputError, match="picture 1 does not"):
        data.kind.from_json([found[0], "no picture!"], data.schema)


def test_numbers_go_through_json_as_lists():
    x = R.normal(size=(5, 3))
    data = open_data(x)
    again = data.kind.from_json(json.loads(json.dumps(data.kind.to_json(x, data.schema))), data.schema)
    assert (open_data(again, schema=data.schema).batch().tensor == data.batch().tensor).all()


def test_details_are_typed_and_nobody_elses(tmp_path):
    schema = open_data(R.integers(0, 256, (4, 9, 7)).astype(np.uint8)).schema
    assert isinstance(schema.details, ImageDetails)
    again = Schema.model_validate_json(schema.model_dump_json())
    assert again == schema
    assert type(again.details) is ImageDetails
    with pytest.raises(ValueError, match="colour_of_the_sky"):
        Schema.model_validate({**schema.model_dump(), "details": {"colour_of_the_sky": "blue"}})
    assert [a.name for a in schema.field.axes] == ["channel", "height", "width"]


def test_a_schema_of_several_fields_has_no_single_shape():
    fields = {"picture": Field.of((1, 8, 8), "unit"), "words": Field.of((12,), "category", n_levels=50)}
    schema = Schema(kind="captions", fields=fields, dtype="mixed", n_rows=3)
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
    assert schema.size == 76
    with pytest.raises(TypeError, match="picture, words"):
        _ = schema.event_shape


def test_kinds_without_features_say_so():
    data = open_data(R.normal(size=(30, 3)))
    with pytest.raises(SettingError, match="follow from conditions alone"):
        data.kind.evidence({"a": 1}, data.schema)
    with pytest.raises(SettingError, match="tables and arrays"):
        list(data.kind.parts(object(), data.schema, 3))
    assert data.kind.renumbered("rows", data.schema, 5) == "rows"
    assert data.kind.assets(data.schema) == {}
