"""Faults around models without latents: densities, needs of measures, optimisers, critics."""

from __future__ import annotations

from .plants import BOUNDS, CHECKPOINT, LOOP, MODELS, OBJECTIVES, VERBS, Fault, edit

CLOSED = "tests/models/test_generators.py::"
WHOLE = "tests/runs/test_generators.py::"
OPTIMISERS = "tests/training/test_optimisers.py::"
RULES = "tests/training/test_gradient_rules.py::"

LIST = (
    Fault(
        "a flow without the Jacobian of its scaling", MODELS,
        edit("models.explicit:Explicit.log_prob", " - self.units.scale.log().sum()", ""),
        (f"{CLOSED}test_a_flow_integrates_to_one_in_the_units_of_the_data[maf]",
         f"{CLOSED}test_a_flow_of_affine_steps_is_a_normal_distribution"),
    ),
    Fault(
        "a numerical path under the name of an exact density", MODELS,
        edit("models.explicit:Explicit.log_prob", "if not self.exact:", "if False:"),
        (f"{CLOSED}test_a_density_that_ends_a_numerical_path_is_not_given_as_exact[prior0]",),
    ),
    Fault(
        "a bound under the name of an exact density", BOUNDS,
        edit("evaluation.likelihood:log_likelihood", "log_estimate_se(ess, int(counted[0])), k)",
             "log_estimate_se(ess, int(counted[0])), k, exact=True)"),
        (f"{WHOLE}test_densities_are_compared_by_likelihood_and_only_a_bound_is_called_one",),
    ),
    Fault(
        "masses of levels that are called exact", BOUNDS,
        edit("evaluation.figures:_without_latents", '{"exact": case.step is None}', '{"exact": True}'),
        (f"{CLOSED}test_a_density_that_is_met_by_levels_is_not_called_exact",),
    ),
    Fault(
        "samples in the units of the network", MODELS,
        edit("models.explicit:Explicit.simulate", "self.units.shift + self.units.scale * u", "u"),
        (f"{CLOSED}test_draws_follow_the_density",),
    ),
    Fault(
        "an optimiser whose state is lost on resume", CHECKPOINT,
        edit("training.optimisers:FromTorch.load", "in map(self.held.get, group.params) if", "in () if"),
        (f"{OPTIMISERS}test_a_run_goes_on_bit_for_bit_with_every_optimiser[adam]",),
    ),
    Fault(
        "a learning rate that stays what it was when the optimiser was made", LOOP,
        edit("training.optimisers:FromTorch.step", 'settings["lr"] = group.lr', "pass"),
        (f"{OPTIMISERS}test_the_rate_is_the_group_s_at_every_step",),
    ),
    Fault(
        "weights that decay whatever the learning rate is", LOOP,
        edit("training.optimisers:FromTorch.step", "1 - group.lr * group.weight_decay", "1 - group.weight_decay"),
        (f"{OPTIMISERS}test_weights_decay_in_proportion_to_the_rate_and_not_through_the_gradient[sgd]",),
    ),
    Fault(
        "a measure that runs without what it needs", BOUNDS,
        edit("evaluation.catalogue:Measure.missing", "if not NEEDS[need][0](case):", "if False:"),
        ("tests/evaluation/test_catalogue.py::test_what_is_missing_is_said_and_not_skipped",),
    ),
    Fault(
        "a critic that moves the generator", OBJECTIVES,
        edit("objectives.generators:NonSaturating.critic_loss", "model.draw(len(batch)).detach()",
             "model.draw(len(batch))"),
        (f"{CLOSED}test_a_critic_is_kept_from_moving_the_generator",),
    ),
    Fault(
        "a penalty on the length of the slope instead of its square", OBJECTIVES,
        edit("objectives.generators:steepness", ".square().flatten(1).sum(1)", ".abs().flatten(1).sum(1)"),
        (f"{CLOSED}test_the_penalty_is_the_squared_slope_of_each_row",),
    ),
    Fault(
        "a generator that learns from the saturating loss", OBJECTIVES,
        edit("objectives.generators:NonSaturating.held_out", "told = F.softplus(-odds) + F.softplus(fooled)",
             "told = F.softplus(-odds) + F.softplus(-fooled)"),
        (f"{CLOSED}test_the_best_critic_of_different_distributions_loses_what_their_divergence_leaves",),
    ),
    Fault(
        "velocities from rows to noise", OBJECTIVES,
        edit("parts.priors.flow_matching:FlowMatchingPrior.matching_loss", " - (z - eps)\n", " + (z - eps)\n"),
        (f"{CLOSED}test_the_least_matching_loss_of_normal_rows_is_half_pi_a_dimension",),
    ),
    Fault(
        "a verb of latents that opens the data before it refuses", VERBS,
        edit("runs.verbs.impute:cannot_impute", "return needs_latents(schema, model)\n", "return None\n"),
        (f"{WHOLE}test_verbs_without_an_inference_say_so_before_they_look_at_the_data[gan]",),
    ),
    Fault(
        "a rule for gradients that is not asked", LOOP,
        edit("training.step:Stepper.__call__", "self.rule(self, pieces, step)", "gradient_of_mean(self, pieces, step)"),
        (f"{RULES}test_no_row_moves_the_weights_further_than_the_clip",
         f"{RULES}test_rows_clipped_by_vmap_are_rows_clipped_one_by_one"),
    ),
    Fault(
        "the farther samples win", VERBS,
        edit("runs.verbs.sample_distance:least_distance", "best, pairs = min(found", "best, pairs = max(found"),
        (f"{WHOLE}test_the_nearer_samples_win",),
    ),
)
