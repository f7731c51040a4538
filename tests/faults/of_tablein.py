"""Faults in reading tables: options, encodings, headers, codes, written numbers, exact cells, labels, addresses."""

from __future__ import annotations

from .plants import SCHEMA, VERBS, Fault, edit

TEXTS = "tests/data/test_text_tables.py::"
CELLS = "tests/data/test_exact_cells.py::"
READING = "tests/runs/test_reading.py::"
AS_FIT = f"{READING}test_every_verb_reads_as_fit_did"

LIST = (
    Fault(
        "reading options that are forgotten after training", VERBS,
        edit("data.open:as_before", "{**schema.reading, **options}", "dict(options)"),
        (f"{AS_FIT}[sheet]", f"{AS_FIT}[encoding]"),
    ),
    Fault(
        "a sheet's number before its name", SCHEMA,
        edit("data.table.files:_sheet", "if str(asked) in names:", "if isinstance(asked, str) and asked in names:"),
        (f"{AS_FIT}[sheet by a number that is a name]",),
    ),
    Fault(
        "another sheet of a file taken for the training data", SCHEMA,
        edit("data.table.inference:fingerprint_of", "hashlib.sha256(part.encode())", "hashlib.sha256()"),
        (f"{READING}test_other_data_are_read_by_options_of_their_own",),
    ),
    Fault(
        "a password that is kept", SCHEMA,
        edit("data.table.databases:without_password", 'f"{HIDDEN}@{place}" if place != rest else place', "rest"),
        (f"{READING}test_a_run_says_how_to_give_a_password_again",),
    ),
    Fault(
        "names that take one line", SCHEMA,
        edit("data.table.csvs:_lines_of_names", "int(reader.line_num)", "1"),
        (f"{TEXTS}test_names_take_the_lines_they_take",),
    ),
    Fault(
        "every language a western one", SCHEMA,
        edit("data.encodings:encoding_of", "enumerate(ranked)", "enumerate(ranked[:0])"),
        (f"{TEXTS}test_the_encoding_is_found_and_said",),
    ),
    Fault(
        "an encoding guessed from two words", SCHEMA,
        edit("data.encodings:_refuse_as_likely", "if ahead or", "if True or"),
        (f"{TEXTS}test_an_encoding_that_is_not_clear_is_refused_and_can_be_named",),
    ),
    Fault(
        "Namibia as a missing value", SCHEMA,
        edit("data.table.texts:Reading.chosen", "len(countries) > FEW_COUNTRIES", "len(countries) > 300"),
        (f"{TEXTS}test_na_is_namibia_among_codes_of_countries",),
    ),
    Fault(
        "pairs taken for decimals", SCHEMA,
        edit("data.table.amounts:settled", "not form.thousands and not comma", "not form.thousands and False"),
        (f"{TEXTS}test_pairs_in_a_table_with_commas_are_no_decimals",),
    ),
    Fault(
        "written numbers with as many decimals as they need", SCHEMA,
        edit("runtime.numbers:written", "form.places if form.places is not None else decimals", "decimals"),
        (f"{TEXTS}test_numbers_are_read_and_written_back_as_they_were",),
    ),
    Fault(
        "whole numbers with holes through floating point", SCHEMA,
        edit("data.table.exact:framed", "cells.null_count and", "cells.null_count < 0 and"),
        (f"{CELLS}test_whole_numbers_with_holes_keep_every_digit",),
    ),
    Fault(
        "decimals that come back as Python objects", SCHEMA,
        edit("data.table.exact:framed", "elif types.is_decimal(cells.type):", "elif False:"),
        (f"{CELLS}test_decimals_are_modelled_as_numbers_and_come_back_as_decimals",),
    ),
    Fault(
        "ten decimals in JSON", SCHEMA,
        edit("data.frame_files:_json_cell", "json.dumps(plain,",
             "json.dumps(round(plain, 10) if isinstance(plain, float) else plain,"),
        (f"{CELLS}test_numbers_in_json_lines_come_back_to_the_last_digit",),
    ),
    Fault(
        "Excel's text NA as a hole among texts", SCHEMA,
        edit("data.table.files:_typed", "texts.MISSING if plain else ()", "texts.MISSING"),
        (f"{CELLS}test_excel_keeps_text_as_text",),
    ),
    Fault(
        "times in Excel without their zone", SCHEMA,
        edit("data.frame_files:excel_cell", "return plain.isoformat()",
             "return plain.tz_localize(None).to_pydatetime()"),
        (f"{CELLS}test_times_with_a_zone_do_not_shift_through_excel",),
    ),
    Fault(
        "a streamed table without its label", SCHEMA,
        edit(
            "data.table.kind:TableKind.read",
            "wanted is not None:", "wanted is not None and found.whole is not None:",
        ),
        (f"{READING}test_a_label_means_the_same_everywhere",),
    ),
    Fault(
        "a word for no label taken for a class", SCHEMA,
        edit("data.deciding:label_of", "opened.label_name, options.unlabelled", "opened.label_name"),
        (f"{READING}test_a_label_means_the_same_everywhere",),
    ),
)
