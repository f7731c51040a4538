"""The kind `series`: what is read, how windows are cut and divided, and the exact way back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import InputError, SettingError, ShapeError
from senzai.data import KINDS, detect_kind, open_data
from senzai.data.schema import Split
from senzai.data.split import refuse_leaks, split_indices

HOUR, DAY = 3600 * 10**9, 86_400 * 10**9


def frame(n=200, freq="h", start="2024-01-01", tz=None, seed=0, **more):
    rng = np.random.default_rng(seed)
    when = pd.date_range(start, periods=n, freq=freq, tz=tz)
    return pd.DataFrame({"when": when, "a": rng.normal(size=n).round(3), "b": rng.integers(0, 50, n), **more})


def series(data, **options):
    return open_data(data, kind="series", options={"window": 6, **options})


def steps_of(data, part):
    """(series, step) of every step that windows of a part have, by the windows' own lines."""
    windows = data.source
    lines = windows.lines(data.split_indices()[part])
    owner, times = windows.panel.owner[lines].ravel(), windows.panel.times[lines].ravel()
    return set(zip(owner.tolist(), times.tolist(), strict=True))


def long(n=80, names=("x", "y", "z"), offset=3):
    parts = [frame(n + offset * i, seed=i).drop(columns="b").assign(name=name) for i, name in enumerate(names)]
    return pd.concat(parts, ignore_index=True)


# --- who reads what -------------------------------------------------------------------------------------------------
def test_a_frame_with_an_index_of_times_and_prices_are_series():
    assert detect_kind(frame().set_index("when")) == "series"
    prices = {c: [1.0, 2.0] for c in ("Open", "High", "Low", "Close")}
    assert detect_kind(pd.DataFrame({"Date": ["2024-01-01", "2024-01-02"], **prices})) == "series"
    assert detect_kind(pd.DataFrame(prices)) == "table"  # without times they are columns like others
    assert detect_kind(frame()) == "table"
    assert detect_kind(frame(), {"window": 24}) == "series"


def test_a_first_column_of_times_is_a_hint_and_a_last_one_is_none():
    claim = KINDS["series"].claims
    when = pd.DataFrame({"Date": ["2024-01-01"], "sold": [3]})
    assert claim(when, {}).why == "its first column is called 'date'"
    assert claim(when[["sold", "Date"]], {}) is None


def test_what_was_found_is_said_before_training():
    data = series(frame(400).drop(index=range(50, 53)))
    said = " ".join(data.schema.reasons)
    for words in ("400 steps every hour", "2 columns", "from 2024-01-01 00:00:00", "3 of 400 steps are missing",
                  "They overlap", "no step is in two parts"):
        assert words in said
    for stride, words in ((1, "begin every step."), (4, "begin every 4 steps.")):
        assert words in " ".join(series(frame(100), stride=stride).schema.reasons)


@pytest.mark.parametrize(("freq", "rule", "step", "words"), [
    ("30min", "fixed", HOUR // 2, "every 30 minutes"), ("D", "fixed", DAY, "every day"),
    ("W", "fixed", 7 * DAY, "every week"),
    ("MS", "months", 1, "every month"), ("ME", "months", 1, "every month"), ("QE", "months", 3, "every quarter"),
    ("YS", "months", 12, "every year"), ("B", "stamps", DAY, "on 5 days a week"),
])
def test_the_calendar_is_found(freq, rule, step, words):
    calendar = series(frame(120, freq)).schema.details.calendar
    assert (calendar.rule, calendar.step, calendar.words) == (rule, step, words)


@pytest.mark.parametrize("freq", ["30min", "D", "W", "MS", "ME", "QE", "YS", "B"])
def test_new_windows_are_dated_as_pandas_goes_on(freq):
    data = series(frame(60, freq))
    made = data.kind.decode(data.batch([0]).x, data.schema)
    want = pd.date_range("2024-01-01", periods=66, freq=freq)[60:]
    assert made["when"].tolist() == want.tolist()


def test_a_season_is_found_where_there_is_one():
    t = np.arange(24 * 40)
    rng = np.random.default_rng(0)
    daily = pd.DataFrame({"when": pd.date_range("2024", periods=len(t), freq="h"),
                          "v": np.sin(2 * np.pi * t / 24) + 0.1 * rng.normal(size=len(t))})
    assert open_data(daily, kind="series").schema.details.season == 24
    walk = daily.assign(v=rng.normal(size=len(t)).cumsum())
    assert open_data(walk, kind="series").schema.details.season is None


# --- splits ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("data", [frame(), long()], ids=["one", "several"])
def test_no_step_is_in_two_parts(data, stride):
    data = series(data, stride=stride, **({"id": "name"} if "name" in data else {}))
    train, validation, test = (steps_of(data, p) for p in ("train", "validation", "test"))
    assert train
    assert validation
    assert test
    times = [{t for _, t in part} for part in (train, validation, test)]
    assert not times[0] & times[1]
    assert not times[1] & times[2]
    assert not times[0] & times[2]
    assert max(times[0]) < min(times[1])
    assert max(times[1]) < min(times[2])


def test_windows_divided_by_series_share_no_series():
    data = series(long(names=tuple("abcdefghij")), id="name", divide="id", test=0.2)
    owners = [{o for o, _ in steps_of(data, p)} for p in ("train", "validation", "test")]
    assert all(owners)
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]


def test_a_gap_comes_on_top_of_the_window():
    near, far = (series(frame(), gap=g) for g in (0, 10))
    ends = [[[t for _, t in steps_of(d, part)] for part in ("validation", "test")] for d in (near, far)]
    assert [min(test) - max(validation) for validation, test in ends] == [HOUR, 11 * HOUR]


def test_rows_that_cover_several_units_of_time_are_no_leak_only_when_apart():
    order, split = np.arange(30), Split(by="time", span=5)
    parts = split_indices(30, split, order=order)
    assert order[parts["train"]].max() + 5 <= order[parts["validation"]].min()
    assert order[parts["validation"]].max() + 5 <= order[parts["test"]].min()
    close = {"train": np.array([0]), "validation": np.array([4]), "test": np.array([], dtype=int)}
    with pytest.raises(InputError, match="end before"):
        refuse_leaks(close, split, order)
    refuse_leaks({**close, "validation": np.array([5])}, split, order)


# --- scaling --------------------------------------------------------------------------------------------------------
def test_scaling_knows_the_training_windows_alone():
    data = frame(300)
    first = series(data)
    after = data["when"] > pd.Timestamp(max(t for _, t in steps_of(first, "train")))
    changed = series(data.assign(a=data["a"].where(~after, 1e6)))
    assert changed.schema.details.shift == first.schema.details.shift
    assert changed.schema.details.scale == first.schema.details.scale
    train = data[~after]
    assert np.allclose(first.schema.details.shift, [train["a"].mean(), train["b"].mean()])
    assert np.allclose(first.schema.details.scale, [train["a"].std(ddof=0), train["b"].std(ddof=0)])


def test_other_data_are_scaled_as_those_of_the_model():
    first = series(frame(300))
    other = open_data(frame(40).assign(a=1000.0), schema=first.schema)
    shift, scale = first.schema.details.shift[0], first.schema.details.scale[0]
    assert other.batch([0]).x[0, :, 0].tolist() == pytest.approx([(1000 - shift) / scale] * 6, rel=1e-5)


@pytest.mark.parametrize("level", ["start", "log"])
def test_values_are_counted_from_the_start_of_their_window(level):
    data = frame(100).assign(a=lambda f: np.exp(f["a"].cumsum() / 10) * 100, b=lambda f: f["b"] + 1.0)
    opened = series(data, level=level)
    x, told = opened.batch().x.double().numpy(), opened.schema.details
    real = x * np.array(told.scale) + np.array(told.shift)
    assert np.abs(real[:, 0]).max() < 1e-5
    prices = data[["a", "b"]].to_numpy()
    want = prices[10:16] - prices[10] if level == "start" else np.log(prices[10:16] / prices[10])
    assert np.allclose(real[10], want, atol=1e-4)
    back = opened.decode(opened.batch().x, soft=True)
    assert np.allclose(back[["a", "b"]], prices, rtol=1e-5)


def test_new_windows_go_on_from_the_last_value():
    data = frame(100).assign(a=lambda f: f["a"].cumsum() + 50.0)
    opened = series(data, level="start")
    made = opened.kind.decode(opened.batch([3]).x, opened.schema, soft=True)
    assert made["a"].iloc[0] == pytest.approx(data["a"].iloc[-1], abs=1e-5)


# --- there and back -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("stride", [1, 4, 6])
@pytest.mark.parametrize("data", [
    frame(50, "h", "2024-03-30", "Europe/Berlin"), frame(50, "h", "2024-10-26", "Europe/Berlin"),
    frame(40, "D", "2024-03-20", "Europe/Berlin"), frame(40, "D", "2024-02-20"), frame(60, "MS", "2023-12-01"),
    frame(40, "ME", "2023-12-31"), frame(40, "B", "2024-02-20"), frame(40).assign(when=np.arange(40)),
], ids=["spring", "autumn", "local days", "leap day", "months", "month ends", "weekdays", "numbers"])
def test_windows_become_the_series_again(data, stride):
    opened = series(data, stride=stride)
    back = opened.decode(opened.batch().x)
    pd.testing.assert_frame_equal(back, data, check_dtype=False)
    assert str(back["b"].dtype) == "int64"
    again = series(back, stride=stride)
    assert torch.equal(again.batch().x, opened.batch().x)
    assert again.schema.details == opened.schema.details


def test_several_series_become_a_long_frame_again():
    data = long()
    opened = series(data, id="name")
    back = opened.decode(opened.batch().x)
    pd.testing.assert_frame_equal(back[["when", "a", "name"]], data, check_dtype=False)


def test_windows_keep_their_own_times_and_series():
    opened = series(long(), id="name")
    i = np.array([100, 3])
    back = opened.decode(opened.batch(i).x, about=opened.rows.about(i))
    assert back["name"].tolist() == ["y"] * 6 + ["x"] * 6
    assert back["window"].tolist() == [0] * 6 + [1] * 6
    assert back["when"].tolist()[6:] == pd.date_range("2024-01-01 03:00", periods=6, freq="h").tolist()


def test_a_csv_of_local_times_is_read_in_their_zone(tmp_path):
    data = frame(60, "h", "2024-10-26", "Europe/Berlin")
    data.assign(when=data["when"].dt.tz_localize(None)).to_csv(tmp_path / "x.csv", index=False)
    opened = series(tmp_path / "x.csv", timezone="Europe/Berlin")
    assert opened.schema.details.calendar.rule == "fixed"
    back = opened.decode(opened.batch().x)
    assert back["when"].tolist() == data["when"].tolist()


def test_a_written_file_is_read_as_the_same_series(tmp_path):
    opened = series(frame(60))
    opened.kind.write(opened.decode(opened.batch().x), tmp_path / "y.csv", opened.schema)
    again = open_data(tmp_path / "y.csv", schema=opened.schema)
    assert again.schema.fingerprint == opened.schema.fingerprint
    assert torch.equal(again.batch().x, opened.batch().x)


def test_json_goes_both_ways():
    opened = series(frame(30).set_index("when"))
    value = opened.kind.to_json(opened.decode(opened.batch().x), opened.schema)
    assert value[0] == {"when": "2024-01-01T00:00:00", "a": 0.126, "b": 42}
    again = open_data(opened.kind.from_json(value, opened.schema), schema=opened.schema)
    assert torch.equal(again.batch().x, opened.batch().x)


def test_dates_are_read_in_the_one_way_that_fits(tmp_path):
    data = frame(40, "D", "2024-01-05")
    for how in ("%d.%m.%Y", "%Y-%m-%d"):
        data.assign(when=data["when"].dt.strftime(how)).to_csv(tmp_path / "d.csv", index=False, sep=";")
        opened = series(tmp_path / "d.csv", time="when")
        assert opened.source.panel.times[0] == pd.Timestamp("2024-01-05").value
    with pytest.raises(InputError, match="can be read as"):
        series(frame(8, "D").assign(when=lambda f: f["when"].dt.strftime("%d/%m/%Y")), time="when")


# --- missing values -------------------------------------------------------------------------------------------------
def test_missing_steps_and_values_are_masked():
    data = frame(60).drop(index=[20, 21])
    data.loc[30, "a"] = np.nan
    opened = series(data)
    batch = opened.batch()
    assert batch.mask is not None
    assert opened.source.panel.values.shape == (60, 2)
    gone = ~batch.mask.numpy()
    lines = opened.source.lines(np.arange(len(opened)))
    want = np.isin(lines, [20, 21])[:, :, None] | ((lines == 30)[:, :, None] & np.array([True, False]))
    assert np.array_equal(gone, want)
    assert bool((batch.x[torch.from_numpy(want)] == 0).all())


def test_windows_without_a_value_are_none():
    data = frame(80)
    opened = series(data.drop(index=range(20, 40)))
    about = opened.rows.about(np.arange(len(opened)))
    assert len(opened) == 75 - 15
    assert not np.isin(about["place"], np.arange(20, 35)).any()


def test_holes_are_filled_from_the_window_in_whose_middle_they_lie():
    data = frame(40)
    data.loc[[10, 39], "a"] = np.nan
    opened = series(data)
    windows, part = opened.source, next(opened.kind.parts(opened.source, opened.schema, 1000))
    told = opened.schema.details
    x = torch.arange(len(windows), dtype=torch.float64).view(-1, 1, 1).expand(-1, 6, 2)  # each window says its number
    x = (x - torch.tensor(told.shift)) / torch.tensor(told.scale)
    whole = opened.kind.gather([opened.kind.fill(part, x, opened.schema)], windows, opened.schema, None)
    assert whole["a"][10] in (7.0, 8.0)
    assert whole["a"][39] == 34.0
    assert whole.drop(index=[10, 39])["a"].tolist() == data.drop(index=[10, 39])["a"].tolist()


def test_the_last_steps_of_every_second_window_are_hidden_in_a_fit_alone():
    opened = series(frame(60), horizon=2)
    hidden = ~opened.batch().mask.numpy()
    assert hidden[1::2, -2:].all()
    assert not hidden[1::2, :-2].any()
    assert not hidden[0::2].any()
    assert open_data(frame(60), schema=opened.schema).batch().mask is None


# --- arrays ---------------------------------------------------------------------------------------------------------
def test_arrays_of_labelled_series_of_different_lengths(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 9, 2))
    x[3, 5:] = np.nan
    np.savez(tmp_path / "s.npz", x=x, y=np.arange(20) % 3)
    opened = open_data(tmp_path / "s.npz", kind="series", options={"label": "y"})
    assert opened.schema.event_shape == (9, 2)
    assert opened.schema.split.by == "groups"
    batch = opened.batch()
    assert batch.lengths[3] == 5
    assert batch.y.tolist() == (np.arange(20) % 3).tolist()
    back = opened.decode(batch.x)
    there = ~np.isnan(x)
    assert np.allclose(back[there], x[there], atol=1e-5)


def test_a_window_has_the_label_of_its_last_step():
    data = frame(40).assign(regime=["calm"] * 20 + ["wild"] * 20)
    opened = series(data, label="regime")
    assert [opened.schema.label.classes[i] for i in opened.batch([14, 15]).y] == ["calm", "wild"]


# --- what cannot be used --------------------------------------------------------------------------------------------
def refused(data, error=InputError, **options):
    with pytest.raises(error) as found:
        series(data, **options)
    assert str(found.value).count(".") >= 1
    assert len(str(found.value)) > 40
    return str(found.value)


def test_bad_input_is_told_in_one_sentence_with_the_way_out():
    data = frame(60)
    assert "two times at least" in refused(data.head(1))
    assert "all of 'a' are missing" in refused(data.assign(a=np.nan))
    assert "one line for each time" in refused(pd.concat([data, data.iloc[[5]]]))
    assert "first has a step every hour and later every 2 hours" in refused(
        pd.concat([frame(40), frame(40, "2h", "2024-03-01")]))
    assert "'x' has a step every hour and 'y' every 2 hours" in refused(
        pd.concat([frame(40).assign(name="x"), frame(40, "2h").assign(name="y")]), id="name")
    assert "above 0" in refused(data.assign(a=lambda f: f["a"].where(f.index != 3, -1.0)), level="log")
    assert "infinite in line 7" in refused(data.assign(a=lambda f: f["a"].where(f.index != 7, np.inf)))
    assert "has no column 'whne'" in refused(data, time="whne")
    assert "no 'when'" in refused(data.assign(when=data["when"].where(data.index != 2)), time="when")
    assert "window=100" in refused(data, SettingError, window=100)
    assert "horizon=6" in refused(data, SettingError, horizon=6)
    assert "column of numbers" in refused(data[["when"]].assign(c="x"))


def test_a_constant_column_is_said_and_scaled_by_one():
    opened = series(frame(60).assign(a=5.0))
    assert "one value only: a" in " ".join(opened.schema.reasons)
    assert opened.schema.details.scale[0] == 1.0
    assert bool((opened.batch().x[..., 0] == 0).all())


def test_unsorted_lines_are_sorted_and_duplicates_joined_as_asked():
    data = frame(60)
    mixed = series(data.sample(frac=1, random_state=0))
    assert torch.equal(mixed.batch().x, series(data).batch().x)
    assert "sorted" in " ".join(mixed.schema.reasons)
    twice = pd.concat([data, data.iloc[[5]].assign(a=9.0)])
    first, last, mean = (series(twice, duplicates=d).source.panel.values[5, 0] for d in ("first", "last", "mean"))
    assert (first, last) == (data["a"][5], 9.0)
    assert mean == pytest.approx((first + last) / 2)


def test_other_data_must_fit_the_model():
    schema = series(frame(100)).schema
    with pytest.raises(ShapeError, match="lacks b"):
        open_data(frame(40).drop(columns="b"), schema=schema)
    with pytest.raises(ShapeError, match="step every hour"):
        open_data(frame(40, "7min"), schema=schema)
    with pytest.raises(ShapeError, match="windows of 6 steps"):
        open_data(frame(4), schema=schema)


def test_kinds_without_time_say_so():
    array = KINDS["array"]
    for ask in (lambda: array.ahead(None, None, 1), lambda: array.along(np.ones((1, 1)), None, None, name="x")):
        with pytest.raises(SettingError, match="dated series"):
            ask()
    assert array.season(None) is None


def test_new_local_days_keep_their_hour_when_clocks_change():
    """The night of 2024-03-31 has one hour less in Berlin; none of the given days is behind it."""
    opened = series(frame(30, "D", "2024-02-29 12:00", "Europe/Berlin"))
    made = opened.kind.decode(opened.batch([0]).x, opened.schema)["when"]
    assert opened.schema.details.calendar.words == "every day of local time"
    assert {t.hour for t in made} == {12}
    assert [t.day for t in made] == [30, 31, 1, 2, 3, 4]


# --- files of labelled series -----------------------------------------------------------------------------------------
HEAD = "#a remark\n@problemName x\n@timestamps false\n@univariate false\n@classLabel true a b\n@data\n"


def test_files_of_labelled_series_are_read_whole(tmp_path):
    path = tmp_path / "x.ts"
    path.write_text(HEAD + "1,2,3:4,5,6:a\n7,?:9,10:b\n" + "1,2,3:4,5,6:a\n" * 8, encoding="utf-8")
    data = open_data(path)
    assert data.schema.kind == "series"
    assert data.schema.label.classes == ("a", "b")
    batch = data.batch()
    assert batch.tensor.shape == (10, 3, 2)
    assert batch.lengths.tolist()[:3] == [3, 2, 3]
    assert batch.y.tolist()[:3] == [0, 1, 0]
    assert not bool(batch.observed[1, 1, 0])
    assert bool(batch.observed[1, 1, 1])


@pytest.mark.parametrize(("text", "said"), [
    (HEAD + "1,2:3:a\n", "line 7 .* \\[2, 1\\] values"), (HEAD + "1,x:3,4:a\n", "line 7 .*'x'"), (HEAD, "has 0 of no"),
    (HEAD + "1,2:3,4:a\n1,2:b\n", "of \\[1, 2\\] columns"), (HEAD.replace("stamps false", "stamps true"), "stamps"),
])
def test_damaged_files_of_series_are_told_by_their_line(tmp_path, text, said):
    path = tmp_path / "x.ts"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        open_data(path)
