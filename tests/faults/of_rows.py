"""Faults in what rows have: ends, modalities, facts, and what is counted of them."""

from __future__ import annotations

from .plants import BOUNDS, LIKELIHOODS, LOOP, MODELS, SCHEMA, VERBS, Fault, edit

WITHIN = "tests/distributions/test_within.py::"
THERE = "tests/models/test_rows_there.py::"
COUNTED = "tests/evaluation/test_rows_there.py::"
ROWS = "tests/data/test_rows.py::"
EXAMS = "tests/testing/test_exams.py::"

LIST = (
    # --- what is scored ----------------------------------------------------------------------------------------------
    Fault(
        "padding that is counted in the likelihood", LIKELIHOODS,
        edit("distributions.within:_one", "return prefix(p, batch.lengths)", "return p"),
        (f"{WITHIN}test_only_the_steps_of_a_row_count[(3,)-7.0]",
         f"{THERE}test_the_likelihood_of_a_short_row_is_a_sum_over_its_entries"),
    ),
    Fault(
        "padding that is counted where there are holes too", LIKELIHOODS,
        edit("distributions.within:_one", "seen = batch.observed", "seen = batch.mask"),
        (f"{WITHIN}test_holes_and_ends_together[(3, 2)]",),
    ),
    Fault(
        "a row that is one step longer than it says", LIKELIHOODS,
        edit("core.batch:prefixes", " < lengths", " <= lengths"),
        (f"{WITHIN}test_only_the_steps_of_a_row_count[(3, 2)-7.0]",),
    ),
    Fault(
        "a missing modality that is scored", LIKELIHOODS,
        edit("distributions.within:within", "PresentModalities(q, rows[k]) if k in rows else q", "q"),
        (f"{WITHIN}test_masks_lengths_and_presence_by_modality",
         f"{THERE}test_a_model_of_two_modalities_adds_their_likelihoods"),
    ),
    Fault(
        "a likelihood of one modality alone", LIKELIHOODS,
        edit("distributions.modalities:Modalities.log_prob", ".sum(0)", "[0]"),
        (f"{WITHIN}test_log_densities_of_modalities_add_up",),
    ),
    Fault(
        "a chain whose beginning counts all its entries", LIKELIHOODS,
        edit("distributions.autoregressive:Begun.log_prob", "torch.where(inside, log_p, torch.zeros_like(log_p))",
             "log_p"),
        (f"{WITHIN}test_the_beginning_of_a_chain_is_its_marginal[(3,)]",
         f"{THERE}test_a_chain_of_steps_takes_rows_of_any_length"),
    ),
    # --- what is seen ------------------------------------------------------------------------------------------------
    Fault(
        "an encoder that reads on behind the end", MODELS,
        edit("nn.mlp:MLPEncoder.forward", "batch.observed", "batch.mask"),
        (f"{THERE}test_padding_changes_no_weight_no_code_and_no_gradient[flat-1.0]",
         f"{THERE}test_padding_changes_no_weight_no_code_and_no_gradient[stacked-1.0]"),
    ),
    Fault(
        "units taken from padding", MODELS,
        edit("nn.inputs:Standardise.initialise", "batch.tensor, batch.observed", "batch.tensor"),
        (f"{THERE}test_what_networks_start_from_is_taken_from_the_steps_that_rows_have",),
    ),
    Fault(
        "features of a modality that a row has not", MODELS,
        edit("nn.modalities:ModalEncoder.forward", "own.with_x(own.x, batch.seen[name])", "own",
             "features * there.unsqueeze(1)", "features"),
        (f"{THERE}test_a_modality_that_a_row_has_not_changes_nothing[3.0]",),
    ),
    Fault(
        "rows that are numbered by what stands behind their end", VERBS,
        edit("core.row_noise:_contents", "seen = batch.seen", "seen = dict.fromkeys(batch.seen)"),
        (f"{THERE}test_a_modality_that_a_row_has_not_changes_nothing[3.0]",),
    ),
    Fault(
        "the first of several equal experts as the code", VERBS,
        edit("models.base:Inference.latents", "self.point is not None and", "False and"),
        (f"{THERE}test_the_point_of_equal_experts_is_neither_of_them",),
    ),
    # --- what is counted ---------------------------------------------------------------------------------------------
    Fault(
        "padding that is counted in bits per dimension", BOUNDS,
        edit("evaluation.bits:dimensions", "entries(xs[name]) if seen is None else", "entries(xs[name]) if True else"),
        (f"{COUNTED}test_bits_per_dimension_of_short_rows[0.0]", f"{COUNTED}test_figures_of_two_modalities"),
    ),
    # --- what travels ------------------------------------------------------------------------------------------------
    Fault(
        "lengths that are lost in a stream", LOOP,
        edit("data.rows:StreamedRows.take", "lengths=_taken(self.lengths, rows)", "lengths=None"),
        (f"{ROWS}test_lengths_and_facts_travel_with_rows[streamed]",
         f"{ROWS}test_the_feed_keeps_lengths_beside_their_rows[streamed-False]"),
    ),
    Fault(
        "lengths of other rows of a chosen few", LOOP,
        edit("data.rows:ChosenRows.__init__", "_taken(inner.lengths, at)", "_taken(inner.lengths, at.sort().values)"),
        (f"{ROWS}test_chosen_rows_take_everything_along[memory]",),
    ),
    Fault(
        "facts of rows in the order of the file", SCHEMA,
        edit("data.rows:MemoryRows.about", "values[as_index(index)]", "values[np.sort(as_index(index))]"),
        (f"{ROWS}test_lengths_and_facts_travel_with_rows[memory]",
         f"{ROWS}test_chosen_rows_take_everything_along[memory]"),
    ),
    Fault(
        "facts of rows that do not come back", SCHEMA,
        edit("data.open:Dataset.decode", "self.source, soft=soft, about=about)", "self.source, soft=soft, about={})"),
        (f"{ROWS}test_facts_of_rows_come_back_to_decode[memory]",),
    ),
    Fault(
        "joined rows of which some have no lengths", SCHEMA,
        edit("core.batch:concatenate", "if any(v is None for v in values):", "values = [v for v in values if v is not "
             "None]\n        if False:"),
        (f"{ROWS}test_what_cannot_be_joined_is_refused",),
    ),
)
