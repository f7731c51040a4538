"""Faults of the judge: estimators that are nearly right."""

from __future__ import annotations

from .plants import BOUNDS, RATE, Fault, edit

ANNEALED = "tests/evaluation/test_annealing.py::"
GAPS = "tests/evaluation/test_gaps.py::"
PROBES = "tests/evaluation/test_probes.py::"
FACTORS = "tests/evaluation/test_disentanglement.py::"
SAMPLES = "tests/evaluation/test_samples.py::"
DETECTION = "tests/evaluation/test_detection.py::"
CERTAINTY = "tests/evaluation/test_uncertainty.py::"
QUALITY = "tests/evaluation/test_quality.py::"
CATALOGUE = "tests/evaluation/test_catalogue.py::"

LIST = (
    Fault(
        "annealed weights without the density of the start", BOUNDS,
        edit(
            "evaluation.annealing:_forward",
            "log_w = log_w + (betas[t] - betas[t - 1]) * (joint - start)",
            "log_w = log_w + (betas[t] - betas[t - 1]) * joint",
        ),
        (f"{ANNEALED}test_with_the_exact_posterior_every_weight_is_the_evidence",),
    ),
    Fault(
        "Hamiltonian moves that are always accepted", BOUNDS,
        edit(
            "evaluation.annealing:hamiltonian_move",
            "coins.log() < torch.nan_to_num(change, nan=-torch.inf)", "coins.log() < torch.inf + 0 * change",
        ),
        (f"{ANNEALED}test_annealing_finds_the_exact_evidence",),
    ),
    Fault(
        "an upper bound that is a lower one", BOUNDS,
        edit("evaluation.bracket:bidirectional", "log(len(log_w)) - (-log_w).logsumexp(0)", "log_w.logsumexp(0)"),
        (f"{ANNEALED}test_the_bracket_is_wide_and_on_the_right_sides_when_annealing_is_short",
         f"{ANNEALED}test_both_sides_bracket_the_exact_evidence"),
    ),
    Fault(
        "an entropy without its constant", BOUNDS,
        edit("evaluation.gaps:RowNormal.bound", "(1 + log(2 * pi))", "log(2 * pi)"),
        (f"{GAPS}test_a_spoilt_encoder_loses_the_rate_between_it_and_the_exact_posterior",),
    ),
    Fault(
        "groups of draws that are sums and not means", BOUNDS,
        edit("evaluation.curves:grouped_bound", "(groups.logsumexp(1) - log(k))", "groups.logsumexp(1)"),
        (f"{GAPS}test_groups_of_draws_are_disjoint_by_hand",),
    ),
    Fault(
        "a total correlation with one marginal counted as all", RATE,
        edit(
            "evaluation.dependence:total_correlation", "memory_gb).sum(-1)).sum(0)", "memory_gb).mean(-1)).sum(0)",
        ),
        (f"{PROBES}test_of_one_normal_posterior_the_total_correlation_is_known",),
    ),
    Fault(
        "a probe judged on the rows it was fitted to", BOUNDS,
        edit(
            "evaluation.probes:probe", "fit, judge = halves(labels, seed=seed)", "fit = judge = np.arange(len(labels))",
        ),
        (f"{PROBES}test_probes_are_judged_on_other_rows_than_they_were_fitted_to",),
    ),
    Fault(
        "trustworthiness and continuity exchanged", BOUNDS,
        edit("evaluation.probes:_kept", "((here, there), (there, here))", "((there, here), (here, there))"),
        (f"{PROBES}test_trustworthiness_is_that_of_scikit_learn_and_continuity_the_other_way_round",),
    ),
    Fault(
        "a gap to the third best latent", BOUNDS,
        edit("evaluation.disentanglement:_gaps", "ordered[1] if len(ordered) > 1", "ordered[-1] if len(ordered) > 1"),
        (f"{FACTORS}test_a_factor_in_two_codes_has_mig_zero",),
    ),
    Fault(
        "DCI with the wrong base of its logarithm", BOUNDS,
        edit(
            "evaluation.disentanglement:dci_disentanglement", "max(2, importance.shape[1])", "max(2, len(importance))",
        ),
        (f"{FACTORS}test_dci_has_the_published_toy_values",),
    ),
    Fault(
        "a vote for the latent that varies most", BOUNDS,
        edit("evaluation.interventions:_voted", "spread.argmin()", "spread.argmax()"),
        (f"{FACTORS}test_held_factors_are_found_in_perfect_codes_and_not_in_noise",),
    ),
    Fault(
        "a Frechet distance with one half of the cross term", BOUNDS,
        edit("evaluation.samples:frechet_of_normals", "- 2 * cross", "- cross"),
        (f"{SAMPLES}test_the_frechet_distance_of_two_normals_is_known",),
    ),
    Fault(
        "a kernel distance with a row against itself", BOUNDS,
        edit("evaluation.samples:_mmd", "(_kernels(a, a) - _own(a)) / (n * (n - 1))", "_kernels(a, a) / (n * n)"),
        (f"{SAMPLES}test_the_kernel_distance_is_the_mean_of_kernels_by_hand",),
    ),
    Fault(
        "copies that are searched among held-out rows", BOUNDS,
        edit(
            "evaluation.samples:memorisation",
            "near, of = nearest_of(made, train)", "near, of = nearest_of(made, held_out)",
        ),
        (f"{SAMPLES}test_copies_are_noticed_and_new_rows_are_not",),
    ),
    Fault(
        "ties that count as found", BOUNDS,
        edit("evaluation.detection:area_under_roc", "(counts - 1) / 2", "0 * counts"),
        (f"{DETECTION}test_rankings_are_those_of_scikit_learn",),
    ),
    Fault(
        "typicality without the distance", BOUNDS,
        edit("evaluation.detection:typicality", "np.abs(np.asarray(log_p) - np.mean(reference))",
             "np.mean(reference) - np.asarray(log_p)"),
        (f"{DETECTION}test_in_many_dimensions_narrow_data_are_more_likely_and_not_typical",),
    ),
    Fault(
        "imputations that forget what was observed", BOUNDS,
        edit(
            "evaluation.uncertainty:_imputed",
            "(seen.log_w.double()).softmax(0)", "(0 * seen.log_w.double()).softmax(0)",
        ),
        (f"{CERTAINTY}test_imputed_draws_have_the_exact_conditional_moments",),
    ),
    Fault(
        "intervals of twice their level", BOUNDS,
        edit("evaluation.uncertainty:interval_calibration", "<= level / 2", "<= level"),
        (f"{CERTAINTY}test_draws_of_the_same_distribution_cover_what_they_should",),
    ),
    Fault(
        "a floor made of the samples", BOUNDS,
        edit("evaluation.measures:compared", "against(drawn(train, len(made), seed))", "against(made)"),
        (f"{CATALOGUE}test_numbers_are_those_of_the_estimators",),
    ),
    Fault(
        "a missing need that is passed over", BOUNDS,
        edit("evaluation.catalogue:take", "missed[name] = missing", "pass"),
        (f"{CATALOGUE}test_what_is_missing_is_said_and_not_skipped",),
    ),
    Fault(
        "pairs of columns that are counted where one is not known", BOUNDS,
        edit("evaluation.quality:joint", "(bins[:, j] >= 0)", "(bins[:, j] >= -1)"),
        (f"{QUALITY}test_pairs_are_compared_where_both_are_known",),
    ),
)
