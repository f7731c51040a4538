"""Faults in what windows are conditioned on, in scores of steps as they come, and in mixtures given a condition."""

from __future__ import annotations

from .plants import BOUNDS, OBJECTIVES, SAMPLERS, SCHEMA, VERBS, Fault, edit

DATA = "tests/data/test_series_conditions.py::"
RUNS = "tests/runs/test_series_given.py::"
OF_RUNS = "tests/runs/test_series_runs.py::"
STREAM = "tests/runs/test_series_stream.py::"

LIST = (
    Fault(
        "a week that begins on the day of 1970's first", SCHEMA,
        edit("data.series.seasons:phase", "(wall // DAY + 3) % 7 / 7", "(wall // DAY) % 7 / 7"),
        (f"{DATA}test_phases_are_those_of_pandas",),
    ),
    Fault(
        "seasons of the clock in Greenwich", SCHEMA,
        edit("data.series.seasons:waves", "told.calendar.wall(times.reshape(-1))", "times.reshape(-1)"),
        (f"{DATA}test_windows_carry_sine_and_cosine_of_the_season_at_each_step",),
    ),
    Fault(
        "columns beside the values scaled by all of their steps", SCHEMA,
        edit("data.series.conditions:known_columns", "values[lines_of(windows, train)]", "values"),
        (f"{DATA}test_columns_beside_the_values_are_standardised_by_training_steps_alone",),
    ),
    Fault(
        "columns of the steps ahead that are silently held", VERBS,
        edit("data.series.ahead:_known", "len(ahead) < horizon and not hold", "False"),
        (f"{DATA}test_steps_ahead_need_what_is_known_beside",),
    ),
    Fault(
        "columns of the steps ahead taken a step late", VERBS,
        edit("data.series.ahead:_known", "np.arange(lines[-1] + 1, min", "np.arange(lines[-1], min"),
        (f"{DATA}test_steps_ahead_need_what_is_known_beside",),
    ),
    Fault(
        "samples dated as if they followed the data, whatever their hour", VERBS,
        edit("data.series.kind:SeriesKind.placed", "{} if times is None else", "{} if True else"),
        (f"{RUNS}test_samples_have_the_phase_of_the_hour_that_they_begin_at",),
    ),
    Fault(
        "columns along the steps mixed up with each other", SCHEMA,
        edit("data.series.seasons:flat", "codes.swapaxes(1, 2)", "codes"),
        (f"{DATA}test_windows_carry_sine_and_cosine_of_the_season_at_each_step",),
    ),
    Fault(
        "scores of windows at steps that were not seen", VERBS,
        edit("runs.verbs.score_steps:_of_windows", "every if seen is None else", "every if seen is not None else"),
        (f"{OF_RUNS}test_a_step_that_was_not_seen_has_no_score_of_its_windows",),
    ),
    Fault(
        "own scores of steps where those of windows are asked for", VERBS,
        edit("runs.verbs.score_steps:score_steps", 'of == "windows"', 'of == "rows"'),
        (f"{OF_RUNS}test_a_step_may_have_the_scores_of_its_windows",),
    ),
    Fault(
        "windows scored in blocks of the size that came", VERBS,
        edit("runs.verbs.score_steps:block_distortions", "(torch.arange(BLOCK) - place).clamp(0, len(batch) - 1)",
             "torch.arange(len(batch) + place).sub(place).clamp(0, len(batch) - 1)"),
        (f"{STREAM}test_a_stream_has_the_bits_of_one_go",),
    ),
    Fault(
        "a stream without the window that ends with its series", VERBS,
        edit("data.series.arriving:ArrivingSeries.finish", "max(last, 0) != done or self._cut == 0", "self._cut == 0"),
        (f"{STREAM}test_windows_that_begin_now_and_then",),
    ),
    Fault(
        "scores given before their last window", VERBS,
        edit("data.series.arriving:ArrivingSeries.settled", "(told.stride == 1)", "1"),
        (f"{STREAM}test_windows_that_begin_now_and_then",),
    ),
    Fault(
        "missing steps of a stream that are skipped", VERBS,
        edit("data.series.arriving:ArrivingSeries._gap", "calendar.after(last, ahead - 1) if ahead > 1 else",
             "True and"),
        (f"{STREAM}test_a_step_that_did_not_come_is_a_hole",),
    ),
    Fault(
        "latents drawn for any class when one was given", SAMPLERS,
        edit("training.mixtures:given_prior", "torch.where(own, 0.0, NEVER)", "torch.where(own, 0.0, 0.0)"),
        ("tests/training/test_given_mixtures.py::test_classes_that_differ_in_form_have_mixtures_of_their_own",),
    ),
    Fault(
        "a mixture given a condition in the units of standardised codes", SAMPLERS,
        edit("training.mixtures:given_prior", "scale.unsqueeze(1) * torch.from_numpy(found.shift)",
             "torch.from_numpy(found.shift)"),
        ("tests/training/test_given_mixtures.py::test_means_that_are_linear_in_a_condition_are_found",),
    ),
    Fault(
        "forms of components that follow one class alone", SAMPLERS,
        edit("training.shared_forms:maximised", "covariances[j] += ", "covariances[j] = len(total) * "),
        ("tests/training/test_given_mixtures.py::test_classes_that_differ_in_place_share_their_forms",),
    ),
    Fault(
        "features of windows that are learned from the judged ones", BOUNDS,
        edit("evaluation.series_measures:context_frechet", "contrastive_features(filled(train), seed=seed)",
             "contrastive_features(held, seed=seed)"),
        ("tests/evaluation/test_context.py::test_the_encoder_sees_training_windows_alone",),
    ),
    Fault(
        "a critic of spectrograms with a pull of its own size", OBJECTIVES,
        edit("objectives.spectral:SpectralCodes.pull", "self.critic_weight * own / its.clamp_min(1e-12)",
             "self.critic_weight * own"),
        ("tests/objectives/test_spectral_critic.py::test_the_critic_pulls_as_a_share_of_the_distance",),
    ),
)
