"""Faults in series: times, windows, their division, scaling, forecasts and measures."""

from __future__ import annotations

from .plants import BOUNDS, SCHEMA, VERBS, Fault, edit

SERIES = "tests/data/test_series.py::"
TEMPORAL = "tests/evaluation/test_temporal.py::"
RUNS = "tests/runs/test_series_runs.py::"

GIVEN = "tests/runs/test_series_given.py::"

LIST = (
    Fault(
        "forecasts that are judged by windows that trained", VERBS,
        edit("data.series.ahead:unseen", "every[begins > told.trained] if by_time", "every if by_time"),
        (f"{GIVEN}test_a_forecast_of_data_that_went_on_is_not_judged_by_windows_that_trained",),
    ),
    Fault(
        "windows of two parts that share a step", SCHEMA,
        edit("data.split:_by_time", "ascending[at] - split.span", "ascending[at] - 1"),
        (f"{SERIES}test_rows_that_cover_several_units_of_time_are_no_leak_only_when_apart",),
    ),
    Fault(
        "a shared step that nobody says", SCHEMA,
        edit("data.split:refuse_leaks", "a.max() + split.span > b.min()", "a.max() >= b.min()"),
        (f"{SERIES}test_rows_that_cover_several_units_of_time_are_no_leak_only_when_apart",),
    ),
    Fault(
        "series scaled by all of their steps", SCHEMA,
        edit("data.series.kind:SeriesKind.infer", "moments(windows, train, asked.level)",
             "moments(windows, np.arange(len(windows)), asked.level)"),
        (f"{SERIES}test_scaling_knows_the_training_windows_alone",),
    ),
    Fault(
        "a level that is the first step of the series", SCHEMA,
        edit("data.series.windows:levelled", "np.log(values / level[:, None])", "np.log(values / level[:1, None])"),
        (f"{SERIES}test_values_are_counted_from_the_start_of_their_window",),
    ),
    Fault(
        "a window that does not end with its series", SCHEMA,
        edit("data.series.windows:cut", "np.unique(np.append(np.arange(a, last + 1, stride), last))",
             "np.arange(a, last + 1, stride)"),
        (f"{SERIES}test_windows_become_the_series_again",),
    ),
    Fault(
        "days of 24 hours when clocks change", SCHEMA,
        edit("data.series.calendar:Calendar.after", "self.unwalled(self.wall(np.array([last])) + self.step * steps)",
             "np.asarray(last + self.step * steps)"),
        (f"{SERIES}test_new_local_days_keep_their_hour_when_clocks_change",),
    ),
    Fault(
        "months that end on the day of the last one", SCHEMA,
        edit("data.series.calendar:Calendar._of_months", "np.minimum(self.day, days)", "np.minimum(28, days)"),
        (f"{SERIES}test_new_windows_are_dated_as_pandas_goes_on",),
    ),
    Fault(
        "weekends with trading days", SCHEMA,
        edit("data.series.calendar:Calendar.after", "(at // DAY + 3) % 7", "(at // DAY + 4) % 7"),
        (f"{SERIES}test_new_windows_are_dated_as_pandas_goes_on",),
    ),
    Fault(
        "two frequencies taken for one", SCHEMA,
        edit("data.series.calendar:_refuse_mixed", "len(set(rules)) > 1", "False"),
        (f"{SERIES}test_bad_input_is_told_in_one_sentence_with_the_way_out",),
    ),
    Fault(
        "duplicated times that nobody says", SCHEMA,
        edit("data.series.reading:_sorted", "options.duplicates == \"error\"", "False"),
        (f"{SERIES}test_bad_input_is_told_in_one_sentence_with_the_way_out",),
    ),
    Fault(
        "missing values taken for zeros", SCHEMA,
        edit("data.series.windows:WindowRows.take", "if self._holes or told.hidden", "if told.hidden"),
        (f"{SERIES}test_missing_steps_and_values_are_masked",),
    ),
    Fault(
        "steps hidden from data that are used", SCHEMA,
        edit("data.series.kind:SeriesKind.check", '"hidden": 0, ', ""),
        (f"{SERIES}test_the_last_steps_of_every_second_window_are_hidden_in_a_fit_alone",),
    ),
    Fault(
        "observed values replaced when holes are filled", SCHEMA,
        edit("data.series.kind:SeriesKind.gather", "np.where(np.isnan(values[lines]), new, values[lines])", "new"),
        (f"{SERIES}test_holes_are_filled_from_the_window_in_whose_middle_they_lie",),
    ),
    Fault(
        "each step taken from a window that ends there", SCHEMA,
        edit("data.series.frames:best_windows", "(window, -far, line)", "(window, far, line)"),
        (f"{SERIES}test_holes_are_filled_from_the_window_in_whose_middle_they_lie",),
    ),
    Fault(
        "windows with the label of their first step", SCHEMA,
        edit("data.series.kind:SeriesKind.read", "(windows.length if windows.lengths is None else windows.lengths) - 1",
             "0"),
        (f"{SERIES}test_a_window_has_the_label_of_its_last_step",),
    ),
    Fault(
        "a forecast that sees what came", VERBS,
        edit("runs.verbs.forecast:_forecast_again", "hidden[:, -asked.horizon :] = False", "hidden[:, -1:] = False"),
        (f"{RUNS}test_a_forecast_does_not_see_what_came",),
    ),
    Fault(
        "a spread that is corrected by the windows that judge it", VERBS,
        edit("runs.verbs.forecast:forecast", "spread_factors(before.drawn, before.came,",
             "spread_factors(after.drawn, after.came,"),
        (f"{RUNS}test_the_spread_is_corrected_by_other_windows_than_those_that_judge",),
    ),
    Fault(
        "forecasts that are judged by the windows that corrected them", VERBS,
        edit("runs.verbs.forecast:forecast", "worth(after, factors", "worth(before, factors"),
        (f"{RUNS}test_the_spread_is_corrected_by_other_windows_than_those_that_judge",),
    ),
    Fault(
        "halves of intervals exchanged when they are measured", BOUNDS,
        edit("evaluation.forecasts:spread_factors", "seen > middle", "seen < middle"),
        (f"{TEMPORAL}test_draws_are_spread_until_intervals_hold_what_they_should",),
    ),
    Fault(
        "a corrected spread that moves the median", VERBS,
        edit("runs.verbs.forecast:spread", "* (drawn - middle)", "* (drawn - drawn.mean(0))"),
        (f"{RUNS}test_paths_are_spread_about_their_median_and_what_was_seen_stays",),
    ),
    Fault(
        "a naive forecast of the season before the last", BOUNDS,
        edit("evaluation.forecasts:seasonal_naive", "steps - season + np.arange(horizon) % season",
             "steps - season + np.arange(horizon) % season - 1"),
        (f"{TEMPORAL}test_the_naive_forecast_repeats_the_last_season",),
    ),
    Fault(
        "a ranked probability score that counts each draw with itself", BOUNDS,
        edit("evaluation.forecasts:crps", "(n * (n - 1))", "(n * n)"),
        (f"{TEMPORAL}test_the_score_of_draws_is_unbiased_and_that_of_one_is_the_error",),
    ),
    Fault(
        "anomalies found in part that count as found whole", BOUNDS,
        edit("evaluation.ranges:range_average_precision", "np.minimum(taken / positive, 1.0) * found / len(best)",
             "found / len(best)"),
        (f"{TEMPORAL}test_the_area_for_a_buffer_is_its_definition",),
    ),
    Fault(
        "the wave of half a step counted twice", BOUNDS,
        edit("evaluation.temporal:spectrum", "power[: (steps - 1) // 2] *= 2", "power *= 2"),
        (f"{TEMPORAL}test_the_spectrum_is_that_of_the_waves_within_a_window",),
    ),
    Fault(
        "an autocorrelation with a mean for each window", BOUNDS,
        edit("evaluation.temporal:autocorrelation", "x - np.nanmean(x, axis=(0, 1))",
             "x - np.nanmean(x, axis=1, keepdims=True)"),
        (f"{TEMPORAL}test_the_autocorrelation_of_an_autoregressive_process_is_its_power",),
    ),
)
