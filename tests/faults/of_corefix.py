"""Faults of the core: units, large counts, rows that mix, draws that touch what is global."""

from __future__ import annotations

from .plants import LIKELIHOODS, POSTERIORS, SCHEMA, VERBS, Fault, edit

UNITS = "tests/data/test_units_more.py::"
VARIATES = "tests/distributions/test_gamma_poisson.py::"
GIVEN = "tests/runs/test_given.py::"
ONE_ROW = "tests/runs/test_one_row.py::"
THREADS = "tests/runs/test_threads.py::"
FLOWS = "tests/parts/test_flows.py::"

LIST = (
    Fault(
        "small numbers taken for constants", SCHEMA,
        edit("nn.statistics:varies", "ROUNDINGS * about.eps * mean.abs()", "1e-6 * (1 + mean.abs())"),
        (f"{UNITS}test_what_varies_is_a_matter_of_precision_and_not_of_units",),
    ),
    Fault(
        "far numbers that 32 bits round", SCHEMA,
        edit("data.values:_counted", "if offset else x", "if not schema else x"),
        (f"{UNITS}test_far_numbers_come_back_to_the_last_digit_they_vary_in",),
    ),
    Fault(
        "small positive numbers taken for shares", SCHEMA,
        edit("data.values:_automatic", " and facts.reach >= NARROW", ""),
        (f"{UNITS}test_numbers_that_fill_the_unit_interval_are_shares_and_narrow_ones_are_not",),
    ),
    Fault(
        "Poisson densities in single precision", LIKELIHOODS,
        edit("distributions.numeric:poisson_log_prob", "x.double(), log_rate.double()", "x, log_rate"),
        (f"{VARIATES}test_densities_of_large_counts_are_those_of_scipy",),
    ),
    Fault(
        "negative binomial densities in single precision", LIKELIHOODS,
        edit(
            "distributions.counts:negative_binomial_log_prob", "x.double(), log_mean.double(), log_dispersion.double()",
            "x, log_mean, log_dispersion",
        ),
        (f"{VARIATES}test_densities_of_large_counts_are_those_of_scipy",),
    ),
    Fault(
        "the mode for all rows where one overflows", VERBS,
        edit("distributions.ops:_finite", "torch.where(known, mean, p.mode)", "p.mode"),
        (f"{VARIATES}test_a_row_is_shown_the_same_beside_one_that_overflows",),
    ),
    Fault(
        "rejection that takes its numbers from the neighbours' source", VERBS,
        edit("distributions.gamma_poisson:poisson_variate", "noise.apart()", "noise"),
        (f"{VARIATES}test_a_slow_row_does_not_move_the_numbers_of_others",),
    ),
    Fault(
        "Poisson variates without the quick rejection", LIKELIHOODS,
        edit("distributions.gamma_poisson:_proposed", "height.log() <=", "height.log() - 0.3 <="),
        (f"{VARIATES}test_poisson_variates_follow_the_poisson",),
    ),
    Fault(
        "foreign samplers on the global generator", VERBS,
        edit("core.local_random:LocalRandom.__torch_dispatch__", 'kwargs["generator"] = self.generator', "pass"),
        (f"{VARIATES}test_samplers_that_are_not_ours_take_their_numbers_from_the_seed_alone",),
    ),
    Fault(
        "rows given the same that lose their places", VERBS,
        edit("runs.verbs.given:_resampled", "[order.argsort()]", ""),
        (f"{GIVEN}test_every_row_may_be_given_its_own_values_of_any_column",),
    ),
    Fault(
        "conditions that mix when a further column is given", VERBS,
        edit("runs.verbs.given:_resampled", "tuple(repr(values[i]) for values in told.values())", '("all",)'),
        (f"{GIVEN}test_conditions_stay_with_their_rows_beside_a_further_column",),
    ),
    Fault(
        "a temperature that pulls given latents to the origin", VERBS,
        edit("runs.verbs.given:resample", "z = model.sample_prior(piece, rows)",
             "z = tuple(temperature * g for g in model.sample_prior(piece, rows))"),
        (f"{GIVEN}test_a_temperature_narrows_around_the_modes_whether_or_not_something_is_given",),
    ),
    Fault(
        "a row of a file that loses its length", VERBS,
        edit("runs.verbs.paths:traverse", "None if row.lengths is None or", "None if row.lengths is not None or"),
        (f"{ONE_ROW}test_ways_of_sequences_end_where_their_rows_do",),
    ),
    Fault(
        "another row of the file", VERBS,
        edit("data.rows:ChosenRows.take", "self._index[as_index(index)]", "as_index(index)"),
        (f"{ONE_ROW}test_rows_that_are_taken_are_those_rows",),
    ),
    Fault(
        "imputed values by the place of a row", VERBS,
        edit("core.row_noise:RowKeys.__call__", "return tuple(found if", "return tuple(range(len(found)) if"),
        (f"{THREADS}test_what_is_said_of_a_row_does_not_depend_on_its_place",),
    ),
    Fault(
        "one draw for all rows that are alike", VERBS,
        edit("core.row_noise:RowKeys._apart", "if times else key", "if times < 0 else key"),
        (f"{THREADS}test_rows_that_are_alike_get_draws_of_their_own_and_the_same_mean",),
    ),
    Fault(
        "a model back in training while another thread judges it", VERBS,
        edit("models.modes:_release", "if not _HELD[module]:", "if True:"),
        (f"{THREADS}test_a_model_goes_back_to_training_when_the_last_thread_leaves",),
    ),
    Fault(
        "gates that close altogether", POSTERIORS,
        edit("parts.flow_steps:GatedAutoregressive.forward",
             "logit.clamp_min(-CLOSED) - F.softsign((-CLOSED - logit).clamp_min(0))", "logit"),
        (f"{FLOWS}test_points_that_were_not_drawn_have_a_density_in_single_precision",),
    ),
)
