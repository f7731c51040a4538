"""Faults in what knows causes: cuts, noise, what follows, penalties, effects."""

from __future__ import annotations

from .plants import LIKELIHOODS, MODELS, PRIORS, SCHEMA, VERBS, Fault, edit

CAUSES = "tests/models/test_causal.py::"
CONCEPTS = "tests/models/test_concepts.py::"
EFFECTS = "tests/models/test_effects.py::"
ORDERS = "tests/models/test_order_search.py::"

LIST = (
    # --- tables -------------------------------------------------------------------------------------------------------
    Fault(
        "what is set is drawn from its causes after all", MODELS,
        edit("models.structural:Structural._follow", "if name not in values]", "]"),
        (f"{CAUSES}test_interventions_have_the_means_and_covariances_of_the_closed_form",),
    ),
    Fault(
        "descendants of what is set that stay as they were", MODELS,
        edit("models.structural:Structural._replay", "out[:, moved] = new[:, moved]", "pass"),
        (f"{CAUSES}test_counterfactuals_are_the_closed_form",),
    ),
    Fault(
        "effects of effects that do not follow", MODELS,
        edit("models.structural:Structural._replay", "self.columns(out).groups", "self.columns(x).groups"),
        (f"{CAUSES}test_counterfactuals_are_the_closed_form",),
    ),
    Fault(
        "noise drawn anew in a counterfactual", MODELS,
        edit("distributions.exogenous:realise", "return _realise(p, e)", "return _realise(p, torch.rand_like(e))"),
        (f"{CAUSES}test_counterfactuals_are_the_closed_form",),
    ),
    Fault(
        "what is set flows back to its causes", MODELS,
        edit(
            "core.causal_graph:CausalGraph.below",
            "any(cause in start or cause in found for cause in self._causes[name])", "name not in start",
        ),
        (f"{CAUSES}test_a_graph_knows_order_parents_and_what_follows",),
    ),
    Fault(
        "wild rows that count as all others", MODELS,
        edit("models.order_search:rows_worth", "max(1.0, float(np.median(ratio)))", "1.0"),
        (f"{ORDERS}test_wild_rows_are_worth_less_as_their_fourth_moments_say",
         f"{ORDERS}test_independent_columns_with_wild_rows_stay_alone"),
    ),
    Fault(
        "arrows that do not pay for how many are tried", MODELS,
        edit("models.order_search:found_by_order", "1 + log(len(causes)) / log(rows)", "1"),
        (f"{ORDERS}test_an_arrow_pays_half_the_logarithms_of_rows_and_columns",),
    ),
    Fault(
        "a name of a graph that no column has and nobody mentions", SCHEMA,
        edit("recipes.causal:graph_of", "if name not in nodes)", "if False)"),
        (f"{CAUSES}test_a_run_without_a_graph_calls_no_correlation_a_cause",),
    ),
    Fault(
        "a learned graph that passes for a given one", VERBS,
        edit("models.causal:told", '"learned" if model.is_learned', '"given" if model.is_learned'),
        ("tests/apps/test_tables.py::test_the_graph_that_was_learned_is_shown_after_training_and_by_info",),
    ),
    Fault(
        "a circle that passes for a graph", SCHEMA,
        edit("core.causal_graph:CausalGraph.__post_init__", "_ = self.order", "pass"),
        (f"{CAUSES}test_a_circle_and_an_unknown_name_are_refused_by_name",),
    ),
    Fault(
        "a missing cause that counts as zero", MODELS,
        edit("models.structural:Structural.score", "seen & ~lacking", "seen"),
        (f"{CAUSES}test_a_row_with_a_hole_has_no_counterfactual_and_its_column_no_score",),
    ),
    Fault(
        "an intervention that cuts what leads from what is set", MODELS,
        edit("core.causal_graph:CausalGraph.cut", "e[1] not in fixed", "e[0] not in fixed"),
        (f"{CAUSES}test_a_graph_knows_order_parents_and_what_follows",),
    ),
    Fault(
        "values out of the range that nobody mentions", VERBS,
        edit("runs.verbs.causes:out_of_range", "not span[0] <= number <= span[1]", "False"),
        (f"{CAUSES}test_every_answer_says_what_it_assumes_and_what_is_out_of_range",),
    ),
    # --- concepts -----------------------------------------------------------------------------------------------------
    Fault(
        "latents that are set and still have their causes", PRIORS,
        edit("parts.priors.structural:StructuralPrior.follow", "if i in fixed", "if i in fixed and not self.n_edges"),
        (f"{CONCEPTS}test_what_is_set_cuts_its_causes_and_moves_what_follows",),
    ),
    Fault(
        "a density without the volume of the mechanisms", PRIORS,
        edit("parts.priors.structural:_Mechanisms.forward", "self.prior.mechanisms(made)[1].sum(-1)",
             "0 * self.prior.mechanisms(made)[1].sum(-1)"),
        (f"{CONCEPTS}test_the_density_is_the_product_of_the_mechanisms",),
    ),
    Fault(
        "concepts that are not known and are taught as zero", MODELS,
        edit("objectives.causal:ConceptBound.__call__", "torch.where(known, -q.log_prob(told), 0.0)",
             "(-q.log_prob(told))"),
        (f"{CONCEPTS}test_known_concepts_are_taught_to_encoder_and_graph_and_unknown_ones_are_not",),
    ),
    Fault(
        "a simulator whose counterfactuals have other noise", SCHEMA,
        edit("data.pendulum:factors_of", "np.random.default_rng((TAG, number))",
             "np.random.default_rng((TAG, number, len(set_)))"),
        (f"{CONCEPTS}test_interventions_of_the_simulator_keep_the_noise_and_cut_the_causes",),
    ),
    # --- effects and graphs that are looked for -----------------------------------------------------------------------
    Fault(
        "outcomes scored by the network of the other treatment", LIKELIHOODS,
        edit("parts.likelihoods.treated:Treated.terms", "torch.where(t, y1, y0)", "torch.where(t, y0, y1)"),
        (f"{EFFECTS}test_the_outcome_is_scored_by_the_network_of_its_treatment",),
    ),
    Fault(
        "a penalty without the square", MODELS,
        edit("objectives.acyclic:trace_exponential", "weight * weight", "weight"),
        (f"{EFFECTS}test_penalties_are_the_closed_forms_and_vanish_without_circles",),
    ),
    Fault(
        "a graph that validation settles", MODELS,
        edit("objectives.acyclic:GraphSearch.__call__", " and model.training", ""),
        (f"{EFFECTS}test_a_search_finds_the_arrows_and_then_stays",),
    ),
    Fault(
        "arrows kept in a circle", MODELS,
        edit("models.structural:without_circles", "if not bool(reach[effect, cause])", "if True"),
        (f"{EFFECTS}test_arrows_are_kept_from_the_strongest_down_without_a_circle",),
    ),
    Fault(
        "arrows that cost nothing", MODELS,
        edit("core.order_search:BlockScore._of", "self.price / 2 * len(own)", "0 * len(own)"),
        (f"{ORDERS}test_the_score_is_the_criterion_of_a_regression",),
    ),
    Fault(
        "causes that stand after their effect", MODELS,
        edit("core.order_search:best_graph", "frozenset(order[:k])", "frozenset(order) - {thing}"),
        (f"{ORDERS}test_the_best_order_is_that_of_all_orders_and_all_sets_of_causes",),
    ),
    Fault(
        "things that change places and keep their old causes", MODELS,
        edit("core.order_search:Orders.moved", "for k in (low, low + 1):", "for k in (low,):"),
        (f"{ORDERS}test_a_move_gains_what_it_says",),
    ),
    Fault(
        "holes that are read as numbers in a search for a graph", MODELS,
        edit("models.order_search:found_by_order", "batch.tensor[batch.observed.all(1)]", "batch.tensor"),
        (f"{ORDERS}test_rows_with_holes_are_left_out_and_too_few_whole_ones_refused",),
    ),
    Fault(
        "a search that sees straight lines alone", MODELS,
        edit("models.order_search:found_by_order", "bent=net.n_hidden > 0", "bent=False"),
        (f"{ORDERS}test_straight_mechanisms_miss_a_square_that_bent_ones_find",),
    ),
    Fault(
        "strengths of arrows that forget what comes after the hidden units", MODELS,
        edit("parts.mechanisms:ColumnMechanisms.strengths", "(after.unsqueeze(-1) * self.inner**2)", "(self.inner**2)"),
        (f"{ORDERS}test_the_strength_of_an_arrow_is_that_of_all_ways_and_no_scale_of_hidden_units_hides_it",),
    ),
    Fault(
        "private training of a graph found before it", MODELS,
        edit("training.private:refuse_mixing", "if model.looks_first:", "if False:"),
        (f"{ORDERS}test_private_training_looks_at_no_row_first",),
    ),
    Fault(
        "a model around another whose prior is left behind", MODELS,
        edit("models.wrapped:Wrapped.after_step", "self.inner.after_step(total)", "pass"),
        ("tests/models/test_wrapped.py::test_a_step_reaches_what_follows_rows_inside",),
    ),
    Fault(
        "codes paired with sources in their order", MODELS,
        edit("evaluation.identifiability:mean_correlation", "linear_sum_assignment(-found)",
             "(np.arange(min(found.shape)),) * 2"),
        (f"{EFFECTS}test_the_score_pairs_codes_and_sources_as_the_best_permutation_does",),
    ),
)
