"""Settings as typed and as written in files; documents without NaN."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from senzai import SettingError
from senzai.apps.cli.output import finite
from senzai.apps.cli.settings import parse_set, read_config


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lr=1e-3", 0.001), ("steps=20", 20), ("compile=true", True), ("ema=null", None),
        ("hidden=[300,300]", [300, 300]), ("hidden=300,300", [300, 300]), ("hidden=300,", [300]),
        ("prior=mixture", "mixture"), ("size=32x48", "32x48"),
        ('label="1"', "1"), ("lr=NaN", "NaN"), ("x = 2 ", 2), ("text=a=b", "a=b"), ("lr=-Infinity", "-Infinity"),
    ],
)
def test_values_are_read_as_what_they_are(text, value):
    (found,) = parse_set([text]).values()
    assert found == value
    assert type(found) is type(value)


def test_the_last_of_several_wins():
    assert parse_set(["lr=1", "lr=2", "prior.k=3"]) == {"lr": 2, "prior.k": 3}


@pytest.mark.parametrize("text", ["lr", "=3", "lr=", "", "a b=3", "3=3", "prior.=2", ".x=1", "lr:3"])
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(SettingError, match="key=value"):
        parse_set(["steps=3", text])


def test_tables_become_dotted_names(tmp_path):
    file = tmp_path / "fit.toml"
    top = 'out = "runs/x"\nkind = "array"\nhidden = [8, 8]\n'
    file.write_text(top + '[warmup]\nsteps = 3\n[prior]\nname = "mixture"\nk = 2\n')
    top, settings = read_config(file)
    assert top == {"out": "runs/x", "kind": "array"}
    assert settings == {"hidden": [8, 8], "warmup.steps": 3, "prior": "mixture", "prior.k": 2}


@pytest.mark.parametrize("text", [b"lr = ", b"\xff\xfe\x00", b"recipe = 3", b"[out]\na = 1"])
def test_a_config_that_is_none_is_named(tmp_path, text):
    file = tmp_path / "bad.toml"
    file.write_bytes(text)
    with pytest.raises(SettingError, match=r"bad\.toml"):
        read_config(file)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"none\.toml.*No such file"):
        read_config(tmp_path / "none.toml")


def test_numbers_without_a_json_form_become_null_and_are_named():
    found = finite({
        "a": math.nan, "b": {"c": [1.0, math.inf]}, "n": np.int64(3), "x": np.array([1.5, -np.inf]), "ok": True,
        "path": pytest, "notes": ["before"],
    })
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["b"] == {"c": [1.0, None]}
    assert (found["n"], found["x"], found["ok"]) == (3, [1.5, None], True)
    assert found["notes"] == ["before", "a is nan", "b.c.1 is inf", "x.1 is -inf"]


def test_a_name_is_given_one_value():
    from senzai.apps.cli.settings import parse_given

    assert parse_given(["hour=7", "promo=1", "hour=7"]) == {"hour": "7", "promo": "1"}
    with pytest.raises(SettingError, match=r"hour=7 and hour=8\. Leave one out"):
        parse_given(["hour=7", "hour=8"])
