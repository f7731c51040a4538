"""Faults of privacy: noise, clip, coins, budgets, and what looks at the data outside of them."""

from __future__ import annotations

from .plants import LOOP, SCHEMA, VERBS, Fault, edit

STEPS = "tests/training/test_private.py::"
RUNS = "tests/runs/test_private.py::"
AUDITS = "tests/evaluation/test_auditing.py::"
SHADOWS = "tests/evaluation/test_shadows.py::"
ATTACKS = "tests/evaluation/test_membership.py::"
RULE = "training.private:PrivateGradients.__call__"
ROWS = f"{STEPS}test_every_row_is_cut_and_none_counts_more_than_the_clip"
SPREAD = f"{STEPS}test_the_noise_is_added_once_and_has_the_spread_it_should"

LIST = (
    Fault(
        "noise that is added after the division", LOOP,
        edit(RULE, "(total[name] + self.noise * self.clip * drawn) / self.batch_size",
             "total[name] / self.batch_size + self.noise * self.clip * drawn"),
        (SPREAD,),
    ),
    Fault(
        "noise that is added twice", LOOP,
        edit(RULE, "self.noise * self.clip * drawn)", "self.noise * self.clip * drawn * 2)"),
        (SPREAD,),
    ),
    Fault(
        "noise that does not follow the clip", LOOP,
        edit(RULE, "self.noise * self.clip * drawn)", "self.noise * drawn)"),
        (SPREAD,),
    ),
    Fault(
        "the same noise in every step", LOOP,
        edit(RULE, "NOISE, stepper.player.name, step)", "NOISE, stepper.player.name, 0)"),
        (SPREAD,),
    ),
    Fault(
        "a clip of each weight instead of the whole gradient", LOOP,
        edit("training.row_gradients:clipped_sum", "torch.linalg.vector_norm(parts, dim=0)", "parts.amax(0)"),
        (ROWS,),
    ),
    Fault(
        "a clip of the batch instead of the row", LOOP,
        edit("training.row_gradients:clipped_sum", "torch.linalg.vector_norm(parts, dim=0)",
             "torch.linalg.vector_norm(parts).expand(parts.shape[1])"),
        (ROWS,),
    ),
    Fault(
        "gradients that are made as long as the clip", LOOP,
        edit("training.row_gradients:clipped_sum", "norm.clamp_min(1e-12)).clamp(max=1.0)", "norm.clamp_min(1e-12))"),
        (ROWS,),
    ),
    Fault(
        "a row without a finite gradient that spoils the sum", LOOP,
        edit("training.row_gradients:clipped_sum", "fine = torch.isfinite(norm)",
             "fine = torch.ones_like(norm).bool()"),
        (ROWS,),
    ),
    Fault(
        "division by the real number of rows", LOOP,
        edit(RULE, "drawn) / self.batch_size", "drawn) / max(1, sum(len(p.batch) for p in pieces))"),
        (f"{STEPS}test_it_is_divided_by_the_expected_number_of_rows",),
    ),
    Fault(
        "a real number of rows that is shown", LOOP,
        edit("training.private:PoissonPlan.total", "return self.batch_size", "return len(rows)"),
        (f"{STEPS}test_it_is_divided_by_the_expected_number_of_rows",),
    ),
    Fault(
        "only the first piece of a step counts", LOOP,
        edit("training.private:PrivateGradients._add", "range(0, n, most)", "range(0, min(n, most), most)"),
        (f"{STEPS}test_every_row_counts_however_the_batch_is_cut",),
    ),
    Fault(
        "coins that come again in every epoch", LOOP,
        edit("training.private:PoissonPlan.order", "+ epoch * self.steps_per_epoch", "+ 0 * epoch"),
        (f"{STEPS}test_coins_are_fair_independent_and_come_again",),
    ),
    Fault(
        "coins that follow the seed of the run", LOOP,
        edit("training.private:PoissonPlan.rows", "self.secret.uniform", "type(self.secret).seeded(self.seed).uniform"),
        (f"{STEPS}test_coins_are_fair_independent_and_come_again",),
    ),
    Fault(
        "an objective with several players that is let in", LOOP,
        edit("training.private:refuse_mixing", "len(players) > 1", "len(players) > 9"),
        (f"{STEPS}test_what_mixes_rows_is_refused_with_the_reason[gan]",),
    ),
    Fault(
        "rows that are mixed and let in", LOOP,
        edit("training.private:refuse_mixing", "players[0].mixes_rows", "False"),
        (f"{STEPS}test_what_mixes_rows_is_refused_with_the_reason[info-vae]",),
    ),
    Fault(
        "statistics of rows that are let in", LOOP,
        edit("training.private:engine_for", "    if moved:", "    if False:"),
        (f"{STEPS}test_statistics_of_rows_that_no_noise_covers_are_refused",),
    ),
    Fault(
        "steps that cost nothing", LOOP,
        edit("training.privacy:epsilon_of", "[(noise, sample_rate, steps)]", "[(noise, sample_rate, 1)]"),
        (f"{STEPS}test_steps_add_up_as_opacus_says",),
    ),
    Fault(
        "counts whose noise is that of one column", SCHEMA,
        edit("data.budgeted:Budget.spread", "self.noise * np.sqrt(self.together)", "self.noise"),
        (f"{RUNS}test_what_a_row_may_do_to_the_counts_is_what_their_noise_covers",),
    ),
    Fault(
        "values shown below the threshold", SCHEMA,
        edit("data.budgeted:Budget.frequent", "threshold = 1 + ", "threshold = 0 * "),
        (f"{RUNS}test_a_value_of_one_row_is_hardly_ever_shown",),
    ),
    Fault(
        "counts outside the budget", VERBS,
        edit("runs.training.private_runs:PrivateRun.promise", "asked.epsilon - self.spent[0]", "asked.epsilon"),
        (f"{RUNS}test_the_promise_is_kept_by_the_accountant",),
    ),
    Fault(
        "scaling by training rows", VERBS,
        edit("runs.training.beginning:first_rows", "if private:", "if False and private:"),
        (f"{RUNS}test_nothing_of_a_run_but_weights_and_counts_follows_from_values",),
    ),
    Fault(
        "a fingerprint of values", SCHEMA,
        edit("data.private_kinds:hidden", "PUBLIC + hashlib.sha256(told.encode()).hexdigest()",
             "PUBLIC + hashlib.sha256(__import__('os').urandom(8)).hexdigest()"),
        (f"{RUNS}test_nothing_of_a_run_but_weights_and_counts_follows_from_values",),
    ),
    Fault(
        "pictures whose levels are looked at", SCHEMA,
        edit("data.images.privately:PrivatePictures.infer_private", "facts=bytes_facts()",
             "facts=deciding.look(opened, options)"),
        (f"{RUNS}test_of_private_pictures_nothing_but_their_size_and_number_is_looked_at",),
    ),
    Fault(
        "reference rows kept with a private run", VERBS,
        edit("runs.training.train:keeps_reference", "if spec.privacy is not None:", "if False:"),
        (f"{RUNS}test_a_private_run_is_used_as_any_other",),
    ),
    Fault(
        "a key that stays with the run", VERBS,
        edit("runs.training.private_runs:forget_key", "(work / KEY).unlink(missing_ok=True)", "(work / KEY)"),
        (f"{RUNS}test_nothing_of_a_run_but_weights_and_counts_follows_from_values",),
    ),
    Fault(
        "a lower bound without the delta", VERBS,
        edit("evaluation.auditing:guesses_p_value", "alpha * delta * 2 * n", "0 * alpha * delta * n"),
        (f"{AUDITS}test_the_p_value_is_that_of_coins_that_randomised_response_makes_unfair",),
    ),
    Fault(
        "a lower bound with the odds of a louder guess", VERBS,
        edit("evaluation.auditing:guesses_p_value", "1 / (1 + exp(-epsilon))", "1 / (1 + exp(-epsilon / 2))"),
        (f"{AUDITS}test_the_p_value_is_that_of_coins_that_randomised_response_makes_unfair",),
    ),
    Fault(
        "a likelihood ratio the wrong way round", VERBS,
        edit("evaluation.auditing:likelihood_ratios", "log_in - log_out", "log_out - log_in"),
        (f"{AUDITS}test_the_likelihood_ratio_beats_the_threshold_where_rows_differ_in_difficulty",),
    ),
    Fault(
        "a spread that the gap between members and strangers is part of", VERBS,
        edit("evaluation.auditing:_spreads", "np.square(shadows - mean)", "np.square(shadows - shadows.mean(0))"),
        (f"{SHADOWS}test_ratios_are_those_of_the_normals[400]",),
    ),
    Fault(
        "an attacker offline who looks at models that had the row", VERBS,
        edit("evaluation.auditing:likelihood_ratios", "(means[1] - target) / sd[1]", "(means[0] - target) / sd[0]"),
        (f"{SHADOWS}test_a_model_that_never_saw_the_rows_is_at_chance",
         f"{SHADOWS}test_many_shadows_tell_of_each_row_how_much_it_varies"),
    ),
    Fault(
        "shadows of rows in another order", VERBS,
        edit("evaluation.shadows:attacked", "which[:, places]", "which[:, : len(places)]"),
        (f"{SHADOWS}test_rows_are_kept_apart_through_halves_and_choice",),
    ),
    Fault(
        "shadows that all have the same rows", VERBS,
        edit("evaluation.shadows:halves", "found[pair + 1] = ~found[pair]", "found[pair + 1] = found[pair]"),
        (f"{SHADOWS}test_every_row_is_in_half_of_the_shadows",),
    ),
    Fault(
        "shadows with the weights of one seed", VERBS,
        edit("runs.shadows:trained_on", '{"seed": seed % 2**31}', '{"seed": 0}'),
        (f"{SHADOWS}test_shadows_are_trained_as_the_run_was_and_each_by_a_seed_of_its_own",),
    ),
    Fault(
        "shadows that do not know their rows", VERBS,
        edit("runs.shadows:trained_on", "dataset.take(np.sort(rows))", "dataset.take(np.arange(len(rows)))"),
        (f"{SHADOWS}test_rows_learned_by_heart_are_found_far_better_than_by_chance",),
    ),
    Fault(
        "training rows that pass for strangers", VERBS,
        edit("runs.verbs.evaluate:is_held_out", '"validation")', '"validation", "train")'),
        (f"{ATTACKS}test_rows_that_were_trained_on_are_no_strangers",),
    ),
)
