"""Faults of learned priors, and of what samples are drawn from."""

from __future__ import annotations

from .plants import LOOP, PRIORS, SAMPLERS, Fault, edit

MIXTURES = "tests/distributions/test_mixtures.py::"
PRODUCTS = "tests/nn/test_products.py::"
LABELS = "tests/models/test_labels.py::"
PARTS = "tests/parts/test_learned_priors.py::"
CHOICE = "tests/training/test_samplers.py::"
RUNS = "tests/runs/test_samplers.py::"
MATCHING = "tests/objectives/test_latent_matching.py::"
DENSITY = f"{PARTS}test_a_density_integrates_to_one_and_its_draws_follow_it"

LIST = (
    # --- mixtures, and the products below everything ------------------------------------------------------------------
    Fault(
        "normals scored around a centre that their points were not moved by", PRIORS,
        edit("distributions.mixtures:diagonal_log_prob", "z - centre", "z"),
        (f"{MIXTURES}test_values_and_gradients", f"{MIXTURES}test_narrow_normals_far_away_keep_single_precision"),
    ),
    Fault(
        "a mixture that weighs its components alike", PRIORS,
        edit("distributions.mixtures:Mixture.log_prob", "self.mixture_distribution.logits", "0.0"),
        (f"{MIXTURES}test_values_and_gradients",),
    ),
    Fault(
        "the gradient of a bias averaged over the rows", LOOP,
        edit("nn.products:_Product.backward", "g.sum(0)", "g.mean(0)"),
        (f"{PRODUCTS}test_values_and_gradients",),
    ),
    Fault(
        "the gradient of an input with the wrong sign", LOOP,
        edit("nn.products:_Product.backward", "linear(g, weight.t())", "linear(-g, weight.t())"),
        (f"{PRODUCTS}test_values_and_gradients",),
    ),
    Fault(
        "a centred prior whose mean is that of its scale", PRIORS,
        edit("parts.conditionals:ConditionalPrior.forward", "torch.zeros_like(numbers)", "numbers"),
        (f"{LABELS}test_a_centred_conditional_prior_is_a_normal_around_zero_whose_scale_alone_is_told",),
    ),
    # --- priors -----------------------------------------------------------------------------------------------------
    Fault(
        "a VampPrior with another posterior for its density", PRIORS,
        edit("parts.priors.aggregate:VampPrior.forward", "Batch(u))", "Batch(u + 0.1))"),
        (f"{PARTS}test_a_vamp_prior_on_all_rows_is_the_aggregate_posterior",),
    ),
    Fault(
        "pseudo-inputs that leave the range of the data", PRIORS,
        edit("parts.priors.aggregate:_Within.forward", "u.clamp(0.0, 1.0)", "u.clone()"),
        (f"{PARTS}test_pseudo_inputs_learn_and_stay_in_the_range_of_the_data",),
    ),
    Fault(
        "pseudo-inputs that never come back into the range", PRIORS,
        edit("parts.priors.aggregate:_Within.backward", "(gradient < 0)", "(gradient > 0)"),
        (f"{PARTS}test_pseudo_inputs_learn_and_stay_in_the_range_of_the_data",),
    ),
    Fault(
        "conditions of pseudo-inputs in another order than the inputs", PRIORS,
        edit("parts.priors.aggregate:VampPrior.forward", "given.repeat_interleave(k, 0)", "given.repeat(k, 1)"),
        (f"{PARTS}test_a_vamp_prior_with_a_condition",),
    ),
    Fault(
        "a row that is an exemplar of itself", PRIORS,
        edit("parts.priors.aggregate:ExemplarPrior.of", "masked_fill(own, -torch.inf)", "masked_fill(own, 0.0)"),
        (f"{PARTS}test_a_row_is_no_exemplar_of_itself_in_training",),
    ),
    Fault(
        "a row left without any exemplar", PRIORS,
        edit("parts.priors.aggregate:ExemplarPrior.of", "own = own & ~own.all(1, keepdim=True)", "own = own & True"),
        (f"{PARTS}test_a_row_is_no_exemplar_of_itself_in_training",),
    ),
    Fault(
        "the same exemplars at every step", PRIORS,
        edit("parts.priors.aggregate:ExemplarPrior.of", "u.topk(self.n_subset)", "(0 * u).topk(self.n_subset)"),
        (f"{PARTS}test_each_step_looks_at_other_exemplars",),
    ),
    Fault(
        "a flow without the volume of its change", PRIORS,
        edit("distributions.vectors:Flowed.log_prob", "standard_log_prob(u) + log_det",
             "standard_log_prob(u) - log_det"),
        (f"{DENSITY}[flow maf]",),
    ),
    Fault(
        "a flow that does not start as the identity", PRIORS,
        edit("nn.flows:start_as_identity", "nn.init.zeros_(p)\n    if", "nn.init.ones_(p)\n    if"),
        (f"{PARTS}test_they_start_as_the_standard_normal[flow nsf]",),
    ),
    Fault(
        "a chain that sees the dimension it predicts", PRIORS,
        edit(
            "parts.priors.autoregressive:AutoregressivePrior.__init__",
            "outputs.unsqueeze(1) > orders", "outputs.unsqueeze(1) >= orders",
        ),
        (f"{PARTS}test_the_density_of_a_chain_is_the_product_of_its_conditionals",),
    ),
    Fault(
        "one try less than the truncation says", PRIORS,
        edit("distributions.vectors:Resampled.from_noise", "range(self.n_tries - 1)",
             "range(max(0, self.n_tries - 2))"),
        (f"{PARTS}test_rejection_sampling_is_exact_in_one_dimension[2]",),
    ),
    Fault(
        "a truncation that the density does not know of", PRIORS,
        edit("distributions.vectors:Resampled.log_prob", "(self.n_tries - 1) *", "self.n_tries *"),
        (f"{PARTS}test_rejection_sampling_is_exact_in_one_dimension[2]",),
    ),
    Fault(
        "a normaliser from the same proposals at every step", PRIORS,
        edit(
            "parts.priors.resampled:ResampledPrior.proposals",
            "noise = current_noise() if self.training else fixed", "noise = fixed",
        ),
        (f"{PARTS}test_the_normaliser_is_fresh_in_training_only",),
    ),
    Fault(
        "a probability flow with the wrong sign of its divergence", PRIORS,
        edit("parts.priors.flow_matching:Carried.log_prob", "standard_log_prob(z) + total",
             "standard_log_prob(z) - total"),
        (f"{PARTS}test_the_probability_flow_of_a_known_normal_has_its_density",),
    ),
    Fault(
        "a divergence without the slope of the activation", PRIORS,
        edit("parts.priors.flow_matching:VelocityField.with_divergence", "gate * (1 + raw * (1 - gate))", "gate"),
        (f"{PARTS}test_the_divergence_is_exact",),
    ),
    Fault(
        "a field that is matched towards the noise", PRIORS,
        edit(
            "parts.priors.flow_matching:FlowMatchingPrior.matching_loss",
            "eps + t.unsqueeze(-1) * (z - eps)", "z + t.unsqueeze(-1) * (eps - z)",
        ),
        (f"{PARTS}test_matching_finds_a_normal",),
    ),
    Fault(
        "an upper posterior that is not divided by", PRIORS,
        edit("parts.priors.two_stage:InfiniteMixture.log_prob", "(log_joint - log_r)", "log_joint"),
        (f"{PARTS}test_a_two_stage_density_is_unbiased_and_tight_with_the_exact_upper_posterior",),
    ),
    Fault(
        "standardised codes without their volume", PRIORS,
        edit("parts.priors.two_stage:Moved.log_prob", "log_p - self.scale.log().sum()", "log_p"),
        (f"{PARTS}test_a_moved_prior_counts_its_volume",),
    ),
    Fault(
        "a prior that pulls at the codes it is matched to", PRIORS,
        edit("objectives.matching:_match", "torch.no_grad()", "torch.enable_grad()"),
        (f"{MATCHING}test_the_prior_minimises_its_matching_loss_at_codes_without_gradient",),
    ),
    # --- samplers ---------------------------------------------------------------------------------------------------
    Fault(
        "a sampler chosen for any gain at all", SAMPLERS,
        edit("training.samplers:decide", '2 * f.get("gain_se", 0.0)', "0.0"),
        (f"{CHOICE}test_a_gain_must_be_clear",),
    ),
    Fault(
        "a gain of the prior over the others", SAMPLERS,
        edit("training.samplers:_facts", "values - prior", "prior - values"),
        (f"{CHOICE}test_clusters_choose_a_mixture_and_a_standard_normal_keeps_the_prior",),
    ),
    Fault(
        "a mixture left in standardised units", SAMPLERS,
        edit("training.mixtures:as_prior", "loc + scale * means", "means"),
        (f"{CHOICE}test_a_fitted_mixture_is_the_exact_aggregate_posterior_of_normal_data",),
    ),
    Fault(
        "variances where scales belong", SAMPLERS,
        edit("training.mixtures:as_prior", "scale * covariances.sqrt()", "scale * covariances"),
        (f"{CHOICE}test_clusters_choose_a_mixture_and_a_standard_normal_keeps_the_prior",),
    ),
    Fault(
        "samplers of other weights", SAMPLERS,
        edit("training.samplers:load_samplers", 'facts["weights"] != digest(model)', "False"),
        (f"{CHOICE}test_samplers_of_other_weights_are_not_used",),
    ),
    Fault(
        "old samplers left beside a run that has none", SAMPLERS,
        edit("training.samplers:save_samplers", "path.unlink(missing_ok=True)", "pass"),
        (f"{CHOICE}test_what_is_saved_is_what_is_loaded",),
    ),
    Fault(
        "a likelihood under the sampler that is the prior's", SAMPLERS,
        edit("training.samplers:Samplers.apply_to", "model if chosen == PRIOR else", "model if True else"),
        (f"{RUNS}test_evaluation_gives_the_likelihood_under_it_too",),
    ),
    Fault(
        "samplers fitted to other codes each time", SAMPLERS,
        edit(
            "runs.training.after_fit:after_fit",
            'derive(settings.seed, "sampler")', "np.random.default_rng().integers(1 << 30).item()",
        ),
        (f"{RUNS}test_samplers_are_reproducible_and_change_no_weight",),
    ),
)
