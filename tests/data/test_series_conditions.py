"""What windows are conditioned on: the calendar at their steps, further columns, and the label."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import InputError, SettingError
from senzai.data import open_data
from senzai.data.series.calendar import DAY
from senzai.data.series.seasons import phase

HOUR = DAY // 24


def frame(n=24 * 21, freq="h", zone=None, start="2024-03-01"):
    when = pd.date_range(start, periods=n, freq=freq, tz=zone)
    rng = np.random.default_rng(0)
    heat = np.cumsum(rng.normal(size=n)).round(3)
    return pd.DataFrame({"when": when, "v": rng.normal(size=n).round(3), "heat": heat, "promo": np.arange(n) % 5 == 0})


def series(data, **options):
    return open_data(data, kind="series", options={"window": 6, "columns": ("v",), **options})


def test_phases_are_those_of_pandas():
    when = pd.date_range("2023-11-17 05:30", periods=400, freq="37h")
    wall = when.as_unit("ns").asi8
    assert np.allclose(phase(wall, "hour"), (when.hour + when.minute / 60) / 24)
    assert np.allclose(phase(wall, "weekday"), when.day_of_week / 7)
    assert np.allclose(phase(wall, "month"), (when.month - 1) / 12)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_windows_carry_sine_and_cosine_of_the_season_at_each_step(zone):
    data = frame(zone=zone, start="2024-03-20")  # clocks change on the 31st
    opened = series(data, condition="hour,weekday")
    c = opened.batch(np.array([250, 270])).c.numpy().reshape(2, 4, 6)
    for row, start in zip(c, (250, 270), strict=True):
        when = pd.DatetimeIndex(data["when"])[start : start + 6]
        turn = 2 * np.pi * (when.hour / 24)
        assert np.allclose(row[0], np.sin(turn), atol=1e-6)
        assert np.allclose(row[1], np.cos(turn), atol=1e-6)
        assert np.allclose(row[2], np.sin(2 * np.pi * when.day_of_week / 7), atol=1e-6)
        assert np.allclose(row[3], np.cos(2 * np.pi * when.day_of_week / 7), atol=1e-6)


def test_the_calendar_is_what_went_round_twice_in_training_windows():
    assert series(frame(), condition="calendar").schema.condition.names == ("hour", "weekday")
    assert series(frame(24 * 9), condition="calendar").schema.condition.names == ("hour",)
    daily = series(frame(1100, "D"), condition="calendar").schema
    assert daily.condition.names == ("weekday", "month")
    assert series(frame(60, "MS"), condition="calendar").schema.condition.names == ("month",)
    alike = {"window": 24, "stride": 24, "condition": "calendar"}
    assert series(frame(), **alike).schema.condition.names == ("weekday",)  # all windows begin at the same hour


def test_columns_beside_the_values_are_standardised_by_training_steps_alone():
    data = frame()
    changed = data.copy()
    changed.loc[450:, "heat"] += 1000
    for given in (data, changed):
        opened = series(given, exogenous="heat")
        (told,) = opened.schema.details.exogenous
        seen = data["heat"][: int(opened.split_indices()["train"].max()) + 6]
        assert told.mean == pytest.approx(seen.mean())
        assert told.scale == pytest.approx(seen.std(ddof=0))
    c = series(data, exogenous="heat,promo").batch(np.array([17])).c.numpy().reshape(2, 6)
    assert np.allclose(c[0], (data["heat"][17:23] - told.mean) / told.scale, atol=1e-5)
    assert (c[1] > 0).tolist() == data["promo"][17:23].tolist()
    assert opened.schema.columns == ("v",)


def test_values_that_are_not_known_beside_are_those_before_and_said():
    data = frame()
    data.loc[[100, 101], "heat"] = np.nan
    data = data.drop(index=102)
    opened = series(data, exogenous="heat")
    (told,) = opened.schema.details.exogenous
    c = opened.batch(np.array([98])).c.numpy()[0] * told.scale + told.mean
    assert np.allclose(c, [*data["heat"][98:100], *[data["heat"][99]] * 3, data["heat"][103]], atol=1e-4)
    assert any("3 steps lack a value of heat" in reason for reason in opened.schema.reasons)


def test_all_parts_stand_side_by_side():
    data = frame().assign(regime=np.where(np.arange(504) % 50 < 25, "calm", "crisis"))
    opened = series(data, label="regime", condition="label,hour", exogenous="heat")
    schema, c = opened.schema, opened.batch(np.array([3])).c
    assert schema.condition.names == ("regime", "hour", "heat")
    assert opened.kind.widths(schema) == (2, 12, 6)
    assert c.shape == (1, schema.condition.width) == (1, 20)
    values = {"regime": ["calm"], "hour": [3], "heat": [",".join(map(str, data["heat"][3:9]))]}
    assert torch.allclose(opened.kind.encode_condition(values, schema), c, atol=1e-4)
    assert schema.condition.shares == pytest.approx([1 / len(schema.condition.values)] * len(schema.condition.values))
    alone = series(data, label="regime", condition="label")
    assert alone.batch(np.array([3])).c.tolist() == [[1.0, 0.0]]


def test_what_is_given_is_found_in_the_calendar_behind_the_data():
    opened = series(frame(), condition="calendar")
    kind, schema = opened.kind, opened.schema
    c, about = kind.placed({"weekday": "Sunday", "hour": "7:00"}, 2, schema)
    when = pd.DatetimeIndex(about["times"][0].astype("datetime64[ns]"))
    assert when[0] == pd.Timestamp("2024-03-24 07:00")  # the data end on Thursday the 21st
    assert (when[1:] - when[:-1] == pd.Timedelta("1h")).all()
    again = series(frame(24 * 30), condition="calendar")
    at = int(np.flatnonzero(frame(24 * 30)["when"] == when[0])[0])
    assert torch.allclose(c[:1], again.batch(np.array([at])).c, atol=1e-6)
    start, placed = kind.placed({"start": "2031-06-08 07:00"}, 1, schema)
    assert torch.allclose(start, c[:1], atol=1e-6)  # a Sunday as well
    assert str(placed["times"][0, 0].astype("datetime64[ns]"))[:16] == "2031-06-08T07:00"


def test_what_is_not_given_is_drawn_as_it_was_seen_together():
    data = frame()
    data["heat"] = 10.0 * (data["when"].dt.hour >= 12)
    opened = series(data, condition="hour", exogenous="heat", stride=6)
    c = opened.kind.condition({"hour": 18}, 5, opened.schema, seed=0)
    (told,) = opened.schema.details.exogenous
    assert np.allclose(c[:, 12:] * told.scale + told.mean, 10, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"condition": "minute"}, SettingError, "exogenous"),
        ({"condition": "month"}, SettingError, "begin alike"),
        ({"condition": "label"}, SettingError, "needs a label"),
        ({"exogenous": "hea"}, InputError, "Did you mean 'heat'"),
        ({"exogenous": "zzz"}, InputError, "It has when, v, heat, promo"),
        ({"exogenous": "heat", "columns": "v,heat"}, InputError, "is both"),
        ({"exogenous": "word"}, InputError, "are numbers"),
        ({"exogenous": "same"}, InputError, "at all of them"),
        ({"exogenous": "none"}, InputError, "has none"),
        ({"exogenous": "hour", "condition": "hour"}, SettingError, "two things"),
        ({"exogenous": "start", "condition": "hour"}, SettingError, "'start' is two things"),
    ],
)
def test_conditions_that_cannot_be_are_refused(options, error, words):
    data = frame().assign(word="a", same=1.0, none=np.nan, hour=np.arange(504) % 7, start=np.arange(504) % 5)
    with pytest.raises(error, match=words):
        series(data, **options)


def test_arrays_have_no_columns_beside():
    with pytest.raises(SettingError, match="no names"):
        open_data(np.zeros((4, 9, 2)), kind="series", options={"exogenous": "a"})
    with pytest.raises(SettingError, match="went round twice"):
        open_data(np.random.default_rng(0).normal(size=(4, 9, 2)), kind="series", options={"condition": "calendar"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hour": 24}, "from 0 to below 24"), ({"weekday": "funday"}, "monday"), ({"heat": "1,2"}, "each of 6 steps"),
        ({"heat": "warm"}, "one number"), ({"start": "soon"}, "2024-03-01T08:00"),
        ({"start": "9999-01-01"}, "1700 to 2200"), ({"start": "0001-01-01"}, "1700 to 2200"),
        ({"start": "2024-03-01T08:00+09:00"}, "Write it as"), ({"hour": "7:90"}, "An hour is from 0"),
        ({"start": "2024-03-01", "hour": 3}, "Leave one out"), ({"month": 3}, "conditioned on"),
    ],
)
def test_what_cannot_be_given_is_refused(given, words):
    opened = series(frame(), condition="calendar", exogenous="heat")
    with pytest.raises(SettingError, match=words):
        opened.kind.condition(given, 1, opened.schema)


def test_steps_ahead_need_what_is_known_beside():
    data = frame()
    opened = series(data, exogenous="heat", condition="hour")
    kind, schema = opened.kind, opened.schema
    with pytest.raises(SettingError, match="for 0 steps behind the last value"):
        kind.ahead(opened.source, schema, 2)
    (told,) = schema.details.exogenous

    def heat(source, schema, horizon, **more):
        rows = kind.ahead(source, schema, horizon, **more)
        return rows, rows.take(np.array([0])).c.numpy()[0, 12:] * told.scale + told.mean

    _, held = heat(opened.source, schema, 2, hold=True)
    assert np.allclose(held, [*data["heat"][-4:], *[data["heat"].iloc[-1]] * 2], atol=1e-4)
    data.loc[501:, "v"] = np.nan
    data.loc[503, "heat"] = np.nan  # not known: it is not taken for its last value
    later = open_data(data, schema=schema)
    rows, known = heat(later.source, later.schema, 2)
    assert np.allclose(known, data["heat"][497:503], atol=1e-4)
    when = data["when"][501:503].astype("datetime64[ns]").astype("int64")
    assert rows.about(np.array([0]))["times"][0, -2:].tolist() == when.tolist()
    assert rows.take(np.array([0])).mask[0, :, 0].tolist() == [True] * 4 + [False] * 2
    with pytest.raises(SettingError, match="for 2 steps behind"):
        heat(later.source, later.schema, 3)


def test_it_is_said_that_times_with_offsets_are_kept_in_utc(tmp_path):
    data = frame(200, zone="Europe/Berlin", start="2024-03-28")  # clocks change on the 31st
    data.to_csv(tmp_path / "t.csv", index=False)
    (told,) = [r for r in series(tmp_path / "t.csv").schema.reasons if "offsets" in r]
    assert "(+01:00, +02:00)" in told
    local = series(tmp_path / "t.csv", timezone="Europe/Berlin").schema
    assert not [r for r in local.reasons if "offsets" in r]
    assert local.details.calendar.zone == "Europe/Berlin"
