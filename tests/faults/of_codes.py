"""Faults of codes and of decoders that go entry by entry."""

from __future__ import annotations

from .plants import CODES, Fault, edit

QUANTISERS = "tests/parts/test_quantisers.py::"
CHAINED = "tests/parts/test_autoregressive.py::"
MODEL = "tests/models/test_quantised.py::"
LOOP = "tests/training/test_codes.py::"

LIST = (
    Fault(
        "a codebook that moves while the step is under way", CODES,
        edit(
            "parts.quantisers.codebooks:Codebook.observe", "self.usage.observe(codes)",
            "self.usage.observe(codes); self.vectors.mul_(1.01)",
        ),
        (f"{QUANTISERS}test_running_means_move_as_computed_by_hand",),
    ),
    Fault(
        "running means without their smoothing", CODES,
        edit(
            "parts.quantisers.codebooks:smoothed", "(counts + epsilon) / (n + len(counts) * epsilon) * n",
            "counts.clamp_min(epsilon)",
        ),
        (f"{QUANTISERS}test_smoothing_keeps_the_sum_and_lets_no_count_be_zero",),
    ),
    Fault(
        "sums of one process only", CODES,
        edit(
            "parts.quantisers.codebooks:Codebook.settle", "new, candidates = total(self.moved)",
            "new, candidates = self.moved.clone()",
        ),
        (f"{QUANTISERS}test_pieces_of_a_step_move_a_codebook_as_the_whole_does[cuts0-True]",),
    ),
    Fault(
        "sums that are emptied before they are used", CODES,
        edit(
            "parts.quantisers.codebooks:Codebook.settle", "share = self.usage.settle(total)",
            "share = self.usage.settle(total); self.moved.zero_()",
        ),
        (f"{QUANTISERS}test_running_means_move_as_computed_by_hand",),
    ),
    Fault(
        "dead codes that stay dead", CODES,
        edit("parts.quantisers.codebooks:Codebook.settle", "counts < self.revive * mean", "counts < 0 * mean"),
        (f"{QUANTISERS}test_dead_codes_start_anew_where_data_are[False]",),
    ),
    Fault(
        "candidates from the first rows of every piece", CODES,
        edit("parts.quantisers.codebooks:Codebook._candidates", " - noise.offset", ""),
        (f"{QUANTISERS}test_pieces_of_a_step_move_a_codebook_as_the_whole_does[cuts0-True]",),
    ),
    Fault(
        "a commitment that grows with the batch", CODES,
        edit(
            "parts.quantisers.vector:commitment_of", "(x - q.detach()).square().flatten(1).sum(-1)",
            "(x - q.detach()).square().sum().expand(len(x))",
        ),
        (f"{QUANTISERS}test_the_terms_of_a_row_do_not_know_the_size_of_its_batch[vq]",),
    ),
    Fault(
        "a commitment that pulls the codebook", CODES,
        edit("parts.quantisers.vector:commitment_of", "q.detach()", "q"),
        (f"{QUANTISERS}test_commitment_moves_vectors_and_the_codebook_term_the_codebook",),
    ),
    Fault(
        "a gradient that does not pass the rounding", CODES,
        edit("parts.quantisers.vector:straight_through", "x + (q - x).detach()", "q + 0 * x"),
        (f"{QUANTISERS}test_straight_through_is_the_value_of_one_and_the_gradient_of_the_other",),
    ),
    Fault(
        "a rotation without its reflection", CODES,
        edit("parts.quantisers.vector:rotated", "x - 2 * (x * r)", "x - 1 * (x * r)"),
        (f"{QUANTISERS}test_the_rotation_is_the_published_one",),
    ),
    Fault(
        "residuals that are not taken", CODES,
        edit("parts.quantisers.vector:ResidualVQ.forward", "rest - q.detach(), total + q", "rest, total + q"),
        (f"{QUANTISERS}test_residual_codes_are_greedy",),
    ),
    Fault(
        "digits of a code in another base", CODES,
        edit("parts.quantisers.scalar:FSQ.embed", "% self.sizes", "% self.sizes.flip(0)"),
        (f"{QUANTISERS}test_codes_and_points_of_a_grid_are_one_to_one[fsq of three]",),
    ),
    Fault(
        "a perplexity in bits", CODES,
        edit("parts.quantisers.codebooks:perplexity", "torch.exp(", "torch.exp2("),
        (f"{QUANTISERS}test_perplexity_of_counts_made_by_hand",),
    ),
    Fault(
        "a prior that learns where it should not count codes", CODES,
        edit("models.quantised:Quantised.codes", "self.quantise(batch)", "self.quantise(batch, learn=True)"),
        (f"{MODEL}test_only_the_first_player_counts_codes[vq]",),
    ),
    Fault(
        "a loss whose parts do not add up, without the rate", CODES,
        edit("objectives.quantised:terms_of", "loss = distortion + rate", "loss = distortion"),
        (f"{MODEL}test_the_parts_add_up_and_the_watch_holds_what_people_want[vq]",),
    ),
    Fault(
        "a loop that forgets the codebooks", CODES,
        edit("training.loop:Training._step", "self.model.after_step(self.comms.sum)", "pass"),
        (f"{LOOP}test_a_codebook_moves_once_a_step_by_the_rows_of_the_step",),
    ),
    Fault(
        "a transformer that sees the code it predicts", CODES,
        edit(
            "parts.priors.codes:TransformerCodes.logits", "torch.cat([first, self.codes(codes[:, :-1])], 1)",
            "self.codes(codes)",
        ),
        (f"{CHAINED}test_a_prior_over_codes_is_normalised_at_any_temperature[<lambda>2]",),
    ),
    Fault(
        "attention that looks ahead", CODES,
        edit("parts.priors.codes:_Layer.forward", "is_causal=True", "is_causal=False"),
        (f"{CHAINED}test_a_prior_over_codes_is_normalised_at_any_temperature[<lambda>2]",),
    ),
    Fault(
        "colours that see themselves", CODES,
        edit("nn.causal:grouped", "out[:, None] > of[None, :] if strict", "out[:, None] >= of[None, :] if strict"),
        (f"{CHAINED}test_an_entry_depends_on_earlier_ones_only[pixelcnn]",),
    ),
    Fault(
        "a first layer that sees its own row", CODES,
        edit("nn.causal:AboveConv.forward", "h[..., :-1, :] if self.first", "h[..., 1:, :] if self.first"),
        (f"{CHAINED}test_an_entry_depends_on_earlier_ones_only[pixelcnn]",),
    ),
    Fault(
        "a mask of a vector's output that is not strict", CODES,
        edit(
            "nn.causal:MaskedNet.__init__", "inputs[:, None] > seen[-1][None, :]",
            "inputs[:, None] >= seen[-1][None, :]",
        ),
        (f"{CHAINED}test_an_entry_depends_on_earlier_ones_only[made]",),
    ),
    Fault(
        "draws that all start from nothing", CODES,
        edit("distributions.autoregressive:Autoregressive.decode",
             "one = self.entry(x.view(*rows, *self.event_shape), i)",
             "one = self.entry(torch.zeros_like(x).view(*rows, *self.event_shape), i)"),
        (f"{CHAINED}test_draws_are_as_frequent_as_they_are_likely[<lambda>1]",),
    ),
)
