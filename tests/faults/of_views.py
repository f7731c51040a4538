"""Faults of the report: rows shown as what they are not, and under names that are not theirs."""

from __future__ import annotations

from .plants import VERBS, Fault, edit

VIEWS = "tests/report/test_views.py::"
TABLES = "tests/report/test_tables.py::"

LIST = (
    Fault(
        "a kind without a view that is charted as columns", VERBS,
        edit("report.views.base:view_of", "return DEFAULT", 'return VIEWS["array"]'),
        (f"{VIEWS}test_a_kind_without_a_view_says_so_and_draws_none_of_its_values",),
    ),
    Fault(
        "charts of as many columns as there are", VERBS,
        edit("report.views.array.columns:charted", "n <= CHARTED", "n > 0"),
        (f"{VIEWS}test_of_thousands_of_columns_few_are_charted_and_the_page_says_so",),
    ),
    Fault(
        "charted columns under the names of the first ones", VERBS,
        edit("report.views.array.columns:column_names", 'f"column {i}" for i in at',
             'f"column {i}" for i in range(len(at))'),
        (f"{VIEWS}test_charted_columns_have_their_own_names_and_values",),
    ),
    Fault(
        "padding that is shown as values", VERBS,
        edit("report.views.array.columns:real_columns", "batch.observed", "batch.mask"),
        (f"{VIEWS}test_what_lies_behind_the_end_of_a_sequence_is_not_shown",),
    ),
    Fault(
        "means that a page calls draws", VERBS,
        edit("report.findings:measure", 'dataset.kind.shows == "draws"', 'dataset.kind.shows != ""'),
        (f"{VIEWS}test_what_samples_are_shown_as_is_the_kinds_business",),
    ),
    Fault(
        "pictures above the reconstructions of other rows", VERBS,
        edit("report.views.images:_pairs", "(shown.batch.x, shown.reconstructions)",
             "(shown.batch.x, shown.reconstructions.flip(0))"),
        (f"{VIEWS}test_pairs_of_pictures_are_a_row_and_its_own_reconstruction",),
    ),
    Fault(
        "an exact likelihood that is called a bound", VERBS,
        edit("report.headline:_likelihood", '"exact" if found.exact else', '"exact" if False else'),
        (f"{VIEWS}test_an_exact_likelihood_is_called_exact",),
    ),
    Fault(
        "a map coloured by the missing values' placeholders", VERBS,
        edit("report.views.table.colouring:of_column", "np.where(seen, codes, np.nan), texts", "codes, texts",
             "_plain(codes, seen, column))", "_plain(codes, seen | True, column))"),
        (f"{TABLES}test_the_map_is_coloured_by_any_column",),
    ),
)
