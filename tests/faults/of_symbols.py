"""Faults in rows of symbols: what a step is told, where a row ends, what is learned from which rows."""

from __future__ import annotations

from .plants import LIKELIHOODS, MODELS, OBJECTIVES, SCHEMA, Fault, edit

TOKENS = "tests/distributions/test_tokens.py::"
TEXT = "tests/data/test_text.py::"
MOLECULES = "tests/data/test_molecules.py::"
RUNS = "tests/runs/test_texts.py::"
BAG = "tests/objectives/test_symbols.py::"

LIST = (
    Fault(
        "rows of nothing that are drawn but not scored", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence._decode", "self.nonempty and t == 0", "False"),
        ("tests/distributions/test_tokens.py::"
         "test_rows_that_are_never_empty_share_the_probability_of_the_empty_one[recurrent]",),
    ),
    Fault(
        "rows of nothing that are not drawn but have a probability", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence.terms", "if self.nonempty:", "if False:"),
        ("tests/distributions/test_tokens.py::"
         "test_rows_that_are_never_empty_share_the_probability_of_the_empty_one[recurrent]",),
    ),
    # --- scoring ------------------------------------------------------------------------------------------------------
    Fault(
        "a step that is told its own symbol", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence.terms",
             "torch.cat([seen.new_full((len(seen), 1), END), seen[:, :-1]], 1)", "seen"),
        (f"{TOKENS}test_the_probabilities_of_all_rows_up_to_a_length_add_up_to_one[recurrent]",
         f"{TOKENS}test_a_symbol_is_told_those_before_it_and_none_after_it[transformer]"),
    ),
    Fault(
        "symbols behind the end that count", LIKELIHOODS,
        edit("distributions.tokens:TokenPrefix.terms", "self.lengths", "None"),
        (f"{TOKENS}test_the_first_steps_are_scored_whatever_stands_behind_them[recurrent]",),
    ),
    Fault(
        "a row that goes on behind its end for nothing", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence.terms", 'float("-inf")', "0.0"),
        (f"{TOKENS}test_nothing_but_ends_comes_after_the_end[recurrent]",),
    ),
    Fault(
        "a code that is told at the first step alone", MODELS,
        edit("nn.tokens:RecurrentSteps.states", "told = context.unsqueeze(1)",
             "told = (torch.arange(previous.shape[1]) == 0).view(1, -1, 1) * context.unsqueeze(1)"),
        (f"{TOKENS}test_going_step_by_step_gives_what_teacher_forcing_gives[recurrent]",),
    ),
    Fault(
        "a transformer that looks ahead", MODELS,
        edit("nn.tokens:TransformerSteps.states", "causal=True", "causal=False"),
        (f"{TOKENS}test_a_symbol_is_told_those_before_it_and_none_after_it[transformer]",),
    ),
    Fault(
        "a start that may be hidden", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence._hidden", "hidden[:, 0] = False", "pass"),
        (f"{TOKENS}test_hidden_symbols_change_the_score_but_not_the_first_step[recurrent]",),
    ),
    # --- drawing ------------------------------------------------------------------------------------------------------
    Fault(
        "rows that go on after their end", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence._decode",
             "torch.where(ended, END, choose(logits))",
             "choose(logits)"),
        (f"{TOKENS}test_draws_have_the_frequencies_of_the_probabilities[recurrent]",),
    ),
    Fault(
        "draws that depend on the rows beside", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence.draw_with", "row_dim=len(shape)", "row_dim=len(shape) + 1"),
        (f"{TOKENS}test_a_rows_draw_does_not_depend_on_the_rows_beside_it[recurrent]",),
    ),
    Fault(
        "a nucleus without the symbol that reaches it", LIKELIHOODS,
        edit("distributions.tokens:Decoding.adjusted", "before >= self.top_p", "before + ordered.exp() > self.top_p"),
        (f"{TOKENS}test_top_p_keeps_the_fewest_symbols_that_reach_it",),
    ),
    Fault(
        "beams that go on from another row", LIKELIHOODS,
        edit("distributions.tokens:beam_search", "(offset + best // size)", "(best // size)"),
        (f"{TOKENS}test_a_beam_keeps_the_row_that_it_belongs_to[recurrent]",),
    ),
    Fault(
        "a beam that may be worse than greedy", LIKELIHOODS,
        edit("distributions.tokens:TokenSequence._likelier", "torch.where(better.reshape(-1, 1), b, a)", "a"),
        (f"{TOKENS}test_a_beam_is_never_worse_than_the_greedy_row_and_a_wide_one_finds_the_best[recurrent-27]",),
    ),
    # --- texts --------------------------------------------------------------------------------------------------------
    Fault(
        "test rows in the vocabulary", SCHEMA,
        edit("data.text.kind:TextKind.infer", "[opened.data[i] for i in train]", "opened.data"),
        (f"{TEXT}test_symbols_are_learned_from_training_rows_alone",),
    ),
    Fault(
        "rows without their end", SCHEMA,
        edit("data.symbols:symbol_rows", "min(len(codes), most) + 1", "min(len(codes), most)"),
        (f"{TEXT}test_rows_end_with_the_end_and_lengths_count_it",),
    ),
    Fault(
        "texts that are cut without a word", SCHEMA,
        edit("data.symbols:length_words", "n > most", "n > 10**9"),
        (f"{TEXT}test_longer_texts_are_cut_and_counted",),
    ),
    # --- molecules ----------------------------------------------------------------------------------------------------
    Fault(
        "test rows in the alphabet", SCHEMA,
        edit("data.molecules.kind:MoleculeKind.infer", "for i in train for s", "for i in range(len(symbols)) for s"),
        (f"{MOLECULES}test_symbols_are_learned_from_training_rows_alone",),
    ),
    Fault(
        "bad rows that are left out without a word", SCHEMA,
        edit("data.molecules.kind:_left_out", "if not bad:", "if True:"),
        (f"{MOLECULES}test_what_is_no_molecule_is_left_out_of_a_fit_and_refused_later",),
    ),
    Fault(
        "bad rows that shift all others", SCHEMA,
        edit("data.molecules.kind:MoleculeKind.read", "schema is not None and not own", "False"),
        (f"{MOLECULES}test_what_is_no_molecule_is_left_out_of_a_fit_and_refused_later",),
    ),
    Fault(
        "a diversity that compares molecules with themselves", MODELS,
        edit("data.molecules.sets:set_figures", "(near.sum() - len(some))", "near.sum()"),
        (f"{MOLECULES}test_sets_are_compared_as_they_are_by_hand",),
    ),
    # --- measured -----------------------------------------------------------------------------------------------------
    Fault(
        "codes that are exchanged for themselves", MODELS,
        edit("evaluation.code_use:exchanged_codes", "order.roll(1)", "order"),
        (f"{RUNS}test_exchanged_codes_are_worth_nothing_to_a_decoder_that_does_not_read_them",),
    ),
    Fault(
        "unknown symbols that count as recovered", MODELS,
        edit("evaluation.code_use:recovered", "set(a) - {unknown}", "set(a)"),
        (f"{RUNS}test_recovered_counts_symbols_once_and_never_unknown_ones",),
    ),
    Fault(
        "a bag of what stands behind the end", OBJECTIVES,
        edit("objectives.symbols:BagOfSymbols.further", "torch.where(inside, found, 0.0)", "found"),
        (f"{BAG}test_the_bag_is_the_sum_over_the_symbols_that_a_row_has",),
    ),
)
