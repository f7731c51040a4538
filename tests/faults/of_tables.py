"""Faults in tables: types and the way back, masks, imputation, scores, conditions."""

from __future__ import annotations

from .plants import LIKELIHOODS, SCHEMA, VERBS, Fault, edit

TABLES = "tests/data/test_tables.py::"
CONDITION = "tests/data/test_condition.py::"
MIXED = "tests/distributions/test_mixed.py::"
IMPUTE = "tests/models/test_impute.py::"
SCORES = "tests/evaluation/test_scores.py::"
UNITS = "tests/evaluation/test_units.py::"
FACE = "tests/runs/test_tables.py::"

LIST = (
    Fault(
        "steps without their scale", LIKELIHOODS,
        edit("distributions.steps:Steps.log_prob", "(below - self.loc) / self.scale", "(below - self.loc)"),
        ("tests/distributions/test_side_by_side.py::test_groups_and_columns_together_say_the_same[all-float64]",),
    ),
    Fault(
        "columns in the order of their sorts", LIKELIHOODS,
        edit("distributions.columns:MixedColumns._join", "return taken(", "return (lambda x, places: x)("),
        ("tests/distributions/test_side_by_side.py::test_groups_and_columns_together_say_the_same[all-float64]",),
    ),
    Fault(
        "filled-up categories that can be drawn", LIKELIHOODS,
        edit("distributions.mixed:MixedFamily._plain", "raw.masked_fill(~g.real, -1e30)", "raw"),
        ("tests/distributions/test_side_by_side.py::test_groups_and_columns_together_say_the_same[all-float64]",),
    ),
    Fault(
        "a start that counts placeholders", LIKELIHOODS,
        edit("distributions.mixed:MixedFamily.start", "weight[:, g.columns]", "torch.ones_like(weight[:, g.columns])"),
        (f"{MIXED}test_a_start_is_the_marginal_of_what_was_observed",),
    ),
    Fault(
        "rare categories that are never seen again", SCHEMA,
        edit("data.table.codec:_codes", "if column.other:", "if not column.other:"),
        (f"{TABLES}test_many_categories_share_a_level_by_a_stated_rule",),
    ),
    Fault(
        "identifiers that exist already", SCHEMA,
        edit("data.table.identifiers:new_texts", "place + start + i)", "place + start + i - 1)"),
        (f"{TABLES}test_every_column_comes_back_as_it_was",),
    ),
    Fault(
        "codes with leading zeros read as numbers", SCHEMA,
        edit("data.table.texts:_fits", "pc.match_substring_regex(cells, code)",
             'pc.match_substring_regex(cells, "^never$")'),
        (f"{TABLES}test_a_text_table_comes_back_as_text",),
    ),
    Fault(
        "dates without their time zone", SCHEMA,
        edit("data.table.ticks:_dates", "if zone is not None:", "if zone is None and False:"),
        (f"{TABLES}test_every_column_comes_back_as_it_was",),
    ),
    Fault(
        "missingness learned the wrong way round", SCHEMA,
        edit("data.table.numbers:encode_frame", "~seen[:, places[", "seen[:, places["),
        (f"{FACE}test_missing_not_at_random_is_learned",),
    ),
    Fault(
        "a condition for rows whose label is not known", SCHEMA,
        edit("data.rows:one_hot", "code * known.unsqueeze(1)", "code"),
        (f"{CONDITION}test_a_row_without_a_label_has_no_condition",),
    ),
    Fault(
        "traversals that forget the condition", VERBS,
        edit("models.verbs:moved", "given.repeat(len(values), 1)", "0 * given.repeat(len(values), 1)"),
        (f"{CONDITION}test_verbs_pass_the_condition_on",),
    ),
    Fault(
        "imputation without weights", VERBS,
        edit("models.impute:weighted", "torch.log_softmax(log_w, 0)", "torch.log_softmax(0 * log_w, 0)"),
        (f"{IMPUTE}test_means_are_those_of_the_conditional_normal",),
    ),
    Fault(
        "draws that all come from one latent", VERBS,
        edit("models.impute:resampled", "u.T.contiguous()", "0 * u.T.contiguous()"),
        (f"{IMPUTE}test_draws_have_mean_and_covariance_of_the_conditional_normal",),
    ),
    Fault(
        "observed cells imputed as well", VERBS,
        edit("data.table.filling:_filled", "np.flatnonzero(~observed(series))", "np.arange(len(series))"),
        (f"{FACE}test_observed_cells_are_untouched_and_missing_ones_are_filled",),
    ),
    Fault(
        "p-values that can be zero", VERBS,
        edit("evaluation.rarity:p_values", "(1 + at_least)", "at_least"),
        (f"{SCORES}test_p_values_of_held_out_rows_are_uniform",),
    ),
    Fault(
        "equal scores that count as less strange", VERBS,
        edit("evaluation.rarity:p_values", 'side="left"', 'side="right"'),
        (f"{SCORES}test_equal_scores_are_not_stranger",),
    ),
    Fault(
        "shares that leave the rate out", VERBS,
        edit("evaluation.scores:_complete", "(values - shares.sum(1))", "(0 * values)"),
        (f"{SCORES}test_shares_add_up_to_the_score[elbo]",),
    ),
    Fault(
        "scores that depend on the neighbours in the file", VERBS,
        edit("evaluation.evidence:SameForAll._repeated", "(*shape[:row_dim], 1, *shape[row_dim + 1 :])", "shape"),
        (f"{SCORES}test_a_row_is_scored_alone[reconstruction]",),
    ),
    Fault(
        "strange numbers measured by their quantiles", VERBS,
        edit("evaluation.evidence:Evidence._place", "self.units(inputs), self.units(back)", "inputs, back"),
        (f"{UNITS}test_the_greatest_value_is_as_far_as_in_the_data",),
    ),
    Fault(
        "numbers beyond all others taken for the last of them", VERBS,
        edit("evaluation.units:Units.__call__", "+ beyond", "+ 0 * beyond"),
        (f"{UNITS}test_a_value_far_beyond_all_others_is_strange_in_proportion",),
    ),
    Fault(
        "anomalies that vouch for each other", VERBS,
        edit("evaluation.scores:_compared", "max(NEIGHBOURS, len(reference.inputs) // SHARE)", "NEIGHBOURS"),
        (f"{UNITS}test_anomalies_that_lie_together_are_found[input_knn]",),
    ),
    Fault(
        "ranks where logarithms of p-values are meant", VERBS,
        edit("evaluation.rarity:Rarity.__call__", "-torch.log1p(-_rank(v, self.ends) * n / (n + 1))",
             "_rank(v, self.ends)"),
        (f"{UNITS}test_a_rarity_is_the_logarithm_of_a_p_value_and_has_no_jumps",),
    ),
    Fault(
        "a density that is wider than its kernel", VERBS,
        edit("evaluation.marginals:_smooth", "2 * torch.pi * frequency", "torch.pi * frequency"),
        (f"{UNITS}test_a_marginal_is_the_kernel_density_of_its_column",),
    ),
    Fault(
        "given columns that change nothing else", VERBS,
        edit("runs.verbs.given:resample", "log_w.append(p.log_prob(told.tensor))",
             "log_w.append(0 * p.log_prob(told.tensor))"),
        (f"{FACE}test_resampling_gives_the_exact_posterior_of_a_small_case",),
    ),
    Fault(
        "rare rows made from test rows", VERBS,
        edit("runs.verbs.augment:rows_like", 'run.part(dataset, "train") if', 'run.part(dataset, "all") if'),
        (f"{FACE}test_more_rows_of_a_rare_class_come_from_training_rows_only",),
    ),
)
