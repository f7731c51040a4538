"""Faults of anomaly scores and of the estimators: false alarms, scales that saturate, copies, models half exact."""

from __future__ import annotations

from .plants import VERBS, Fault, edit

SCORES = "tests/evaluation/test_scores.py::"
UNITS = "tests/evaluation/test_units.py::"
USE = "tests/estimators/test_use.py::"

LIST = (
    Fault(
        "held-out rows scored with other draws than the rows they are compared with", VERBS,
        edit("evaluation.scores:Reference.held_scores", "self.held if (k, seed) == self.draws else {}", "self.held"),
        (f"{SCORES}test_held_out_rows_are_scored_as_others_are_whatever_the_draws[nll]",),
    ),
    Fault(
        "held-out rows whose joined rarity is among themselves", VERBS,
        edit("evaluation.rarity:crossed", "joined_among(held[:, fold == i], held[:, fold != i])",
             "joined_among(held[:, fold == i], held)"),
        (f"{SCORES}test_of_new_rows_no_more_are_flagged_than_was_asked_also_by_scores_that_are_joined",),
    ),
    Fault(
        "a rarity that stops at the largest held-out score", VERBS,
        edit("evaluation.rarity:Rarity.__call__", "(v - self.edge)", "(v.clamp(max=self.ends[-1]) - self.edge)"),
        (f"{UNITS}test_of_an_exponential_score_the_rarity_is_known_also_far_beyond_the_largest[2000]",),
    ),
    Fault(
        "a tail half as long as it is", VERBS,
        edit("evaluation.rarity:Rarity.of", "_quantile(beyond, 0.5) / log(2)", "_quantile(beyond, 0.5) * log(2)"),
        (f"{UNITS}test_of_an_exponential_score_the_rarity_is_known_also_far_beyond_the_largest[2000]",),
    ),
    Fault(
        "anomalies that stretch the scale they are measured with", VERBS,
        edit("evaluation.rarity:Rarity.of", "_quantile(beyond, 0.5) / log(2)", "float(beyond.mean())"),
        (f"{UNITS}test_anomalies_among_held_out_rows_do_not_stretch_the_scale",),
    ),
    Fault(
        "rarities joined by their mean", VERBS,
        edit("evaluation.rarity:joined", "rarities.square().mean(0).sqrt()", "rarities.mean(0)"),
        (f"{UNITS}test_one_score_that_has_never_been_so_high_counts_whatever_the_others_say",),
    ),
    Fault(
        "copies of an anomaly that vouch for each other", VERBS,
        edit("evaluation.scores:Reference.near_residuals", "self.residuals[self.known.first]", "self.residuals"),
        (f"{SCORES}test_copies_of_an_anomaly_do_not_vouch_for_each_other",),
    ),
    Fault(
        "neighbours that are not the nearest", VERBS,
        edit("evaluation.neighbours:_ranked", "[:, first:last]", "[:, first + 1 : last + 1]"),
        (f"{SCORES}test_a_distance_to_one_of_the_nearest_is_that_of_all_of_them_sorted",),
    ),
    Fault(
        "samplers that do not compute as exactly as the model", VERBS,
        edit("estimators.base:_exact", "sampler.double()", "pass"),
        (f"{USE}test_rows_are_drawn_also_by_a_sampler_that_was_fitted_to_the_latents[VAEDensity]",),
    ),
    Fault(
        "a detector that goes on with the threshold of the model before", VERBS,
        edit("estimators.detector:VAEDetector.partial_fit", 'self._flag(self._strangeness(self._kept["all"].rows))',
             "self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)"),
        (f"{USE}test_a_detector_goes_on_with_the_threshold_of_the_new_model",),
    ),
    Fault(
        "a sample in which the last rows crowd out the first", VERBS,
        edit("estimators.kept:Kept.joined", "np.concatenate([other.numbers, self.numbers])",
             "np.concatenate([other.numbers + 1, self.numbers])"),
        (f"{USE}test_a_sample_of_all_calls_gives_each_row_the_same_chance",),
    ),
    Fault(
        "a row of holes that is no row of the table it belongs to", VERBS,
        edit("estimators.base:VAEEstimator._checked", 'self._framed and hasattr(X, "columns")',
             "is_table(X)"),
        (f"{USE}test_a_row_of_nothing_but_holes_is_a_row_like_the_average[VAETransformer]",),
    ),
)
