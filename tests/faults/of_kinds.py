"""Faults in schemas, kinds and the division of rows."""

from __future__ import annotations

from .plants import SCHEMA, Fault, edit

COLUMNS = "tests/data/test_columns.py::"
SPLITS = "tests/data/test_splits.py::"
EARLIER = "tests/runs/test_earlier_runs.py::"

LIST = (
    Fault(
        "a value beside a spike taken for the spike", SCHEMA,
        edit("data.table.codec:beside_the_spike", "np.where(x == column.spike_value, column.spike, apart)",
             "np.where(np.abs(x - column.spike_value) < 0.01, column.spike, apart)"),
        (f"{COLUMNS}test_values_beside_a_spike_stay_what_they_are",),
    ),
    Fault(
        "a group that is divided between parts", SCHEMA,
        edit("data.split:_by_groups", "np.isin(codes, order[taken:])", "np.isin(codes, order[taken - 1 :])"),
        (f"{SPLITS}test_groups_stay_together_whatever_they_are",),
    ),
    Fault(
        "a leak between parts that nobody says", SCHEMA,
        edit("data.split:refuse_leaks", 'split.by == "groups" and shared', "False"),
        (f"{SPLITS}test_what_cannot_be_divided_is_said",),
    ),
    Fault(
        "parts of time without their gap", SCHEMA,
        edit("data.split:_by_time", "max(0, over - split.gap)", "max(0, over)"),
        (f"{SPLITS}test_parts_of_time_follow_each_other_with_a_gap",),
    ),
    Fault(
        "equal times in two parts", SCHEMA,
        edit("data.split:refuse_leaks", "a.max() + split.span > b.min()", "a.max() + split.span > b.min() + 1"),
        (f"{SPLITS}test_equal_times_in_two_parts_are_a_leak",),
    ),
    Fault(
        "the groups of other rows", SCHEMA,
        edit("data.split:marked", '"groups": numbered_groups(values)', '"groups": numbered_groups(values[::-1])'),
        (f"{SPLITS}test_an_archive_says_the_groups_of_its_rows",),
    ),
    Fault(
        "options of earlier versions forgotten", SCHEMA,
        edit("data.former:of_before", "{**(table or {}), **(options or {})}", "{**(table or {})}"),
        (f"{EARLIER}test_a_run_of_version_0_1_gives_the_same_numbers[array]",
         f"{EARLIER}test_a_run_of_version_0_1_gives_the_same_numbers[images]"),
    ),
    Fault(
        "statistics merged as if the parts had one mean", SCHEMA,
        edit("nn.statistics:Statistics.merged", " + gap.square() * self.count * share", ""),
        ("tests/nn/test_statistics.py::test_merged_parts_are_the_whole",),
    ),
)
