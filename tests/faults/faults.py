"""The faults: what a tired person might get wrong, and the tests of the suite that must notice."""

from __future__ import annotations

import importlib
from pathlib import Path

from .plants import BOUNDS, CHECKPOINT, LIKELIHOODS, LOOP, RATE, SCHEMA, VERBS, Fault, edit

FAMILIES = "tests/distributions/test_families.py::"
FULL = "tests/distributions/test_full.py::"
OPTIMAL = "tests/distributions/test_optimal.py::"
ARRAYS = "tests/data/test_arrays.py::"
IMAGES = "tests/data/test_images.py::"
SCHEMAS = "tests/data/test_schema.py::"
SPLITS = "tests/data/test_split.py::"
BITS = "tests/evaluation/test_bits.py::"
ELBOS = "tests/evaluation/test_bounds.py::"
EVIDENCE = "tests/evaluation/test_exact_evidence.py::"
LATENTS = "tests/evaluation/test_latents.py::"
MODES = "tests/evaluation/test_modes_more.py::"
GROUPS = "tests/objectives/test_groups_more.py::"
STATISTICS = "tests/evaluation/test_statistics_more.py::"
USE = "tests/models/test_verbs_more.py::"
FEEDS = "tests/runs/test_feeds_more.py::"
DRAWS = "tests/models/test_base_more.py::"
FLAT = "tests/models/test_flat.py::"
OBJECTIVE = "tests/objectives/test_elbo.py::"
WEIGHTS = "tests/evaluation/test_likelihood.py::"
NUMBERS = "tests/training/test_numbers.py::"
STEPS = "tests/training/test_step_more.py::"
RECOVERY = "tests/training/test_recovery.py::"
RESUME = "tests/training/test_resume.py::"

SCIPY = f"{FAMILIES}test_log_prob_agrees_with_scipy"
KL = f"{FULL}test_closed_agrees_with_monte_carlo"
STOPPED = f"{RESUME}test_stopped_anywhere"

LIST = (
    # --- likelihoods -------------------------------------------------------------------------------------------------
    Fault(
        "the sign of a Bernoulli's logits", LIKELIHOODS,
        edit(
            "distributions.binary:bernoulli_log_prob",
            "F.softplus(logits, threshold=40).neg_(), x", "F.softplus(-logits, threshold=40).neg_(), x",
        ),
        (f"{SCIPY}[bernoulli]",),
    ),
    Fault(
        "a normal density without log sqrt(2 pi)", LIKELIHOODS,
        edit("distributions.location:normal_log_prob", "(scale.log() + LOG_SQRT_2PI)", "scale.log()"),
        (f"{SCIPY}[log_normal]", f"{OPTIMAL}test_the_value_is_the_profiled_one"),
    ),
    Fault(
        "a normal's variance where its scale belongs", LIKELIHOODS,
        edit(
            "distributions.continuous:NormalFamily.distribution", "positive(scale, self.floor)",
            "positive(scale, self.floor).square()",
        ),
        (f"{SCIPY}[normal]",),
    ),
    Fault(
        "one degree of freedom too few", LIKELIHOODS,
        edit("distributions.location:student_t_log_prob", "0.5 * (df + 1) * torch.log1p", "0.5 * df * torch.log1p"),
        (f"{SCIPY}[student_t]",),
    ),
    Fault(
        "a continuous Bernoulli that is a Bernoulli", LIKELIHOODS,
        edit(
            "distributions.binary:continuous_bernoulli_log_prob", " - log_decay(steep.abs())", "",
            " - log_sinhc(0.5 * gentle)", "",
        ),
        (f"{SCIPY}[continuous_bernoulli]",),
    ),
    Fault(
        "end bins of pixels without the tails", LIKELIHOODS,
        edit("distributions.logistic:discretised_logistic_log_prob", "x < 0.5, x > n - 1.5", "x < -1.0, x > n + 1.0"),
        (f"{SCIPY}[discretised_logistic]",),
    ),
    Fault(
        "mixture weights that are not normalised", LIKELIHOODS,
        edit("distributions.logistic:DiscretisedLogisticMixture.log_prob", "F.log_softmax(self.logits, -1)",
             "self.logits"),
        (f"{SCIPY}[discretised_logistic_mixture]",),
    ),
    Fault(
        "mean and dispersion exchanged", LIKELIHOODS,
        edit(
            "distributions.counts:NegativeBinomial.log_prob", "self.log_mean, self.log_dispersion)",
            "self.log_dispersion, self.log_mean)",
        ),
        (f"{SCIPY}[negative_binomial]",),
    ),
    Fault(
        "a zero-inflation gate that is inverted", LIKELIHOODS,
        edit(
            "distributions.zero_inflated:zero_inflated_log_prob", "F.logsigmoid(-gate) + log_p",
                                                                                "F.logsigmoid(gate) + log_p",
            "torch.logaddexp(F.logsigmoid(gate), counted)", "torch.logaddexp(F.logsigmoid(-gate), counted)",
        ),
        (f"{SCIPY}[zero_inflated_negative_binomial]",),
    ),
    Fault(
        "a Poisson without log x!", LIKELIHOODS,
        edit("distributions.numeric:poisson_log_prob", " - 0.5 * (2 * math.pi * safe).log()", ""),
        (f"{SCIPY}[poisson]",),
    ),
    Fault(
        "cut points of ordered classes that are not cumulative", LIKELIHOODS,
        edit("distributions.categories:Ordinal.__init__", "self.gaps.cumsum(-1)", "self.gaps"),
        (f"{SCIPY}[ordinal]",),
    ),
    Fault(
        "a scale without the units of the data", LIKELIHOODS,
        edit("distributions.continuous:scaled", "scale * unit.scale", "scale"),
        (f"{FAMILIES}test_units_change_the_scale_and_the_density[normal]",),
    ),
    Fault(
        "a marginal that ignores its mask", LIKELIHOODS,
        edit(
            "distributions.ops:Observed.elementwise",
            "torch.where(self.observed, self.base.base_dist.log_prob(safe), 0.0)", "self.base.base_dist.log_prob(safe)",
        ),
        (f"{FAMILIES}test_a_marginal_sums_over_what_was_observed[normal]",),
    ),
    Fault(
        "a NaN in a hole that reaches the gradient", LIKELIHOODS,
        edit(
            "distributions.ops:Observed.elementwise",
            "torch.where(self.observed, x, stand_in(self.base).detach().to(x.dtype))", "x",
        ),
        (f"{FAMILIES}test_nothing_depends_on_what_stands_in_a_hole[normal-nan]",),
    ),
    # --- rate --------------------------------------------------------------------------------------------------------
    Fault(
        "the KL the other way round", RATE,
        edit("distributions.closed:closed", "normal_rate(q.base_dist, p.base_dist)",
             "normal_rate(p.base_dist, q.base_dist)"),
        (f"{KL}[diagonal]",),
    ),
    Fault(
        "the KL twice", RATE,
        edit("distributions.closed:closed", "normal_rate(q.base_dist, p.base_dist)",
             "2 * normal_rate(q.base_dist, p.base_dist)"),
        (f"{KL}[diagonal]",),
    ),
    Fault(
        "the KL of a full covariance without its log-determinant", RATE,
        edit("distributions.closed:_kl_full_diagonal", "(log_det + spread", "(spread"),
        (f"{KL}[full to diagonal]",),
    ),
    Fault(
        "a rate averaged over latents instead of summed", RATE,
        edit("models.base:Group.closed", "closed(self.q, self.p)", "closed(self.q, self.p) / self.z.shape[-1]"),
        (f"{ELBOS}test_the_closed_rate_agrees_with_monte_carlo[standard-diagonal]",),
    ),
    Fault(
        "a sampled rate without the prior", RATE,
        edit("models.base:Group.monte_carlo_rate", "self.log_q - self.log_p", "self.log_q"),
        (f"{ELBOS}test_the_closed_rate_agrees_with_monte_carlo[standard-diagonal]",),
    ),
    Fault(
        "a rate without gradient", RATE,
        edit("objectives.elbo:ELBO.__call__", "weighted = weight * floored", "weighted = weight * floored.detach()"),
        (f"{OBJECTIVE}test_the_rate_pulls_the_encoder_and_the_distortion_both",),
    ),
    Fault(
        "beta on the distortion", RATE,
        edit(
            "objectives.elbo:ELBO.__call__", "weighted = weight * floored", "weighted = floored",
            "distortion = seen", "distortion = weight * seen",
        ),
        (f"{OBJECTIVE}test_the_watch_is_raw_whatever_the_weights[diagonal-weighted]",),
    ),
    Fault(
        "a warm-up that is ignored", RATE,
        edit("objectives.elbo:ELBO.__call__", "self.beta * self.warmup.factor(step)", "self.beta"),
        (f"{OBJECTIVE}test_a_warm_up_is_a_weight[diagonal]",),
    ),
    Fault(
        "free bits of all dimensions together", RATE,
        edit(
            "objectives.elbo:floored_rate", "per_dimension.clamp_min(free_bits).sum(-1)",
            "per_dimension.sum(-1).clamp_min(free_bits * per_dimension.shape[-1])",
        ),
        (f"{OBJECTIVE}test_every_dimension_of_every_row_costs_at_least_its_free_bits",),
    ),
    Fault(
        "free bits of the mean over the batch", RATE,
        edit(
            "objectives.elbo:floored_rate", "per_dimension.clamp_min(free_bits).sum(-1)",
            "per_dimension.mean(0).clamp_min(free_bits).sum(-1).expand_as(rate)",
        ),
        (f"{OBJECTIVE}test_every_dimension_of_every_row_costs_at_least_its_free_bits",),
    ),
    Fault(
        "the rate of the first group only", RATE,
        edit("objectives.elbo:_total", "for v in rest:", "for v in ():"),
        (f"{GROUPS}test_the_rates_of_all_groups_are_paid",),
    ),
    # --- bounds and estimators ---------------------------------------------------------------------------------------
    Fault(
        "distortion per feature that ignores the weights of draws", BOUNDS,
        edit("evaluation.bounds:feature_distortion", "if seen.log_mix is None:", "if True:"),
        (f"{STATISTICS}test_weights_of_the_draws_reach_every_part_of_the_bound",),
    ),
    Fault(
        "the error of a ratio as if its denominator were exact", BOUNDS,
        edit("evaluation.statistics:ratio_of_means", "mean_se(a - ratio * b)", "mean_se(a)"),
        (f"{STATISTICS}test_the_error_of_a_ratio_is_what_repetition_shows[2.0]",),
    ),
    Fault(
        "a bound of k draws without log k", BOUNDS,
        edit("models.base:Inference.bound", " - log(self.n_samples)", ""),
        (f"{FLAT}test_the_bound_of_many_draws_keeps_its_precision",),
    ),
    Fault(
        "draws that all count alike whatever their weights", BOUNDS,
        edit("models.base:weighted_mean", "if log_mix is None", "if True"),
        (f"{DRAWS}test_means_and_bounds_heed_the_weights_of_the_draws[one for each row]",),
    ),
    Fault(
        "rows that are centred on their batch", BOUNDS,
        edit("nn.inputs:Standardise.forward", "(as_float(x) - self.shift)", "(as_float(x) - as_float(x).mean(0))"),
        (f"{FLAT}test_a_row_depends_on_itself_alone[standard-diagonal-bernoulli]",),
    ),
    Fault(
        "an estimate without log k", BOUNDS,
        edit("evaluation.likelihood:log_weights", "-log(log_w.shape[0])", "0.0"),
        (f"{EVIDENCE}test_with_the_exact_posterior_every_bound_is_the_evidence[7]",),
    ),
    Fault(
        "weights with the wrong sign of log q", BOUNDS,
        edit("models.base:Inference.log_w", "g.log_p - g.log_q", "g.log_p + g.log_q"),
        (f"{EVIDENCE}test_with_the_exact_posterior_every_bound_is_the_evidence[7]",),
    ),
    Fault(
        "chunks of draws that count as all of them", BOUNDS,
        edit("evaluation.likelihood:log_weights", " + log(share)", ""),
        (f"{WEIGHTS}test_memory_does_not_change_the_result[700-None]",),
    ),
    Fault(
        "one draw repeated k times", BOUNDS,
        edit(
            "parts.base:latent_draws", "draw_scored(q, (n_samples,), grad=torch.is_grad_enabled())",
            "draw_scored(q, (1,), grad=torch.is_grad_enabled())[0].repeat(n_samples, 1, 1), None",
        ),
        (f"{EVIDENCE}test_bounds_of_a_wrong_posterior_rise_with_k_towards_the_evidence",),
    ),
    Fault(
        "an effective sample size that is not squared", BOUNDS,
        edit("evaluation.likelihood:effective_sample_size", "2 * log_sum -", "log_sum -"),
        (f"{WEIGHTS}test_equal_weights_have_no_spread_and_one_weight_takes_all",),
    ),
    Fault(
        "a variance for a Monte Carlo error", BOUNDS,
        edit("evaluation.likelihood:log_estimate_se", "(n / (n - 1))).sqrt()", "(n / (n - 1)))"),
        (f"{WEIGHTS}test_the_estimate_is_the_mean_of_the_weights",),
    ),
    Fault(
        "a standard error that is a standard deviation", BOUNDS,
        edit("evaluation.statistics:mean_se", " / sqrt(len(values))", ""),
        (f"{ELBOS}test_parts_add_up",),
    ),
    Fault(
        "active units that count the noise of the draws", BOUNDS,
        edit(
            "evaluation.latents:two_means", "(mean.expand_as(group.z) if known",
            "(group.z[:1].expand_as(group.z) if known",
        ),
        (f"{LATENTS}test_units_that_move_are_active",),
    ),
    Fault(
        "an aggregate posterior without log N", BOUNDS,
        edit("evaluation.latents:aggregate_log_prob", "log_sum - log(n)", "log_sum"),
        (f"{LATENTS}test_the_aggregate_is_a_density",),
    ),
    Fault(
        "mutual information without a row's own component", BOUNDS,
        edit(
            "evaluation.latents:aggregate_log_prob", "pairwise_log_prob(q, block).logsumexp(1)",
            "pairwise_log_prob(q, block).sort(1).values[:, :-1].logsumexp(1)",
        ),
        (f"{LATENTS}test_codes_far_apart_reach_the_ceiling",),
    ),
    Fault(
        "nats called bits", BOUNDS,
        edit("evaluation.bits:bits_per_dim", "(n_dims * log(2))", "n_dims"),
        (f"{BITS}test_a_uniform_guess_among_levels_costs_their_logarithm",),
    ),
    Fault(
        "dequantised data without the volume of a cell", BOUNDS,
        edit("evaluation.bits:dequantised", " + log_volume(batch, step)", ""),
        (f"{BITS}test_the_step_is_a_change_of_units",),
    ),
    Fault(
        "an evaluation with dropout", BOUNDS,
        edit("models.modes:_hold", "module.training = False", "pass"),
        (f"{MODES}test_nothing_is_dropped[log_likelihood]",),
    ),
    Fault(
        "a draw without gradient", BOUNDS,
        edit("distributions.ops:_draw[Normal]", "p.scale, eps)", "p.scale, eps).detach()"),
        (f"{FAMILIES}test_draws_carry_the_gradient_of_the_quantile[normal]",),
    ),
    Fault(
        "one noise for all rows", BOUNDS,
        edit("distributions.ops:_draw[Normal]", "p.scale, eps)", "p.scale, eps[:, :1] if eps.ndim == 3 else eps)"),
        (f"{FAMILIES}test_a_row_draws_the_same_numbers_alone[normal]",),
    ),
    # --- loop --------------------------------------------------------------------------------------------------------
    Fault(
        "a mean over local rows instead of the whole batch", LOOP,
        edit("training.step:PlayerLoss.forward", "terms.loss.sum() / total", "terms.loss.mean()"),
        (f"{NUMBERS}test_accumulated_gradients_are_those_of_the_whole_batch[2]",),
    ),
    Fault(
        "the noise of the first rows in every piece", LOOP,
        edit("core.random:Noise._rows", "slice(self.offset, self.offset + rows)", "slice(0, rows)"),
        (f"{NUMBERS}test_accumulated_gradients_are_those_of_the_whole_batch[2]",),
    ),
    Fault(
        "the same noise at every step", LOOP,
        edit("training.step:Stepper.drawing", "self.player.name, step)", "self.player.name)"),
        (f"{STEPS}test_a_step_draws_its_own_noise_and_the_same_when_it_is_repeated[0.0]",),
    ),
    Fault(
        "a late player's learning rate that has come down before it begins", LOOP,
        edit("training.loop:Training._set_rates", "step - first, ", "step, "),
        ("tests/training/test_players.py::test_the_rate_takes_its_course_over_the_steps_of_each_player",),
    ),
    Fault(
        "gradients that are never zeroed", LOOP,
        edit("training.step:Stepper.__call__", "self.optimiser.zero_grad()", "pass"),
        (f"{NUMBERS}test_every_step_is_the_step_of_adamw",),
    ),
    Fault(
        "the decoder's learning rate ignored", LOOP,
        edit("training.step:parameter_groups", " if id(p) in encoder else settings.decoder_lr", ""),
        (f"{NUMBERS}test_separate_rates_reach_their_sides",),
    ),
    Fault(
        "clipping that multiplies before dividing", LOOP,
        edit("training.step:Stepper.__call__", ".clamp(max=1.0)", ""),
        (f"{NUMBERS}test_the_gradient_norm_and_clipping",),
    ),
    Fault(
        "a step taken on numbers that are not finite", LOOP,
        edit("training.step:Stepper._update", "elif fine:", "else:"),
        (f"{RECOVERY}test_a_rate_of_learning_that_overflows",),
    ),
    Fault(
        "best weights that are not put back", LOOP,
        edit("training.loop:Training._settle", "self.model.load_state_dict(self.best)", "pass"),
        (f"{NUMBERS}test_the_best_weights_are_in_the_model_at_the_end",),
    ),
    Fault(
        "a validation with dropout", LOOP,
        edit("training.loop:Training.evaluate", "self.model.eval()", "pass"),
        (f"{STEPS}test_a_validation_drops_nothing_and_leaves_training_on",),
    ),
    Fault(
        "validation noise that changes with the step", LOOP,
        edit("training.loop:Training.evaluate", '"validation", i)', '"validation", i, self.progress.step)'),
        (f"{NUMBERS}test_the_best_weights_are_in_the_model_at_the_end",),
    ),
    Fault(
        "a best validation and early stopping before the warm-up is over", LOOP,
        edit("training.loop:Training._validate", "self.progress.step >= self.objective.settled_after", "True"),
        (f"{NUMBERS}test_early_stopping_waits_for_the_end_of_the_warm_up",),
    ),
    Fault(
        "rows that are never shuffled", LOOP,
        edit("training.feed:FeedPlan.order", "randperm(self.n_rows, generator=generator)", "arange(self.n_rows)"),
        (f"{NUMBERS}test_rows_of_a_step_depend_on_seed_and_step_alone",),
    ),
    Fault(
        "the same order of rows in every epoch", LOOP,
        edit("training.feed:FeedPlan.order", '"order", epoch)', '"order")'),
        (f"{NUMBERS}test_rows_of_a_step_depend_on_seed_and_step_alone",),
    ),
    Fault(
        "averaged weights that are not the ones validated", LOOP,
        edit("training.loop:Training._validate", " if self.average is None else self.average.applied(self.model)", ""),
        (f"{NUMBERS}test_averaged_weights_are_validated_and_kept",),
    ),
    Fault(
        "weight decay of biases and scales", LOOP,
        edit("training.step:parameter_groups", " if id(p) in matrices else 0.0", ""),
        (f"{NUMBERS}test_weight_decay_shrinks_matrices_only",),
    ),
    Fault(
        "the test rows in place of the validation rows", LOOP,
        edit("runs.training.feeds:feeds", 'held = parts["validation"]', 'held = parts["test"]'),
        (f"{FEEDS}test_a_pass_has_the_rows_of_its_part_once[memory-20]",),
    ),
    Fault(
        "the last weights where averaged ones were asked for", LOOP,
        edit("training.loop:Training._settle", "self.model.load_state_dict(self.average.state(self.model))", "pass"),
        (f"{STEPS}test_averaged_weights_are_left_in_a_model_that_was_never_validated",),
    ),
    # --- checkpoint --------------------------------------------------------------------------------------------------
    Fault(
        "a plateau that forgets its factor", CHECKPOINT,
        edit("training.loop:Training.resume", "self.plateau.factor = progress.plateau", "pass"),
        (f"{STOPPED}[stops4]",),
    ),
    Fault(
        "a resumed run that would go back to where it stopped", CHECKPOINT,
        edit("training.checkpoint:load_checkpoint", 'if known["good"] is not None:', "if False:"),
        (f"{RECOVERY}test_a_recovery_is_the_same_after_a_stop[stops0]",),
    ),
    Fault(
        "an optimiser that starts afresh at a resume", CHECKPOINT,
        edit("training.weights:Snapshot.put", "optimiser.load(tensors)", "pass"),
        (f"{STOPPED}[stops0]",),
    ),
    Fault(
        "averaged weights that are not saved", CHECKPOINT,
        edit("training.weights:Snapshot.flat", 'join("average", self.average or {})', "{}"),
        (f"{STOPPED}[stops0]",),
    ),
    Fault(
        "an average that counts its steps from zero again", CHECKPOINT,
        edit("training.weights:Snapshot.put", "self.average_steps)", "0)"),
        (f"{STOPPED}[stops0]",),
    ),
    Fault(
        "best weights that are not saved", CHECKPOINT,
        edit("training.checkpoint:save_checkpoint", 'join("best", training.best or {})', "{}"),
        (f"{STOPPED}[stops2]",),
    ),
    Fault(
        "a resumed history that repeats itself", CHECKPOINT,
        edit("training.listeners:History.on", "keep_until(self.path, event.step,", "(self.path, event.step,"),
        (f"{RESUME}test_an_error_in_the_middle_of_a_step_s_events_loses_nothing[Progressed]",),
    ),
    Fault(
        "sums since the last look that are lost", CHECKPOINT,
        edit("training.checkpoint:save_checkpoint", 'join("meter", meter_tensors)', "{}"),
        (f"{STOPPED}[stops0]",),
    ),
    Fault(
        "the best weights where a longer run should go on from the last", CHECKPOINT,
        edit("training.loop:Training.state", "self.good if self.progress.done else self.snapshot()", "self.snapshot()"),
        (f"{RESUME}test_a_run_that_stopped_early_goes_on_from_its_last_weights_not_its_best",),
    ),
    Fault(
        "a file that is written in its place", CHECKPOINT,
        edit(
            "core.files:replacing", 'path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")', "path",
            "tmp.unlink()", "pass",
        ),
        (f"{RESUME}test_a_crash_while_writing_leaves_the_old_file",),
    ),
    # --- schema ------------------------------------------------------------------------------------------------------
    Fault(
        "values that keep the model's scale", SCHEMA,
        edit("data.values:decode", "v = in_units(v, schema)", "pass"),
        (f"{IMAGES}test_black_and_white",),
    ),
    Fault(
        "whole numbers cut instead of rounded", SCHEMA,
        edit("data.values:decode", "np.clip(np.rint(v), 0, np.inf", "np.clip(np.floor(v), 0, np.inf"),
        (f"{ARRAYS}test_model_output_is_rounded_and_clipped_to_what_the_user_can_have",),
    ),
    Fault(
        "a mask that is inverted", SCHEMA,
        edit("data.values:encode", "torch.from_numpy(~gone)", "torch.from_numpy(gone)"),
        (f"{ARRAYS}test_missing_entries_are_masked",),
    ),
    Fault(
        "columns in the order of the new file", SCHEMA,
        edit(
            "data.frames:_features", "features[[by_name[str(c)] for c in schema.columns]]",
            "features[[c for c in features.columns if str(c) in wanted]]",
        ),
        (f"{SCHEMAS}test_a_frame_model_takes_columns_by_name",),
    ),
    Fault(
        "validation rows among the training rows", SCHEMA,
        edit("data.split:_by_rows", "part == i)", "(part == i) | ((i == 2) & (part == 1)))"),
        (f"{SPLITS}test_a_data_set_splits_as_its_schema_says",),
    ),
    Fault(
        "a split that ignores its seed", SCHEMA,
        edit("data.split:_raw", 'derive(seed, "split")', 'derive(0, "split")'),
        (f"{SPLITS}test_seeds_differ_and_repeat",),
    ),
    Fault(
        "the camera's rotation ignored", SCHEMA,
        edit("data.images.pictures:_upright", "way is None", "True"),
        (f"{IMAGES}test_the_camera_rotation_is_applied[.png]",),
    ),
    Fault(
        "transparent pixels on black", SCHEMA,
        edit("data.images.pictures:_flat", "(255, 255, 255, 255)", "(0, 0, 0, 255)"),
        (f"{IMAGES}test_transparency",),
    ),
    Fault(
        "colours in the order blue, green, red", SCHEMA,
        edit("data.images.layout:to_model", "x.permute(0, 3, 1, 2)", "x.flip(3).permute(0, 3, 1, 2)"),
        (f"{IMAGES}test_layouts_of_arrays[uint8-shape1-event1-NHWC]",),
    ),
    # --- verbs -------------------------------------------------------------------------------------------------------
    Fault(
        "a temperature that is ignored", VERBS,
        edit("models.base:LatentModel.simulate", "spread=temperature", "spread=1.0"),
        (f"{USE}test_the_temperature_scales_the_latents",),
    ),
    Fault(
        "draws where means were asked for", VERBS,
        edit("models.base:LatentModel.simulate", " if noise else expected(p)", ""),
        (f"{USE}test_samples_are_draws_or_means",),
    ),
    Fault(
        "codes and samples with dropout", VERBS,
        edit("models.modes:_hold", "module.training = False", "pass"),
        (f"{USE}test_nothing_is_dropped_and_the_mode_is_put_back[encode]",),
    ),
    Fault(
        "the same samples in every piece", VERBS,
        edit("models.verbs:sample", 'derive(seed, "sample", start)', 'derive(seed, "sample")'),
        (f"{USE}test_seeds_decide_samples_over_all_pieces",),
    ),
    Fault(
        "an interpolation that never arrives", VERBS,
        edit("models.verbs:between", "torch.linspace(0, 1, steps,", "torch.arange(steps) / torch.tensor(steps,"),
        (f"{USE}test_an_interpolation_begins_and_ends_at_its_rows",),
    ),
)

# Every file ``of_<part>.py`` beside this one has a list of its own.
MORE = tuple(importlib.import_module(f".{p.stem}", __package__) for p in sorted(Path(__file__).parent.glob("of_*.py")))
ALL = LIST + tuple(fault for module in MORE for fault in module.LIST)
FAULTS = {f.name: f for f in ALL}
assert len(FAULTS) == len(ALL)
