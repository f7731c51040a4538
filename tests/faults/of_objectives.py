"""Faults in objectives, critics and the parts that keep a rate up: several are known from published code."""

from __future__ import annotations

from .plants import OBJECTIVES, Fault, edit

IW = "tests/objectives/test_importance.py::"
MATCH = "tests/objectives/test_matching.py::"
EVERY = "tests/objectives/test_every_objective.py::"
CRITICS = "tests/objectives/test_critics.py::"
IMAGES = "tests/objectives/test_image_terms.py::"
KEPT = "tests/parts/test_collapse_free.py::"
SKIPS = "tests/nn/test_skips.py::"
DREG = f"{IW}test_doubly_reparameterised_gradients_are_the_same_in_the_mean_and_vary_less"

LIST = (
    # --- bounds ------------------------------------------------------------------------------------------------------
    Fault(
        "importance weights over groups and means over draws", OBJECTIVES,
        edit(
            "objectives.importance:grouped_bound", "torch.logsumexp(by_group, 1) - log(by_group.shape[1])",
            "torch.logsumexp(by_group, 0) - log(by_group.shape[0])",
        ),
        (f"{IW}test_miwae_is_the_mean_over_groups_and_not_over_draws",),
    ),
    Fault(
        "a bound that forgets the number of draws", OBJECTIVES,
        edit("objectives.importance:grouped_bound", "log(by_group.shape[1])", "0"),
        (f"{IW}test_iwae_is_the_log_of_the_mean_weight",),
    ),
    Fault(
        "the share of the elbo given to the other bound", OBJECTIVES,
        edit(
            "objectives.importance:ImportanceWeighted._value", "torch.lerp(tight, seen.average(log_w)",
            "torch.lerp(seen.average(log_w), tight",
        ),
        (f"{IW}test_ciwae_lies_between_its_ends_in_proportion",),
    ),
    Fault(
        "weights that are not squared on the way to the encoder", OBJECTIVES,
        edit("objectives.importance:ImportanceWeighted._doubly", "tilde.square() / groups", "tilde / groups"),
        (f"{DREG}[iwae]",),
    ),
    Fault(
        "squared weights for the decoder too", OBJECTIVES,
        edit(
            "objectives.importance:ImportanceWeighted._doubly", "torch.lerp(tilde / groups, even",
            "torch.lerp(tilde.square() / groups, even",
        ),
        (f"{IW}test_both_gradients_have_one_value_and_one_decoder_gradient",),
    ),
    Fault(
        "the score left in the doubly reparameterised gradient", OBJECTIVES,
        edit("objectives.importance:ImportanceWeighted._doubly", "+ (score - score.detach())", "+ 0 * score"),
        (f"{IW}test_with_the_exact_posterior_the_encoder_gets_exactly_no_gradient",),
    ),
    Fault(
        "an encoder with the decoder's bound", OBJECTIVES,
        edit("objectives.importance:ImportanceWeighted.players", "replace(self, partial=False)", "self"),
        (f"{IW}test_partially_weighted_the_decoder_has_one_group_and_the_encoder_several",),
    ),
    Fault(
        "a Rényi bound with the sign of its order turned", OBJECTIVES,
        edit("objectives.renyi:renyi_bound", "/ (1 - order)", "/ (1 + order)"),
        (f"{IW}test_renyi_falls_with_its_order",),
    ),
    # --- rates and the aggregate posterior ---------------------------------------------------------------------------
    Fault(
        "a capacity that does not grow", OBJECTIVES,
        edit("objectives.capacity:Capacity.__call__", " * self.warmup.factor(step)", ""),
        (f"{MATCH}test_capacity_is_the_distance_from_a_growing_rate",),
    ),
    Fault(
        "a rate that may stay below its capacity", OBJECTIVES,
        edit("objectives.capacity:Capacity.__call__", ".abs()", ".clamp_min(0)"),
        (f"{MATCH}test_capacity_is_the_distance_from_a_growing_rate",),
    ),
    Fault(
        "the weight of a row's own posterior in the first column", OBJECTIVES,
        edit(
            "objectives.total_correlation:log_weights", "return weight.fill_diagonal_(-log(n))",
            "weight[:, 0] = -log(n); return weight",
        ),
        (f"{MATCH}test_stratified_sampling_is_unbiased_over_all_batches_with_the_row",),
    ),
    Fault(
        "marginals weighted as often as there are dimensions", OBJECTIVES,
        edit(
            "objectives.total_correlation:log_aggregate", "log_weight.unsqueeze(-1)",
            "z.shape[-1] * log_weight.unsqueeze(-1)",
        ),
        (f"{MATCH}test_the_total_correlation_of_a_normal_is_known",),
    ),
    Fault(
        "codes and posteriors the wrong way round", OBJECTIVES,
        edit("objectives.total_correlation:log_aggregate", "pairs + log_weight, 1)", "pairs + log_weight, 0)"),
        (f"{MATCH}test_with_the_whole_data_as_batch_it_is_exact",),
    ),
    Fault(
        "an objective that mixes rows and denies it", OBJECTIVES,
        edit("objectives.total_correlation:TotalCorrelation.mixes_rows", "return True", "return False"),
        (f"{EVERY}test_rows_mix_exactly_where_an_objective_says_so[tc-50]",),
    ),
    # --- moments and discrepancy -------------------------------------------------------------------------------------
    Fault(
        "a covariance around zero", OBJECTIVES,
        edit("objectives.dip:covariance", "q.mean - q.mean.mean(0)", "q.mean"),
        (f"{MATCH}test_the_penalty_is_that_of_numpys_covariance[diagonal-i]",),
    ),
    Fault(
        "the first variant in place of the second", OBJECTIVES,
        edit("objectives.dip:covariance", "return C + inside", "return C"),
        (f"{MATCH}test_the_penalty_is_that_of_numpys_covariance[full-ii]",),
    ),
    Fault(
        "a discrepancy with the diagonal in it", OBJECTIVES,
        edit("objectives.mmd:_off_diagonal_mean", "(k.sum(1) - k.diagonal()) / max(n - 1, 1)", "k.sum(1) / n"),
        (f"{MATCH}test_of_equal_distributions_it_is_zero_in_the_mean[rbf]",),
    ),
    Fault(
        "half of the discrepancy between the samples", OBJECTIVES,
        edit("objectives.mmd:squared_mmd", " - across.mean(0)", ""),
        (f"{MATCH}test_the_discrepancy_of_two_normals_is_known",),
    ),
    Fault(
        "a kernel of half the width", OBJECTIVES,
        edit("objectives.mmd:kernel_of", "2 * a.shape[-1]", "a.shape[-1]"),
        (f"{MATCH}test_kernels_by_hand",),
    ),
    Fault(
        "noise in the code of a regularised autoencoder", OBJECTIVES,
        edit("objectives.rae:RAE.__call__", "point=True", "point=False"),
        (f"{MATCH}test_the_code_is_the_posteriors_point",),
    ),
    # --- critics -----------------------------------------------------------------------------------------------------
    Fault(
        "a critic that teaches the encoder in its own step", OBJECTIVES,
        edit(
            "objectives.code_critics:tell_permuted", "codes_of(need_vectors(model, \"A critic of codes\"), batch)",
            "model.infer(batch).groups[0].z[0]",
        ),
        (f"{CRITICS}test_the_critics_step_reaches_nothing_but_the_critic[objective0]",),
    ),
    Fault(
        "dimensions permuted together", OBJECTIVES,
        edit(
            "objectives.code_critics:permuted", "tuple(z.shape)", "(len(z), 1)", "argsort(0)",
            "argsort(0).expand_as(z)",
        ),
        (f"{CRITICS}test_permuting_keeps_every_dimension_and_breaks_their_ties",),
    ),
    Fault(
        "a critic with yes and no exchanged", OBJECTIVES,
        edit("objectives.code_critics:tell_prior", "other, z)", "z, other)"),
        (f"{CRITICS}test_the_critic_calls_the_prior_yes_and_codes_no",),
    ),
    Fault(
        "a critic that joins in from the start", OBJECTIVES,
        edit("objectives.sharpened:Sharpened.plays", "begun(self.start, step)", "True"),
        (f"{CRITICS}test_before_its_start_the_critic_neither_plays_nor_counts",),
    ),
    Fault(
        "a critic that pulls however hard it likes", OBJECTIVES,
        edit("objectives.sharpened:balance", "return data / (critic + 1e-4)", "return torch.ones_like(data)"),
        (f"{CRITICS}test_the_critic_pulls_as_hard_as_it_may",),
    ),
    Fault(
        "a pull that all rows of a batch share", OBJECTIVES,
        edit("objectives.sharpened:size_of_slope", "flatten(1).sum(-1).sqrt()", "mean().sqrt().expand(slope.shape[1])"),
        (f"{CRITICS}test_the_critic_pulls_as_hard_as_it_may",),
    ),
    Fault(
        "a slope of all rows together", OBJECTIVES,
        edit("objectives.sharpened:Sharpened.critic_loss", "square().flatten(1).sum(-1)", "square().sum()"),
        (f"{CRITICS}test_the_hinge_and_the_slope_by_hand",),
    ),
    Fault(
        "placeholders shown to a critic", OBJECTIVES,
        edit("objectives.row_critics:real_rows", "torch.where(batch.observed, x, instead.detach())", "x"),
        (f"{CRITICS}test_what_was_not_observed_does_not_count",),
    ),
    Fault(
        "a decoder that never sits out", OBJECTIVES,
        edit("objectives.aggressive:Aggressive.decoder_plays", "(step + 1) % self.inner == 0", "True"),
        (f"{CRITICS}test_the_decoder_sits_out_all_but_every_few_steps_at_first",),
    ),
    # --- images and parts --------------------------------------------------------------------------------------------
    Fault(
        "luminance at every scale", OBJECTIVES,
        edit("nn.similarity:ms_ssim", "luminance * contrast if last else contrast", "luminance * contrast"),
        (f"{IMAGES}test_structural_similarity_agrees_with_scipy[1.0-size1-2-11]",),
    ),
    Fault(
        "slopes that are looked at now and then and count once", OBJECTIVES,
        edit("objectives.sharpened:Sharpened.critic_loss", "0.5 * self.r1 * self.r1_every", "0.5 * self.r1"),
        (f"{CRITICS}test_slopes_that_are_looked_at_now_and_then_count_as_often",),
    ),
    Fault(
        "features that are not brought to length one", OBJECTIVES,
        edit("nn.perceptual:_unit", "features / (features.square().sum(-1, keepdim=True) + EPS).sqrt()", "features"),
        ("tests/nn/test_perceptual.py::test_the_distance_is_the_mean_over_places_and_layers_of_unit_differences",),
    ),
    Fault(
        "a network that is pulled at through the real picture", OBJECTIVES,
        edit("nn.perceptual:PerceptualNet.distance", "torch.no_grad()", "torch.enable_grad()"),
        ("tests/nn/test_perceptual.py::test_gradients_reach_the_reconstruction_alone",),
    ),
    Fault(
        "blocks computed again with other random numbers", OBJECTIVES,
        edit("nn.recomputing:sparingly", "use_reentrant=False", "use_reentrant=False, preserve_rng_state=False"),
        ("tests/training/test_recomputing.py::"
         "test_gradients_are_equal_to_the_last_bit_and_less_is_kept[maps]",),
    ),
    Fault(
        "weights of another run without the tables of quantisers", OBJECTIVES,
        edit("runs.training.warm_start:learned", "isinstance(module, Quantiser)", "False"),
        ("tests/runs/test_warm_start.py::test_tables_of_quantisers_are_taken_too",),
    ),
    Fault(
        "a run that begins as if there were no other one", OBJECTIVES,
        edit("runs.training.warm_start:start_from", "own[name].copy_(other[name])", "own[name].copy_(own[name])"),
        ("tests/runs/test_warm_start.py::test_larger_pictures_begin_with_the_weights_of_small_ones",),
    ),
    Fault(
        "similarity that does not know the range of the data", OBJECTIVES,
        edit("nn.similarity:_statistics", "(0.03 * data_range)", "(0.03 * 1.0)"),
        (f"{IMAGES}test_structural_similarity_agrees_with_scipy[255.0-size0-1-7]",),
    ),
    Fault(
        "a floor of the rate that a large variance gets under", OBJECTIVES,
        edit("parts.posteriors.collapse_free:CommittedNormal.forward", "2 * scale.log() - scale.square()",
             "2 * scale.log()"),
        (f"{KEPT}test_the_rate_is_delta_plus_half_a_softplus",),
    ),
    Fault(
        "moments of the batch when nothing is trained", OBJECTIVES,
        edit("parts.posteriors.collapse_free:BatchNormedNormal._moments", "if not self.training", "if False"),
        (f"{KEPT}test_afterwards_running_moments_are_used_and_rows_are_their_own",),
    ),
    Fault(
        "skips that skip nothing", OBJECTIVES,
        edit("nn.mlp:MLPDecoder._with_skips", "layer(h) + way(given)", "layer(h) + 0 * way(given)"),
        (f"{SKIPS}test_latents_reach_the_output_when_the_first_layer_lost_them[mlp]",),
    ),
)
