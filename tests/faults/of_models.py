"""Faults of models beyond the flat one: hierarchies, labels, parts of rows."""

from __future__ import annotations

from .plants import MODELS, Fault, edit

ZOO = "tests/models/test_zoo.py::"
EXACT = "tests/models/test_hierarchies.py::"
LABELS = "tests/models/test_labels.py::"
RUNS = "tests/runs/test_zoo_recipes.py::"
MISSING = "tests/data/test_labels_missing.py::"

LIST = (
    # --- hierarchies -------------------------------------------------------------------------------------------------
    Fault(
        "a closed rate of the lower group of a bottom-up model", MODELS,
        edit(
            "models.stacked:Stacked.infer", 'Group("z1", wide, q, None, analytic=False, log_p=log_p)',
            'Group("z1", wide, q, StandardNormal(wide.shape[-1]).to(wide)())',
            "value, q = self.lower(", "from ..parts.priors import StandardNormal; value, q = self.lower(",
        ),
        (f"{EXACT}test_with_exact_posteriors_every_draw_weighs_the_evidence[bottom_up]",),
    ),
    Fault(
        "a ladder that adds variances where precisions belong", MODELS,
        edit("parts.conditionals:merged", "variance = (u + v).reciprocal()", "variance = 1 / u + 1 / v"),
        (f"{EXACT}test_merging_multiplies_densities",),
    ),
    Fault(
        "a ladder whose posterior forgets what the level above expects", MODELS,
        edit("parts.conditionals:Merged.posterior", "merged(self.recognition(features), p)",
             "self.recognition(features)"),
        (f"{EXACT}test_with_exact_posteriors_every_draw_weighs_the_evidence[ladder]",),
    ),
    Fault(
        "a rung that reads the features of another level", MODELS,
        edit("models.top_down:TopDown.infer", "len(self.rungs) - 1 - i", "i"),
        (f"{ZOO}test_shapes[ladder]",),
    ),
    Fault(
        "a rate that is closed once and not for each draw", MODELS,
        edit("models.base:Group.rate", "else self.closed", "else self.closed[:1]"),
        (f"{EXACT}test_the_elbo_uses_closed_rates_only_where_they_are_valid[concatenated]",
         f"{ZOO}test_closed_rates_agree_with_monte_carlo[two_level]"),
    ),
    Fault(
        "draws of conditionals whose rows are taken for draws", MODELS,
        edit("models.top_down:TopDown.infer", "grad=grad, lead=1", "grad=grad, lead=0"),
        (f"{ZOO}test_pieces_give_what_the_whole_gives[two_level]",),
    ),
    Fault(
        "a very deep prior that is drawn too narrow", MODELS,
        edit("models.very_deep:VeryDeep.sample_prior", "found.append(draw(p, grad=False))",
             "found.append(draw(p, grad=False) * 0.5)"),
        (f"{ZOO}test_latents_are_drawn_from_the_priors_that_score_them[very_deep]",),
    ),
    Fault(
        "copies of a row that share their numbers across rows", MODELS,
        edit("core.random:CopiedRows._ask", "permute(0, 3, 1, 2,", "transpose(1, 2).permute(0, 3, 1, 2,"),
        (f"{ZOO}test_a_row_depends_on_itself_alone[stacked]", f"{ZOO}test_pieces_give_what_the_whole_gives[stacked]"),
    ),
    # --- labels ------------------------------------------------------------------------------------------------------
    Fault(
        "an unlabelled row without the entropy of its label", MODELS,
        edit("models.semi_supervised:SemiSupervised.weights", "return log_mix - log(n_samples), log_q",
             "return log_mix - log(n_samples), torch.zeros_like(log_q)"),
        (f"{LABELS}test_the_elbo_weighs_labels_and_pays_for_their_entropy",),
    ),
    Fault(
        "a labelled row that pays for its classifier in the bound", MODELS,
        edit("models.semi_supervised:SemiSupervised.weights",
             "log_q = torch.where(known, torch.zeros_like(log_q), log_q)", "log_q = log_q"),
        (f"{LABELS}test_of_a_known_label_only_its_class_counts",),
    ),
    Fault(
        "a label prior that is left out", MODELS,
        edit("models.semi_supervised:SemiSupervised.infer", "-log(self.n_classes)", "0.0"),
        (f"{LABELS}test_the_bound_sums_over_labels",
         f"{ZOO}test_densities_add_up_to_one_and_agree_with_samples[m2]"),
    ),
    Fault(
        "samples of a class that are weighted as if there were one", MODELS,
        edit("models.semi_supervised:SemiSupervised.weights", "return log_mix - log(n_samples)", "return log_mix - 0"),
        (f"{LABELS}test_the_bound_sums_over_labels",),
    ),
    Fault(
        "a balance that counts rows whose label is known", MODELS,
        edit("objectives.labels:imbalance", "(~batch.y_known)", "torch.ones_like(batch.y_known)"),
        (f"{LABELS}test_a_balance_weighs_how_frequent_the_classes_of_unlabelled_rows_are",),
    ),
    Fault(
        "a balance without a gradient once a class is certain", MODELS,
        edit(
            "objectives.labels:imbalance", "told.logsumexp(0) - free.sum().clamp_min(1).log()",
            "(told.exp().sum(0) / free.sum().clamp_min(1)).log()", "log_mean.exp() * (log_mean + log(log_q.shape[1]))",
            "torch.special.xlogy(log_mean.exp(), log_mean.exp())",
        ),
        (f"{LABELS}test_gradients_stay_finite_where_a_class_is_certain",),
    ),
    Fault(
        "labels that are taken for known everywhere", MODELS,
        edit("models.semi_supervised:SemiSupervised.weights",
             "torch.ones_like(batch.y, dtype=torch.bool) if batch.y_known is None else batch.y_known",
             "torch.ones_like(batch.y, dtype=torch.bool)"),
        (f"{LABELS}test_labelled_and_unlabelled_rows_share_a_batch",),
    ),
    Fault(
        "a classification loss on rows without a label", MODELS,
        edit("objectives.labels:cross_entropy", "return own if batch.y_known is None else", "return own if True else"),
        (f"{LABELS}test_the_classification_loss_is_weighted_and_of_labelled_rows",),
    ),
    Fault(
        "a model that is judged with its labels", MODELS,
        edit("models.semi_supervised:SemiSupervised.scored", "replace(batch, y=None, y_known=None)", "batch"),
        (f"{RUNS}test_what_is_judged_does_not_depend_on_labels",),
    ),
    Fault(
        "the code of the first class instead of the likeliest", MODELS,
        edit("models.base:Inference.chosen", "if self.log_mix is None:", "if True:"),
        (f"{LABELS}test_the_code_of_a_row_is_that_of_its_class",),
    ),
    Fault(
        "a probe that moves the encoder's codes", MODELS,
        edit("objectives.labels:Layerwise.upper", "with torch.no_grad():", "if True:"),
        (f"{LABELS}test_layer_by_layer_each_player_moves_its_own_layer",),
    ),
    Fault(
        "a model of codes that is sure of them before it has seen any", MODELS,
        edit("nn.layers:calmed", "layer.weight.mul_(0.1)", "pass"),
        (f"{LABELS}test_a_model_of_codes_begins_with_a_wide_likelihood",),
    ),
    Fault(
        "a lower prior of two levels that is shallower than its paper's", MODELS,
        edit("recipes.hierarchies:hvae_2", "deep=True, ", ""),
        (f"{RUNS}test_the_lower_prior_of_two_levels_has_all_hidden_layers",),
    ),
    Fault(
        "weights that are kept for the lower layer's sake alone", MODELS,
        edit("objectives.labels:Layerwise.held_out", "together(first, self.upper)", "first"),
        ("tests/runs/test_zoo_recipes.py::test_the_weights_that_are_kept_are_good_for_both_layers",),
    ),
    Fault(
        "a lower layer that moves on under the upper one", MODELS,
        edit("objectives.labels:Layerwise.lower_plays", "return self.start == 0 or not", "return True or not"),
        (f"{LABELS}test_the_upper_layer_begins_where_the_lower_one_ends",),
    ),
    Fault(
        "an upper layer that is shown one point of each row, always the same", MODELS,
        edit("objectives.labels:Layerwise.upper", "x=codes[0]", "x=model.posterior(batch).mean.detach()"),
        (f"{LABELS}test_the_upper_layer_learns_from_draws",),
    ),
    Fault(
        "minus one as a class", MODELS,
        edit("data.labels:make_label", "distinct -= {-1}", "pass"),
        (f"{MISSING}test_classes_of_a_model_stay_what_they_are_in_other_data",),
    ),
    # --- a part given the rest ---------------------------------------------------------------------------------------
    Fault(
        "a score of what was given", MODELS,
        edit("models.structured:Structured.scored", "rest = (~self.observed)", "rest = (self.observed | True)"),
        (f"{LABELS}test_densities_of_the_rest_add_up_to_one_for_each_given_part",),
    ),
    Fault(
        "a condition that sees what is to be predicted", MODELS,
        edit("models.structured:Structured.condition", "[:, self.observed]", "[:, ~self.observed][:, :1]"),
        (f"{LABELS}test_what_is_to_be_predicted_is_not_looked_at",),
    ),
)

SEQUENCES = "tests/models/test_sequences.py::"
LENGTHS = "tests/data/test_lengths.py::"
EXACT_STEPS = f"{SEQUENCES}test_with_the_exact_posterior_every_draw_weighs_the_evidence"

LIST += (
    Fault(
        "padding that is scored", MODELS,
        edit("distributions.sequence:Sequence.log_prob", "torch.where(self.valid, log_p,",
             "torch.where(self.valid | True, log_p,"),
        (f"{EXACT_STEPS}[lengths1]",),
    ),
    Fault(
        "a network against time that begins in the padding", MODELS,
        edit("nn.recurrent:backwards", "last = valid.sum(1, keepdim=True) - 1",
             "last = torch.full_like(valid[:, :1].long(), valid.shape[1] - 1)",
             "torch.where(valid, last - steps, steps)", "last - steps"),
        (f"{SEQUENCES}test_rows_are_turned_within_their_own_steps",),
    ),
    Fault(
        "latents of the rows that are shown, and not of those that are scored", MODELS,
        edit("models.state_space:without_padding", "(batch, other) if", "(batch,) if"),
        (f"{SEQUENCES}test_steps_that_no_row_has_are_not_gone_through[True]",),
    ),
    Fault(
        "a transition from a step to itself", MODELS,
        edit("models.state_space:StateSpace._before", "torch.cat([first, z[:, :, :-1]], 2)", "z"),
        (f"{EXACT_STEPS}[lengths0]",),
    ),
    Fault(
        "rates summed over padding", MODELS,
        edit("distributions.sequence:summed", "torch.where(valid, values,", "torch.where(valid | True, values,"),
        (f"{SEQUENCES}test_what_stands_behind_the_end_changes_nothing[7-0.0-state_space]",),
    ),
    Fault(
        "a state that is not fed with its own draw", MODELS,
        edit("models.vrnn:VRNN.infer", "h = self.advance(own_x[:, t], decoded)",
             "h = self.advance(own_x[:, t], torch.zeros_like(decoded))"),
        (f"{ZOO}test_densities_add_up_to_one_and_agree_with_samples[vrnn]",),
    ),
    Fault(
        "sampled steps whose state forgets what was drawn", MODELS,
        edit("models.vrnn:VRNN.roll", "torch.ones_like(x, dtype=torch.bool))), decoded)",
             "torch.ones_like(x, dtype=torch.bool))), decoded * 0)"),
        (f"{ZOO}test_densities_add_up_to_one_and_agree_with_samples[vrnn]",),
    ),
    Fault(
        "lengths that count the NaN", MODELS,
        edit("data.lengths:_padded", "seen[:, ::-1]", "seen"),
        (f"{LENGTHS}test_nan_behind_the_end_is_padding",),
    ),
)
