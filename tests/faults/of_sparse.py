"""Faults of sparse rows and of recommendation: what is counted, held out, ranked and explained wrongly."""

from __future__ import annotations

from .plants import LIKELIHOODS, OBJECTIVES, SCHEMA, VERBS, Fault, edit

MULTINOMIAL = "tests/distributions/test_multinomial.py::"
ROWS = "tests/data/test_sparse.py::"
LOGS = "tests/data/test_interactions.py::"
RANKING = "tests/evaluation/test_ranking.py::"
SIMPLE = "tests/evaluation/test_recommenders.py::"
RUNS = "tests/runs/test_recommending.py::"
PARTS = "tests/nn/test_profile.py::"
FACTS = "tests/data/test_interaction_facts.py::"
ITEMS = "tests/nn/test_items.py::"
COLD = "tests/runs/test_cold_start.py::"

LIST = (
    Fault(
        "a multinomial without its arrangements", LIKELIHOODS,
        edit("distributions.multinomial:log_arrangements", "total - torch.lgamma(x + 1).sum(-1)", "total"),
        (f"{MULTINOMIAL}test_log_prob_is_scipys",),
    ),
    Fault(
        "a multinomial whose draws have one item too few", LIKELIHOODS,
        edit("distributions.multinomial:MultinomialGivenTotal.from_noise", "width=(self.total,)",
             "width=(max(1, self.total - 1),)"),
        (f"{MULTINOMIAL}test_draws_have_the_total_and_the_shares",),
    ),
    Fault(
        "sparse rows that come in ascending order", SCHEMA,
        edit("data.sparse:Sparse.places", "at = as_index(index)", "at = np.sort(as_index(index))"),
        (f"{ROWS}test_rows_are_scipys",),
    ),
    Fault(
        "leading zeros of identifiers that are lost", SCHEMA,
        edit("data.interactions.log:identifiers", "WHOLE.fullmatch(v) and -(2**63)", "v.isdigit() and -(2**63)"),
        (f"{LOGS}test_identifiers_come_back_unchanged",),
    ),
    Fault(
        "counts that are added to another user", SCHEMA,
        edit("data.interactions.prepared:interactions", "count=total[np.argsort(order[first])]", "count=total"),
        (f"{LOGS}test_added_counts_stay_with_their_user_and_item",),
    ),
    Fault(
        "thresholds that are looked at once", SCHEMA,
        edit("data.interactions.prepared:thinned", "log = log.where(keep)", "log = log.where(keep); break"),
        (f"{LOGS}test_thresholds_are_repeated_until_both_hold",),
    ),
    Fault(
        "users of whom everything is hidden", SCHEMA,
        edit("data.histories:folded", "np.where(n > 1, ", "np.where(n > 0, "),
        (f"{LOGS}test_about_a_fifth_of_the_items_of_a_user_is_hidden_and_never_all",),
    ),
    Fault(
        "what is hidden of a row that follows from where it stands", SCHEMA,
        edit("data.histories:shuffled", "key = mixed(each ^ whole[row])", "key = mixed(each ^ row.astype(np.uint64))"),
        (f"{LOGS}test_what_is_hidden_follows_from_the_row_alone",),
    ),
    Fault(
        "the first item held out in the place of the last", SCHEMA,
        edit("data.interactions.prepared:held_out", "(np.arange(len(log.user)), log.time, log.user)",
             "(np.arange(len(log.user)), -log.time, log.user)"),
        (f"{LOGS}test_the_last_item_of_every_user_is_held_out",),
    ),
    Fault(
        "recommended what one has", VERBS,
        edit("evaluation.ranking:unseen", "= -torch.inf", "-= 0.0"),
        (f"{RUNS}test_what_a_user_has_is_never_recommended", f"{RANKING}test_by_hand"),
    ),
    Fault(
        "a recall whose denominator is what was held out", VERBS,
        edit("evaluation.ranking:rank", "/ np.minimum(k, n) for k", "/ n for k"),
        (f"{RANKING}test_the_denominator_of_recall_is_what_can_be_found",),
    ),
    Fault(
        "a discount that begins one rank too late", VERBS,
        edit("evaluation.ranking:rank", "1 / np.log2(ranks + 2.0)", "1 / np.log2(ranks + 3.0)"),
        (f"{RANKING}test_by_hand",),
    ),
    Fault(
        "EASE with a diagonal", VERBS,
        edit("evaluation.recommenders:EASE.__init__", "np.fill_diagonal(self.map, 0.0)", "pass"),
        (f"{SIMPLE}test_ease_solves_its_normal_equations",),
    ),
    Fault(
        "the number of a simple method that is the worst on validation users", VERBS,
        edit("evaluation.recommending:best", "if gain > top:", "if found is None or gain < top:"),
        (f"{SIMPLE}test_the_setting_is_chosen_on_validation_users",),
    ),
    Fault(
        "reasons that are added up over all orders", VERBS,
        edit("evaluation.reasons:reasons", "gains[order] += np.diff(scores, axis=0) / len(orders)",
             "gains[order] += np.diff(scores, axis=0)"),
        (f"{RUNS}test_contributions_add_up_to_the_score",),
    ),
    Fault(
        "a rate that counts alike whatever a row has", OBJECTIVES,
        edit("objectives.by_length:entries_of", "there.flatten(1).sum(1)", "there.flatten(1).sum(1) * 0 + 1"),
        (f"{PARTS}test_the_rate_counts_as_much_as_a_row_has",),
    ),
    Fault(
        "an old posterior that is the present one", OBJECTIVES,
        edit("parts.priors.composite:CompositePrior.after_step", "% self.every == 0", "% self.every >= 0"),
        (f"{PARTS}test_the_old_posterior_follows_now_and_then",),
    ),
    Fault(
        "dropped units without a larger weight for the others", OBJECTIVES,
        edit("nn.profile:DroppedUnits.kept", "x / (1 - self.share)", "x"),
        ("tests/nn/test_profile.py::test_dropped_units_are_as_many_as_asked_and_the_others_keep_the_mean",),
    ),
    Fault(
        "a sparse layer that forgets the values", OBJECTIVES,
        edit("nn.profile:SparseInput.forward", "found.value.to(self.weight.dtype)",
             "torch.ones_like(found.value).to(self.weight.dtype)"),
        (f"{PARTS}test_the_sparse_layer_is_the_dense_one",),
    ),
    Fault(
        "what is in a row taken for what is beside it", LIKELIHOODS,
        edit("core.entries:entries_of", "at % x.shape[1]", "(at + 1) % x.shape[1]"),
        (f"{PARTS}test_what_is_there_gives_the_features_of_whole_rows",),
    ),
    Fault(
        "inputs dropped by where a row stands in its piece", LIKELIHOODS,
        edit("core.scattered:row_keys", "row_dim=0", "row_dim=9"),
        (f"{PARTS}test_what_a_row_loses_is_a_rows_alone",),
    ),
    Fault(
        "a gradient of many shares without what was expected", LIKELIHOODS,
        edit("distributions.multinomial:_OfEntries.backward", "found[some] *= weight[some]", "found[some] *= 0"),
        (f"{MULTINOMIAL}test_many_shares_give_the_same_number_and_the_same_gradient",),
    ),
    Fault(
        "facts of the user who stands in that line of the table", SCHEMA,
        edit("data.interactions.facts:Facts.of", "self.frame.reindex([str(i) for i in ids])",
             "self.frame.iloc[: len(ids)].set_axis([str(i) for i in ids[: len(self.frame)]])"),
        (f"{FACTS}test_users_have_the_facts_of_their_line_by_their_identifier",),
    ),
    Fault(
        "facts that are decided by users who are not in the log", SCHEMA,
        edit("data.interactions.facts:decided", "there = facts.of(ids)", "there = facts.frame"),
        (f"{FACTS}test_facts_follow_from_users_of_the_log_alone",),
    ),
    Fault(
        "items whose own part explains what facts could", VERBS,
        edit("nn.items:ItemDecoder._own", "u >= self.share_alone", "u >= 0"),
        (f"{ITEMS}test_some_rows_of_training_are_decoded_from_facts_alone",),
    ),
    Fault(
        "a newcomer out of the range of the training data that nobody mentions", SCHEMA,
        edit("data.interactions.facts:strange", "low <= float(v) <= high", "True"),
        (f"{FACTS}test_a_number_of_a_newcomer_that_is_out_of_range_is_said_and_so_is_a_table_without_newcomers",),
    ),
    Fault(
        "notes that a printed table leaves out", VERBS,
        edit("apps.cli.outside:_said", 'for note in said.get("notes", ())', "for note in ()"),
        (f"{COLD}test_the_command_line_ranks_newcomers_for_a_new_user",),
    ),
    Fault(
        "new items whose share is not one of all", VERBS,
        edit("evaluation.recommending:with_newcomers", "known.logsumexp(1, keepdim=True)",
             "0 * known.logsumexp(1, keepdim=True)"),
        (f"{COLD}test_an_item_that_nobody_had_has_the_share_of_its_genre",),
    ),
    Fault(
        "a new user of whom nothing is known, whatever is given", VERBS,
        edit("runs.verbs.recommend:condition_of_one", "[asked.get(name)]", "[None]"),
        (f"{COLD}test_what_is_known_of_a_user_is_used",),
    ),
)
