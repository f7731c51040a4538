"""Faults in rows of several modalities: experts, their bound, the kind, and what is told from what."""

from __future__ import annotations

from .plants import MODELS, OBJECTIVES, POSTERIORS, SCHEMA, VERBS, Fault, edit

EXPERTS = "tests/parts/test_experts.py::"
DATA = "tests/data/test_multimodal.py::"
RUNS = "tests/runs/test_multimodal.py::"

LIST = (
    Fault(
        "a product of experts without the prior",
        MODELS,
        edit(
            "parts.posteriors.experts:Experts._product",
            "1.0 if self.prior_expert else",
            "0.0 if self.prior_expert else",
        ),
        (
            f"{EXPERTS}test_the_product_of_exact_experts_and_the_prior_is_the_posterior_so_that_every_draw_weighs_the_"
            "evidence[a-b-c]",
        ),
    ),
    Fault(
        "an expert for a modality that a row lacks",
        MODELS,
        edit(
            "parts.posteriors.experts:Experts._used",
            "self.members.unsqueeze(2) & seen",
            "self.members.unsqueeze(2) | ~seen",
        ),
        (f"{EXPERTS}test_weights_of_draws_add_up_and_what_a_row_lacks_weighs_nothing",),
    ),
    Fault(
        "subsets that weigh alike whatever a row has",
        MODELS,
        edit(
            "parts.posteriors.experts:Experts._used",
            "-whole.sum(0).to(dtype).log()",
            "-torch.full_like(whole.sum(0).to(dtype), 7.0).log()",
        ),
        (f"{EXPERTS}test_weights_of_draws_add_up_and_what_a_row_lacks_weighs_nothing",),
    ),
    Fault(
        "draws that are not weighed by their number",
        MODELS,
        edit("parts.posteriors.experts:Experts.propose", "weight - log(n_samples)", "weight"),
        (f"{EXPERTS}test_weights_of_draws_add_up_and_what_a_row_lacks_weighs_nothing",),
    ),
    Fault(
        "the point of any component",
        MODELS,
        edit("parts.posteriors.experts:Experts._point", "size == size.max(0).values", "size >= 1"),
        (f"{EXPERTS}test_the_point_of_a_mixture_of_products_is_that_of_the_product_of_all_that_a_row_has",),
    ),
    Fault(
        "private latents of another modality",
        MODELS,
        edit("parts.likelihoods.modalities:ModalLikelihood.latents_of", "shared + m * self.private", "shared"),
        (f"{EXPERTS}test_private_latents_of_other_modalities_follow_the_prior_and_are_seen_by_their_own_alone",),
    ),
    Fault(
        "private latents of others from an expert",
        MODELS,
        edit(
            "parts.posteriors.experts:Experts._product",
            "torch.where(own, scale[m, :, self.shared :], 1.0)",
            "scale[m, :, self.shared :]",
        ),
        (f"{EXPERTS}test_private_latents_of_other_modalities_follow_the_prior_and_are_seen_by_their_own_alone",),
    ),
    Fault(
        "a joint posterior for rows that lack something",
        MODELS,
        edit("parts.posteriors.experts:JointExperts.forward", "seen.all(0)", "seen.any(0)"),
        (f"{EXPERTS}test_a_joint_posterior_is_taken_where_a_row_has_everything_and_the_experts_where_not",),
    ),
    Fault(
        "weights by the size and not by one over it",
        OBJECTIVES,
        edit("objectives.modalities:ModalBound.weights", "mean / size", "size / mean"),
        (f"{EXPERTS}test_weights_go_by_the_size_of_a_modality_and_keep_the_sum",),
    ),
    Fault(
        "a total correlation over modalities that are not there",
        OBJECTIVES,
        edit("objectives.modalities:count_present", "n = n - (~there).to(n.dtype)", "n = n + 0 * (~there).to(n.dtype)"),
        (f"{EXPERTS}test_the_total_correlation_bound_by_hand",),
    ),
    Fault(
        "a pull to experts that a row does not have",
        OBJECTIVES,
        edit(
            "objectives.modalities:pulled",
            "gap if name not in rows else torch.where(rows[name], gap, torch.zeros_like(gap))",
            "gap",
        ),
        (f"{EXPERTS}test_the_pull_of_experts_adds_what_it_says",),
    ),
    Fault(
        "rows of a modality one place too early",
        SCHEMA,
        edit("data.multimodal.rows:Together.__init__", "np.cumsum(seen) - 1", "np.maximum(np.cumsum(seen) - 2, 0)"),
        (f"{DATA}test_rows_come_back_as_they_were",),
    ),
    Fault(
        "words learned from rows that are held out",
        SCHEMA,
        edit("data.multimodal.kind:MultimodalKind._decided", "if not kind.learns:", "if True:"),
        (f"{DATA}test_words_are_learned_from_training_rows_alone",),
    ),
    Fault(
        "frames joined in the order of their rows",
        SCHEMA,
        edit(
            "data.multimodal.pieces:_joined", "[where[k] for k in frame[key]]", "[i for i, _ in enumerate(frame[key])]"
        ),
        (f"{DATA}test_frames_with_a_key_are_joined_by_it",),
    ),
    Fault(
        "files of a stranger's table opened",
        SCHEMA,
        edit("data.multimodal.out:need_own_files", "if named and", "if not named and"),
        (f"{DATA}test_a_table_of_a_stranger_reads_no_files",),
    ),
    Fault(
        "a crossing that looks at what is wanted",
        VERBS,
        edit("runs.verbs.cross:cross", "some = only_with(batch, list(seen))", "some = batch"),
        (f"{RUNS}test_one_view_tells_of_the_other",),
    ),
    Fault(
        "an mvtcae whose prior is an expert", POSTERIORS,
        edit("recipes.modalities:mvtcae", "prior_expert=False, ", ""),
        (f"{RUNS}test_the_prior_is_an_expert_of_mvae_and_none_of_mvtcae",),
    ),
)
