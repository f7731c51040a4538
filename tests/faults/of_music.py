"""Faults in music, in numbers of rows, and in the search for better rows."""

from __future__ import annotations

from .plants import LIKELIHOODS, MODELS, OBJECTIVES, SCHEMA, VERBS, Fault, edit

TOKENS = "tests/distributions/test_tokens.py::"
MUSIC = "tests/data/test_music.py::"
MOLECULES = "tests/data/test_molecules.py::"
SEARCH = "tests/runs/test_optimise.py::"
BAG = "tests/objectives/test_symbols.py::"
NUMBERS = "tests/evaluation/test_numbers.py::"

LIST = (
    # --- notes --------------------------------------------------------------------------------------------------------
    Fault(
        "notes that are struck again at each step", SCHEMA,
        edit("data.music.pieces:_codes_of_voice", "codes[t] = HOLD", "codes[t] = FIRST + note.pitch"),
        (f"{MUSIC}test_symbols_are_what_they_are_by_hand",),
    ),
    Fault(
        "the lowest of notes that begin together", SCHEMA,
        edit("data.music.pieces:one_at_a_time", "-n.pitch", "n.pitch"),
        (f"{MUSIC}test_of_notes_that_begin_together_the_highest_stays_and_ends_at_the_next",),
    ),
    Fault(
        "notes that sound into a row and are lost", SCHEMA,
        edit("data.music.windows:_near", "- 1)", "- 0)"),
        (f"{MUSIC}test_a_song_that_is_cut_is_whole_again",),
    ),
    Fault(
        "notes that stay two across a border", SCHEMA,
        edit("data.music.pieces:one_after_another", "if (tie and", "if (False and"),
        (f"{MUSIC}test_a_song_that_is_cut_is_whole_again",),
    ),
    Fault(
        "windows that overlap and are laid end to end", SCHEMA,
        edit("data.music.kind:MusicKind.joined", "starts[i] >= end", "True"),
        (f"{MUSIC}test_a_song_that_is_cut_is_whole_again",),
    ),
    Fault(
        "a grid that starts with the file and not with the notes", SCHEMA,
        edit("data.music.midi:_between", "abs(turns) >= CLEAR", "False"),
        (f"{MUSIC}test_a_grid_beside_the_bars_is_moved_to_the_notes",),
    ),
    Fault(
        "every row at the first tempo", SCHEMA,
        edit("data.music.midi:Song.tempo_at", "reversed(self.tempos)", "self.tempos"),
        (f"{MUSIC}test_rows_have_the_tempo_that_holds_where_they_begin",),
    ),
    Fault(
        "windows of a song in two parts of the split", SCHEMA,
        edit("data.music.kind:_split", "return by_song if", "return whole if"),
        (f"{MUSIC}test_a_folder_becomes_rows_of_bars_and_songs_stay_together",),
    ),
    Fault(
        "syncopation of all notes off the beat", SCHEMA,
        edit("data.music.attributes:_against", "(drums or note.length > PER_QUARTER - off)", "True"),
        (f"{MUSIC}test_numbers_of_melodies_are_what_they_are_by_hand",),
    ),
    # --- the conductor ------------------------------------------------------------------------------------------------
    Fault(
        "a segment that goes on from the one before when it is drawn", LIKELIHOODS,
        edit("nn.conductor:ConductorSteps.step", "before, inside = plan, torch.tanh(self.start(plan))",
             "before = plan"),
        (f"{TOKENS}test_going_step_by_step_gives_what_teacher_forcing_gives[conductor]",),
    ),
    Fault(
        "one plan for all segments", LIKELIHOODS,
        edit("nn.conductor:ConductorSteps.step", "% self.segment == 0", "== 0"),
        (f"{TOKENS}test_going_step_by_step_gives_what_teacher_forcing_gives[conductor]",),
    ),
    # --- numbers ------------------------------------------------------------------------------------------------------
    Fault(
        "numbers standardised by test rows", SCHEMA,
        edit("data.quantities:decided", "known = column[train][np.isfinite(column[train])]",
             "known = column[np.isfinite(column)]"),
        (f"{MUSIC}test_numbers_are_conditions_standardised_by_the_training_rows",),
    ),
    Fault(
        "a number that is not known and counts as the mean", OBJECTIVES,
        edit("objectives.symbols:BagOfSymbols.further", "torch.where(known, missed**2, 0.0)", "(missed**2)"),
        (f"{BAG}test_numbers_that_are_not_known_count_nothing",),
    ),
    Fault(
        "a code that is asked for the first place everywhere", OBJECTIVES,
        edit("objectives.symbols:BagOfSymbols.further", "F.log_softmax(told, -1)", "F.log_softmax(told[:, :1], -1)"),
        (f"{BAG}test_a_code_that_is_asked_for_each_place_is_asked_for_each",),
    ),
    Fault(
        "a regression judged on the rows it was fitted to", MODELS,
        edit("evaluation.numbers:explained", "order[len(order) // 2 :]", "order[: len(order) // 2]"),
        (f"{NUMBERS}test_it_is_r2_of_the_half_that_was_not_fitted",),
    ),
    Fault(
        "fragments of the training rows alone", MODELS,
        edit("data.molecules.sets:set_figures", "cosine(fragments(ours)", "cosine(fragments(theirs)"),
        (f"{MOLECULES}test_sets_have_more_figures_and_each_is_what_it_is_by_hand",),
    ),
    # --- the search ---------------------------------------------------------------------------------------------------
    Fault(
        "a score remembered with the code it was decoded from", VERBS,
        edit("runs.verbs.optimise:Ledger.spend", "codes = self._encoded(new)", "codes = z[: len(new)].double()"),
        (f"{SEARCH}test_what_is_remembered_is_the_code_of_the_row_and_not_the_one_it_came_from",),
    ),
    Fault(
        "equal rows that are scored again", VERBS,
        edit("runs.verbs.optimise:Ledger.spend", "key not in self._seen", "True"),
        (f"{SEARCH}test_no_more_rows_are_scored_than_asked_for_and_none_twice",),
    ),
    Fault(
        "a search that spends more than it has", VERBS,
        edit("runs.verbs.optimise:Ledger.spend", "self.calls + len(new) < self.budget", "True"),
        (f"{SEARCH}test_no_more_rows_are_scored_than_asked_for_and_none_twice",),
    ),
)
