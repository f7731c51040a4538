"""The kind multimodal: each modality by its own kind, any of them missing, and the exact way back."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from senzai.core.errors import InputError, SettingError, UserError
from senzai.data import KINDS, Schema, detect_kind, open_data

WORDS = ("a red box", "a blue ball", "a red ball", "a blue box")
HELD = {"validation": 0, "test": 0}


def shade(i: int) -> int:
    return 255 - 40 * (i % 4) - i


@pytest.fixture
def shop(tmp_path):
    """A table with pictures, sentences, numbers and categories, of which some are missing."""
    (tmp_path / "photos").mkdir()
    rows = []
    for i in range(24):
        pixels = np.full((6, 5), shade(i), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
        rows.append({
            "price": i / 4 if (i + 1) % 7 else None, "photo": f"photos/{i}.png" if i % 5 else None,
            "title": WORDS[i % 4] if i % 3 else None, "colour": "red" if i % 2 else "blue",
        })
    path = tmp_path / "shop.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def opened(source, **options):
    return open_data(source, kind="multimodal", options={**HELD, **options})


# --- tables -----------------------------------------------------------------------------------------------------------
def test_a_table_that_names_pictures_is_recognised_and_any_other_is_a_table(shop, tmp_path):
    assert detect_kind(shop) == "multimodal"
    assert detect_kind(pd.read_csv(shop)) == "table"  # paths are relative to the table, which is not here
    plain = tmp_path / "plain.csv"
    pd.read_csv(shop).drop(columns="photo").to_csv(plain, index=False)
    assert detect_kind(plain) == "table"
    assert detect_kind(plain, {"sentences": "title"}) == "multimodal"
    assert detect_kind(plain, {"modalities.title": "text"}) == "multimodal"


def test_every_column_goes_to_the_kind_that_reads_it(shop):
    data = opened(shop, sentences="title")
    assert {m.name: (m.schema_.kind, m.lacking) for m in data.schema.details.modalities} == {
        "title": ("text", 8), "photo": ("images", 5), "table": ("table", 0),
    }
    batch = data.batch()
    shapes = {n: tuple(x.shape) for n, x in batch.x.items()}
    assert shapes == {"title": (24, 4), "photo": (24, 1, 6, 5), "table": (24, 2)}
    assert batch.present["title"].tolist() == [bool(i % 3) for i in range(24)]
    assert batch.present["photo"].tolist() == [bool(i % 5) for i in range(24)]
    assert "table" not in batch.present
    assert batch.mask["table"][:, 0].tolist() == [bool((i + 1) % 7) for i in range(24)]
    assert batch.x["photo"][7].unique().tolist() == [shade(7)]


def test_rows_come_back_as_they_were(shop):
    data = opened(shop, sentences="title")
    back, table = data.decode(data.batch().x), pd.read_csv(shop)
    assert back.columns.tolist() == table.columns.tolist()
    for i in range(24):
        if i % 3:
            assert back.title[i] == table.title[i]
        if i % 5:
            assert back.photo[i].shape == (6, 5)
            assert (back.photo[i] == shade(i)).all()
    there = table.price.notna()
    assert np.allclose(back.price[there], table.price[there])
    assert back.colour.tolist() == table.colour.tolist()


def test_a_table_is_written_with_the_files_that_it_names_and_read_again(shop, tmp_path):
    data = opened(shop, sentences="title")
    frame = data.decode(data.batch().x)
    (tmp_path / "out").mkdir()
    data.kind.write(frame, tmp_path / "out" / "new.csv", data.schema)
    again = open_data(tmp_path / "out" / "new.csv", schema=data.schema)
    assert pd.read_csv(tmp_path / "out" / "new.csv").photo[3] == "new_photo/000003.png"
    assert again.batch().present is None
    assert bool((again.batch().x["photo"] == data.batch().x["photo"]).all())
    assert bool((again.batch().x["title"] == data.batch().x["title"]).all())


def test_later_data_are_read_by_the_decisions_of_the_model_and_may_lack_a_column(shop, tmp_path):
    data = opened(shop, sentences="title")
    part = tmp_path / "part.csv"
    pd.read_csv(shop).loc[[1, 2, 4], ["title"]].to_csv(part, index=False)
    batch = open_data(part, schema=data.schema).batch()
    assert batch.x["photo"].shape == (3, 1, 6, 5)
    assert not batch.present["photo"].any()
    assert not batch.present["table"].any()
    assert bool((batch.x["title"] == data.batch([1, 2, 4]).x["title"]).all())
    assert Schema.model_validate_json(data.schema.model_dump_json()) == data.schema


def test_words_are_learned_from_training_rows_alone(shop):
    table = pd.read_csv(shop)
    options = {"sentences": "title", "validation": 0.25, "test": 0.25, "each.title.least": 1}
    held = open_data(shop, options=options)
    parts = held.split_indices()
    table.loc[parts["test"], "title"] = "never seen before"
    table.to_csv(shop, index=False)
    symbols = open_data(shop, options=options).schema.details.modalities[0].schema_.details.symbols
    assert not any("never" in s for s in symbols)


def test_a_label_and_groups_are_no_modality(shop):
    data = open_data(shop, options={"sentences": "title", "label": "colour"})
    assert data.schema.label.classes == ("blue", "red")
    assert data.decode(data.batch().x).columns.tolist() == ["price", "photo", "title"]
    table = pd.read_csv(shop).assign(shelf=np.arange(24) // 3)
    table.to_csv(shop, index=False)
    divided = open_data(shop, options={"sentences": "title", "groups": "shelf"})
    assert divided.rows.groups.tolist() == (np.arange(24) // 3).tolist()
    assert "shelf" not in divided.schema.details.columns


def test_columns_that_nothing_is_learned_from_are_left_out_and_said(tmp_path, shop):
    table = pd.read_csv(shop)[["photo", "title"]].assign(number=[f"no-{i}" for i in range(24)])
    table.loc[0, ["photo", "title"]] = ["photos/0.png", "a red box"]
    table.loc[15, "title"] = "a red box"
    table.to_csv(shop, index=False)
    data = opened(shop, sentences="title")
    assert [m.name for m in data.schema.details.modalities] == ["title", "photo"]
    assert any("Nothing is learned from number" in reason for reason in data.schema.reasons)


# --- dictionaries -----------------------------------------------------------------------------------------------------
def test_views_of_the_same_rows(tmp_path):
    views = {
        "a": np.array([[0.5, 2.0], [np.nan, np.nan], [1.0, 3.5], [0.0, 1.0]]), "b": ["one two", None, "two", "one"],
        "c": pd.DataFrame({"n": [1.5, 2.5, None, 0.5], "s": ["x", "y", None, "x"]}),
    }
    with pytest.raises(InputError, match=r"row 1 \(from 0\) has none of them"):
        opened({k: views[k] for k in "ab"}, **{"each.b.least": 1})
    data = opened(views, **{"each.b.least": 1})
    batch = data.batch()
    assert {n: p.tolist() for n, p in batch.present.items()} == {
        "a": [True, False, True, True], "b": [True, False, True, True], "c": [True, True, False, True],
    }
    back = data.decode(batch.x)
    assert set(back) == {"a", "b", "c"}
    assert back["a"][0].tolist() == [0.5, 2.0]
    assert back["b"][2] == "two"
    assert back["c"].n[1] == 2.5


def test_frames_with_a_key_are_joined_by_it():
    left = pd.DataFrame({"who": ["x", "y", "z"], "age": [1.0, 2.5, 3.0]})
    right = pd.DataFrame({"who": ["z", "w", "x"], "size": [30.5, 40.0, 10.0]})
    data = opened({"left": left, "right": right}, key_column="who")
    batch = data.batch()
    assert {n: p.tolist() for n, p in batch.present.items()} == {
        "left": [True, True, True, False], "right": [True, False, True, True],
    }
    back = data.decode(batch.x)
    assert back["right"]["size"][[0, 2, 3]].tolist() == pytest.approx([10.0, 30.5, 40.0])


def test_an_archive_of_arrays_is_a_dictionary(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "views.npz", a=rng.normal(size=(9, 3)), b=rng.normal(size=(9, 2)))
    data = opened(tmp_path / "views.npz")
    assert {n: f.shape for n, f in data.schema.fields.items()} == {"a": (3,), "b": (2,)}
    data.kind.write(data.decode(data.batch().x), tmp_path / "new.npz", data.schema)
    with np.load(tmp_path / "new.npz") as again, np.load(tmp_path / "views.npz") as first:
        assert np.allclose(again["a"], first["a"])


# --- plain values -----------------------------------------------------------------------------------------------------
def test_rows_go_through_json_and_null_is_a_modality_that_a_row_lacks(shop):
    data = opened(shop, sentences="title")
    rows = json.loads(json.dumps(data.kind.to_json(data.decode(data.batch().x), data.schema)))
    assert set(rows) == {"title", "photo", "table"}
    rows["photo"][2] = None
    again = open_data(data.kind.from_json(rows, data.schema), schema=data.schema)
    assert again.batch().present["photo"].tolist() == [i != 2 for i in range(24)]
    assert bool((again.batch([3]).x["photo"] == data.batch([3]).x["photo"]).all())


def test_a_table_of_a_stranger_reads_no_files(shop):
    data = opened(shop, sentences="title")
    with pytest.raises(InputError, match="name files, which nobody reads here"):
        data.kind.need_small(shop, data.schema, rows=100, pixels=100)
    data.kind.need_small({"title": ["a"]}, data.schema, rows=100, pixels=100)


# --- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("options", "error", "says"), [
    ({"sentences": "titel"}, InputError, "has no column 'titel'. Did you mean 'title'"),
    ({"modalities": {"title": "volume"}}, SettingError, "'title' was to be 'volume'"),
    ({"pictures": "title"}, InputError, "names files relative to"),
    ({"label": "kolor"}, InputError, "'kolor' is none"),
])
def test_what_a_table_does_not_have_is_said(shop, options, error, says):
    with pytest.raises(error, match=says.replace("(", r"\(")):
        opened(shop, **options)


@pytest.mark.parametrize(("views", "options", "says"), [
    ({"a": np.zeros((3, 2)), "b": np.zeros((2, 2))}, {}, "they have a 3, b 2 of them"),
    ({"a": np.zeros((3, 2)), "b": [None, None, None]}, {}, "'b' is missing in all of them"),
    ({"a": np.zeros((3, 2))}, {"key_column": "id"}, "every view is a frame that has it, but 'a' is none"),
    ({"a": pd.DataFrame({"id": [1, 1], "x": [0.5, 1.5]})}, {"key_column": "id"}, "has 'id' twice"),
    ({}, {}, "has an entry for each, but got none"),
    (7, {}, "come as a table or as a dictionary"),
])
def test_what_is_no_set_of_views_is_refused(views, options, says):
    with pytest.raises(UserError, match=says):
        opened(views, **options)


def test_a_picture_of_another_size_is_refused_by_its_kind(shop, tmp_path):
    data = opened(shop, sentences="title")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "photos" / "1.png")
    with pytest.raises(UserError, match="9"):
        open_data(shop, schema=data.schema)


def test_the_proposal_joins_those_of_the_kinds_and_says_how_modalities_weigh(shop):
    data = opened(shop, sentences="title")
    found = data.propose()
    assert found.recipe == "mopoe"
    assert {n: m.proposal.likelihood.name for n, m in found.modalities.items()} == {
        "title": "recurrent_tokens", "photo": "discretised_logistic", "table": "mixed",
    }
    assert "weighs by one over its entries" in found.reason
    many = opened({str(i): np.random.default_rng(i).normal(size=(6, 2)) for i in range(5)})
    assert many.propose().recipe == "mvtcae"
    assert KINDS["multimodal"].keeps_rows(data.schema, in_memory=True) is False
