"""Faults of an evaluation that cheats or miscounts: what it was fitted to, one end of the data, holes, errors."""

from __future__ import annotations

from .plants import BOUNDS, SAMPLERS, Fault, edit

HONEST = "tests/evaluation/test_no_cheating.py::"
HOLES = "tests/evaluation/test_holes.py::"
SORTED = "tests/evaluation/test_sorted_rows.py::"
ERRORS = "tests/evaluation/test_coverage.py::"
COMPARED = "tests/runs/test_comparing_more.py::"
KEPT = "tests/runs/test_evaluating_more.py::"
ROWS = "tests/runs/test_judged_rows.py::"
STARTED = "tests/runs/test_initialised.py::"
CHOSEN = "tests/training/test_samplers_more.py::"
DISENTANGLED, VOTED = "evaluation.disentanglement:", "evaluation.interventions:"

LIST = (
    # --- judged on what it was fitted to -----------------------------------------------------------------------------
    Fault(
        "DCI's accuracy on the rows of its forests", BOUNDS,
        edit(f"{DISENTANGLED}_forests", "forest.predict(codes[judge]) == factors[judge, j]",
             "forest.predict(codes[fit]) == factors[fit, j]"),
        (f"{HONEST}test_forests_are_not_asked_about_rows_they_have_seen",),
    ),
    Fault(
        "SAP's accuracy on the rows it was fitted to", BOUNDS,
        edit(f"{DISENTANGLED}_predictability", "(classifier.predict(scaled[judge]) == factor[judge])",
             "(classifier.predict(scaled[fit]) == factor[fit])"),
        (f"{HONEST}test_a_latent_s_accuracy_is_that_on_the_other_half",),
    ),
    Fault(
        "the FactorVAE score without the variance over everything", BOUNDS,
        edit(f"{VOTED}_voted", " / variance[active]", ""),
        (f"{HONEST}test_the_score_of_held_factors_is_the_published_one_whatever_the_units_of_the_latents",),
    ),
    Fault(
        "the FactorVAE score on the votes it was learned from", BOUNDS,
        edit(f"{VOTED}_voted", "table[1][np", "table[0][np"),
        (f"{HONEST}test_votes_are_judged_on_others_than_they_were_learned_from",),
    ),
    Fault(
        "the beta-VAE score on the votes it was learned from", BOUNDS,
        edit(f"{VOTED}_read", "reader.predict(x[votes:]) == held[votes:]", "reader.predict(x[:votes]) == held[:votes]"),
        (f"{HONEST}test_votes_are_judged_on_others_than_they_were_learned_from",),
    ),
    Fault(
        "samplers judged by the codes they were fitted to", SAMPLERS,
        edit("training.samplers:fit_samplers", "_held_out(model, validation, seed)", "_held_out(model, train, seed)"),
        (f"{CHOSEN}test_samplers_are_judged_by_validation_rows",),
    ),
    Fault(
        "components counted by the codes they were fitted to", SAMPLERS,
        edit("training.mixtures:searched", ".score(held)", ".score(fit)"),
        (f"{CHOSEN}test_the_number_of_components_is_not_chosen_by_the_codes_they_were_fitted_to",),
    ),
    Fault(
        "a density that keeps its last weights", SAMPLERS,
        edit("training.densities:descend", "prior.load_state_dict(kept)", "pass"),
        (f"{CHOSEN}test_a_fit_keeps_the_weights_that_held_out_codes_like_best",),
    ),
    Fault(
        "a density that keeps the weights that were liked least", SAMPLERS,
        edit("training.densities:descend", "score < best", "score > best",
             "kept = inf", "kept = -inf"),
        (f"{CHOSEN}test_a_fit_keeps_the_weights_that_held_out_codes_like_best",),
    ),
    # --- draws -------------------------------------------------------------------------------------------------------
    Fault(
        "the variance between latents without n - 1", BOUNDS,
        edit("evaluation.uncertainty:reconstruction_uncertainty", " * n_samples / (n_samples - 1)", ""),
        (f"{HONEST}test_the_variance_between_few_latents_is_without_bias",),
    ),
    Fault(
        "counted chains that are those of the pilot", BOUNDS,
        edit("evaluation.annealing:_forward", 'path.noise("forward", chains)', 'path.noise("pilot", chains)'),
        (f"{HONEST}test_counted_chains_start_at_draws_of_their_own",),
    ),
    Fault(
        "counted chains that start at the middle of the posterior", BOUNDS,
        edit("evaluation.annealing:AnnealingPath.begin", "g.z.detach() for g",
             "g.z.detach().mean(0, keepdim=True).expand_as(g.z) for g"),
        (f"{HONEST}test_counted_chains_start_at_draws_of_their_own",),
    ),
    Fault(
        "a usual value of fewer draws than what is compared with it", BOUNDS,
        edit("evaluation.measures:detected", "_reference(case, case.k)", "_reference(case, STRANGE_K)"),
        (f"{HONEST}test_the_usual_value_is_of_as_many_draws_as_what_is_compared_with_it",
         f"{HONEST}test_a_bound_that_rises_with_its_draws_does_not_make_rows_strange"),
    ),
    Fault(
        "samples from another prior than people get", BOUNDS,
        edit("evaluation.catalogue:Case.samples",
             "self.model if self.extras.sampler is None else self.extras.sampler", "self.model"),
        (f"{HONEST}test_samples_are_those_that_people_get",),
    ),
    Fault(
        "samples judged otherwise than they are shown", BOUNDS,
        edit("evaluation.catalogue:Case.samples", "noise=self.extras.noise", "noise=True"),
        (f"{HONEST}test_samples_are_those_that_people_get",),
    ),
    Fault(
        "a model that is a witness for itself", BOUNDS,
        edit(f"{VOTED}unsupervised_disentanglement_ranking", "for b in range(a):", "for b in range(a + 1):"),
        (f"{HONEST}test_a_model_is_no_witness_for_itself",),
    ),
    # --- which rows --------------------------------------------------------------------------------------------------
    Fault(
        "held-out rows among the training rows that samples are compared with", BOUNDS,
        edit("runs.verbs.evaluate:training_rows", 'own.split_indices()["train"]', "np.arange(len(own))"),
        (f"{ROWS}test_training_rows_are_training_rows",),
    ),
    Fault(
        "factors of other rows than those that were drawn", BOUNDS,
        edit("runs.verbs.evaluate:extras_of", "len(dataset))[index]", "len(dataset))[: len(index)]"),
        (f"{ROWS}test_what_is_judged_are_held_out_rows_at_random[evaluate]",),
    ),
    Fault(
        "an evaluation of the first rows", BOUNDS,
        edit("runs.verbs.evaluate:evaluate",
             'np.random.default_rng(derive(seed, "evaluated rows")).choice(whole, most, replace=False)',
             "whole[:most]"),
        (f"{ROWS}test_what_is_judged_are_held_out_rows_at_random[evaluate]",),
    ),
    Fault(
        "a diagnosis of the first rows", BOUNDS,
        edit("runs.verbs.diagnose:case_of",
             'np.random.default_rng(derive(seed, "diagnosed")).permutation(whole)[: dataset.rows.at_once(rows)]',
             "whole[:rows]"),
        (f"{ROWS}test_what_is_judged_are_held_out_rows_at_random[diagnose]",),
    ),
    Fault(
        "runs compared on the first rows", BOUNDS,
        edit("runs.verbs.compare:shared_rows",
             'np.random.default_rng(derive(seed, "compared rows")).permutation(kept)[:rows]', "kept[:rows]"),
        (f"{ROWS}test_what_is_judged_are_held_out_rows_at_random[compare]",),
    ),
    Fault(
        "a sweep judged on training rows", BOUNDS,
        edit("runs.sweep:rate_distortion", "run.part(dataset)", 'run.part(dataset, "train")'),
        (f"{ROWS}test_what_is_judged_are_held_out_rows_at_random[sweep]",),
    ),
    Fault(
        "some rows that are the first ones", BOUNDS,
        edit("runs.verbs.evaluate:some_rows",
             'np.random.default_rng(derive(seed, "some rows")).choice(index, most, replace=False)', "index[:most]"),
        (f"{ROWS}test_what_is_judged_are_held_out_rows_at_random[sweep]",
         f"{ROWS}test_training_rows_are_training_rows"),
    ),
    # --- rows that go together ---------------------------------------------------------------------------------------
    Fault(
        "labels of other rows than the codes", BOUNDS,
        edit("evaluation.measures:probes", "case.codes[rows[kept]]", "case.codes[kept]"),
        (f"{HONEST}test_labels_and_factors_stay_with_their_rows",),
    ),
    Fault(
        "factors of other rows than the codes", BOUNDS,
        edit("evaluation.figures:_case", "extras.factors[picked.numpy()]", "extras.factors[: len(picked)]"),
        (f"{HONEST}test_factors_stay_with_their_rows_where_only_some_are_judged",),
    ),
    Fault(
        "an error of imputation over entries that were seen", BOUNDS,
        edit("evaluation.uncertainty:imputation_calibration", '_clustered(error, where, "squared error")',
             '_clustered(error, where | True, "squared error")'),
        (f"{HONEST}test_only_hidden_entries_are_judged",),
    ),
    # --- holes -------------------------------------------------------------------------------------------------------
    Fault(
        "what stands in a hole counted as data", BOUNDS,
        edit("evaluation.holes:filled", "if batch.observed is None:", "if True:"),
        (f"{HOLES}test_a_perfect_model_of_rows_with_holes_is_found_perfect",
         f"{HOLES}test_what_stands_in_a_hole_changes_no_figure"),
    ),
    Fault(
        "samples without the holes of the data", BOUNDS,
        edit("evaluation.holes:with_same_holes", "Batch(made, mask=lent(ours, len(made)))", "Batch(made)"),
        (f"{HOLES}test_holes_come_alike_in_all_three_sets",),
    ),
    Fault(
        "a mean of columns with what stands in their holes", BOUNDS,
        edit("evaluation.holes:middle_of", "torch.where(seen, x, torch.zeros_like(x))", "x"),
        (f"{HOLES}test_the_middle_is_that_of_observed_entries",),
    ),
    Fault(
        "column means of what was hidden, and of what was never there", BOUNDS,
        edit("evaluation.uncertainty:imputation_calibration", "middle_of(holey)", "batch.tensor.mean(0)"),
        (f"{HOLES}test_the_error_of_column_means_is_that_of_what_was_seen",),
    ),
    Fault(
        "a cost of entries that are not there", BOUNDS,
        edit("evaluation.diagnosis.fitting:columns", "train.tensor).flatten(1), torch.nan)",
             "train.tensor).flatten(1), 0.0)"),
        (f"{HOLES}test_a_cost_of_what_is_not_there_is_none",),
    ),
    # --- one end of the data -----------------------------------------------------------------------------------------
    Fault(
        "an aggregate of the first rows", SAMPLERS,
        edit("training.densities:aggregate", "batch.take(order[:AGGREGATE])", "batch.take(slice(0, AGGREGATE))"),
        (f"{CHOSEN}test_the_aggregate_of_sorted_rows_has_all_kinds",),
    ),
    Fault(
        "a floor of the first training rows", BOUNDS,
        edit("evaluation.measures:compared", "drawn(train, len(made), seed)", "train[: len(made)]"),
        (f"{SORTED}test_the_floor_of_sorted_rows_is_as_low_as_that_of_shuffled_ones",),
    ),
    Fault(
        "conditions of the first rows", BOUNDS,
        edit("evaluation.catalogue:Case.conditions", "order[np.arange(n) % len(c)]", "np.arange(n) % len(c)"),
        (f"{SORTED}test_conditions_of_samples_are_those_of_the_data",),
    ),
    Fault(
        "the first half of the rows", BOUNDS,
        edit("evaluation.measures:dependence", "at_random(some, len(some) // 2, seed=case.seed)",
             "some.take(slice(0, len(some) // 2))"),
        (f"{SORTED}test_half_the_rows_are_a_half_at_random",),
    ),
    Fault(
        "a model started from the first rows", SAMPLERS,
        edit("data.rows:Rows.some", "np.random.default_rng(seed).choice(index, most, replace=False)", "index[:most]"),
        (f"{STARTED}test_of_many_rows_those_that_a_model_is_started_from_are_of_all_kinds",),
    ),
    # --- errors and comparisons --------------------------------------------------------------------------------------
    Fault(
        "a spread whose error leaves the data out", BOUNDS,
        edit("evaluation.samples:diversity", "real[j].var(0, ddof=1)", "real.var(0, ddof=1)"),
        (f"{ERRORS}test_errors_are_those_that_repetition_shows[wide data]",),
    ),
    Fault(
        "an error of halves where that of all was asked for", BOUNDS,
        edit("evaluation.results:halving", "rng.permutation(n)[: max(1, n // 2)]", "rng.permutation(n)[: n * 9 // 10]"),
        (f"{ERRORS}test_errors_are_those_that_repetition_shows[map]",),
    ),
    Fault(
        "an error of eight divisions as if they were independent", BOUNDS,
        edit(f"{DISENTANGLED}separated_attribute_predictability", "float(means.std(ddof=1))",
             "float(means.std(ddof=1) / 8**0.5)"),
        (f"{ERRORS}test_errors_are_those_that_repetition_shows[sap]",),
    ),
    Fault(
        "an error of votes that forgets the rows", BOUNDS,
        edit(f"{VOTED}_vote_error", "if not isinstance(world, FactorTable):", "if True:"),
        (f"{ERRORS}test_errors_are_those_that_repetition_shows[few votes]",),
    ),
    Fault(
        "ten runs compared as if the best had been known", BOUNDS,
        edit("runs.verbs.compare:below_best", "len(log_p) * (len(log_p) - 1) / 2", "len(log_p) - 1"),
        (f"{COMPARED}test_equal_runs_are_told_apart_in_one_comparison_of_twenty_at_most[10-200-False]",),
    ),
    Fault(
        "runs compared as if few rows were many", BOUNDS,
        edit("runs.verbs.compare:below_best", "stdtrit(len(d) - 1,", "stdtrit(1e9,"),
        (f"{COMPARED}test_the_interval_of_two_runs_is_that_of_the_paired_test",),
    ),
    Fault(
        "a part of an evaluation that relabels all of it", BOUNDS,
        edit("runs.verbs.evaluate:joined", "if whole or not before else before", ""),
        (f"{KEPT}test_part_of_an_evaluation_neither_relabels_nor_drops_what_was_there",),
    ),
    Fault(
        "a part of an evaluation without its own rows", BOUNDS,
        edit("runs.verbs.evaluate:joined", "plain if of == mine else", "plain if True else"),
        (f"{KEPT}test_part_of_an_evaluation_neither_relabels_nor_drops_what_was_there",),
    ),
)
