"""Faults in columns: exact counts, dates as they are written, objects, identifiers, names of columns."""

from __future__ import annotations

from .plants import LIKELIHOODS, SCHEMA, Fault, edit

TRIPS = "tests/data/test_round_trips.py::"
COMES_BACK = f"{TRIPS}test_every_dtype_of_pandas_comes_back"
VALUES = f"{TRIPS}test_model_values_are_those_of_the_data"
COLUMNS = "tests/data/test_columns.py::"

LIST = (
    Fault(
        "whole numbers of 64 bits through floating point", SCHEMA,
        edit("data.table.ticks:minus", "np.asarray(ticks - origin)", "np.asarray(ticks.astype(np.float64) - origin)"),
        (f"{VALUES}[numpy-whole]",),
    ),
    Fault(
        "objects of dates without their time of day", SCHEMA,
        edit("data.table.ticks:_dates", 'if column.objects == "date" else', "if plain else"),
        (f"{COMES_BACK}[times-whole]",),
    ),
    Fault(
        "durations that forget their resolution", SCHEMA,
        edit("data.table.survey:ColumnFacts._ticks", "int(np.gcd(self.step, np.gcd.reduce(np.abs(apart))))", "1"),
        (f"{COLUMNS}test_samples_keep_the_steps_of_the_data",),
    ),
    Fault(
        "numbers that are dates taken for numbers", SCHEMA,
        edit("data.table.deciding:as_dates", "many or asked", "False and many or asked"),
        (f"{COLUMNS}test_numbers_that_are_dates_give_dates",),
    ),
    Fault(
        "identifiers that begin at the first thousand rows", SCHEMA,
        edit("data.table.identifiers:IdentifierForm.see", "max([self.greatest, *cells],",
             "max([self.greatest, *cells[:1000]],"),
        (f"{COLUMNS}test_identifiers_are_new_and_different[padded]",),
    ),
    Fault(
        "many values that repeat taken for identifiers", SCHEMA,
        edit("data.table.survey:ColumnFacts.all_different", "max(self.counts.values()) == 1", "True"),
        (f"{COLUMNS}test_many_values_that_repeat_are_no_identifiers[500]",),
    ),
    Fault(
        "categories in the order of their frequency", SCHEMA,
        edit("data.table.codec:_categorical", "list(column.categories or ())", "sorted(column.categories, key=str)"),
        (f"{COMES_BACK}[labels-whole]",),
    ),
    Fault(
        "names of columns as text", SCHEMA,
        edit("data.table.labels:restored", "if table.labels is None:", "if True:"),
        (f"{TRIPS}test_columns_and_rows_are_called_as_they_were[levels]",),
    ),
    Fault(
        "offsets from UTC that are dropped", SCHEMA,
        edit("data.table.dates:write", "times = times + pd.Timedelta(minutes=minutes)", "pass"),
        (f"{VALUES}[times-whole]",),
    ),
    Fault(
        "a spike that its neighbours' density gives", LIKELIHOODS,
        edit("distributions.inflated:inflated_log_prob", "torch.where(discrete, there, own)", "there"),
        ("tests/distributions/test_mixed.py::test_a_value_has_a_probability_of_its_own",),
    ),
    Fault(
        "a spike that is never drawn", LIKELIHOODS,
        edit("distributions.inflated:Inflated.from_noise", "u < torch.sigmoid(self.gate)", "u < 0"),
        ("tests/distributions/test_mixed.py::test_a_spike_is_drawn_as_often_as_it_should_be_and_starts_at_its_share",),
    ),
    Fault(
        "a rest that starts with the spike in it", LIKELIHOODS,
        edit("distributions.mixed:MixedFamily._start_spiked", "weight * ~there)", "weight)"),
        ("tests/distributions/test_mixed.py::test_a_spike_is_drawn_as_often_as_it_should_be_and_starts_at_its_share",),
    ),
    Fault(
        "JSON with six digits", SCHEMA,
        edit("data.frame_files:_json_cell", "json.dumps(plain,",
             "json.dumps(round(plain, 6) if isinstance(plain, float) else plain,"),
        (f"{TRIPS}test_every_value_of_a_plain_file_comes_back[.jsonl]",),
    ),
)
