"""Faults among sites: means, bounds, what crosses, secure sums, restarts and the schema from sums."""

from __future__ import annotations

from .plants import CHECKPOINT, LOOP, SCHEMA, VERBS, Fault, edit

MEAN = "tests/federated/test_mean.py::"
ROUNDS = "tests/federated/test_rounds.py::"
PRIVATE = "tests/federated/test_private.py::"
SCHEMAS = "tests/federated/test_schema.py::"

LIST = (
    Fault(
        "a mean that forgets how many rows a site has", LOOP,
        edit("federated.grids:Wire._record", 'self.weigh == "rows"', "False"),
        (f"{MEAN}test_the_mean_is_weighted_by_rows",),
    ),
    Fault(
        "an update that is longer than the bound and stays so", LOOP,
        edit("federated.grids:Wire._shortened", "heard.norm > bound\n", "heard.norm > 1e30\n"),
        (f"{MEAN}test_a_liar_cannot_move_the_mean_beyond_the_bound",),
    ),
    Fault(
        "a site that counts for as many rows as it likes", LOOP,
        edit("federated.grids:Wire._looked_at", "not 1 <= heard.rows <= most", "heard.rows < 1"),
        (f"{MEAN}test_nobody_counts_for_more_rows_than_it_said_at_first",),
    ),
    Fault(
        "numbers that are not finite, averaged", LOOP,
        edit("federated.wire:checked", "not bool(torch.isfinite(value).all())", "False"),
        (f"{MEAN}test_updates_that_cannot_be_used_are_left_out",),
    ),
    Fault(
        "parameters of a site that cross", VERBS,
        edit("federated.wire:crossing", "and not is_own(k, own)", "and not is_own(k, ())"),
        (f"{MEAN}test_own_parameters_do_not_cross",),
    ),
    Fault(
        "names that only begin alike stay, too", VERBS,
        edit("federated.wire:is_own", 'name.startswith(f"{start}.")', "name.startswith(start)"),
        (f"{MEAN}test_own_parameters_do_not_cross",),
    ),
    Fault(
        "a secure mean that moves weights in another order than they were sent", LOOP,
        edit("federated.secure:added", "for name in sorted(weights):", "for name in sorted(weights, reverse=True):"),
        (f"{MEAN}test_the_secure_mean_is_the_plain_one_to_the_quantum",),
    ),
    Fault(
        "a quantum that is told too small", LOOP,
        edit("federated.secure:quantum", "return len(weights) * (2 * reach / LEVELS) / total",
             "return 0.01 * len(weights) * (reach / LEVELS) / total",
             "2 * reach * len(weights) / (LEVELS * total)", "0.0"),
        (f"{MEAN}test_the_secure_mean_is_the_plain_one_to_the_quantum",),
    ),
    Fault(
        "a proximal term without its distance", LOOP,
        edit("federated.local:nearby", "p.detach() - start[id(p)]", "p.detach()"),
        (f"{ROUNDS}test_the_proximal_term_is_mu_times_the_distance",),
    ),
    Fault(
        "noise of whole sites that goes by the alphabet", LOOP,
        edit("federated.grids:Wire._shortened", "{k: after[k] for k in weights}", "dict(sorted(after.items()))"),
        (f"{MEAN}test_noise_of_whole_sites_goes_by_names_and_not_by_the_alphabet",),
    ),
    Fault(
        "epsilon of one round whatever their number", VERBS,
        edit("federated.strategies:epsilon", "steps=rounds", "steps=1"),
        (f"{MEAN}test_epsilon_is_that_of_composed_gaussians",),
    ),
    Fault(
        "a server that speaks any version of the protocol", VERBS,
        edit("federated.wire:read", 'body.get("protocol") != PROTOCOL', "False"),
        (f"{MEAN}test_another_version_of_the_protocol_is_refused",),
    ),
    Fault(
        "a round that begins at the first step again", LOOP,
        edit("federated.local:LocalFit._steps", "training.progress, step=number * self.local_steps)",
             "training.progress, step=0)"),
        (f"{ROUNDS}test_rows_can_be_generated_for_a_site",),
    ),
    Fault(
        "a restarted server that does a round again", LOOP,
        edit("federated.state:load", 'round=plain["round"]', 'round=plain["round"] - 1'),
        (f"{ROUNDS}test_a_server_that_was_stopped_goes_on_to_the_same_weights",),
    ),
    Fault(
        "a site whose gradients have no noise", LOOP,
        edit("federated.local:LocalFit.__init__", "plan.noise, plan.batch_size, NO", "0.0, plan.batch_size, NO"),
        (f"{PRIVATE}test_noise_is_added_once_in_each_step_at_each_site",),
    ),
    Fault(
        "the same key for every round", LOOP,
        edit("federated.ledger:SiteLedger._key", "Secret.fresh() if seed is None", "Secret.seeded(0) if seed is None"),
        (f"{PRIVATE}test_keys_come_from_the_system_unless_there_is_a_seed",
         f"{PRIVATE}test_each_training_of_a_round_has_a_key_of_its_own_and_is_counted"),
    ),
    Fault(
        "a feed that goes on with nobody's key", LOOP,
        edit("federated.local:LocalFit._draw_from", "plan, secret=secret), replace(self.private, secret=secret)",
             "plan), replace(self.private)"),
        (f"{PRIVATE}test_each_training_of_a_round_has_a_key_of_its_own_and_is_counted",),
    ),
    Fault(
        "a ledger that begins anew with every process", CHECKPOINT,
        edit("federated.ledger:_read", "if not path.is_file():", "if True:"),
        (f"{PRIVATE}test_neither_side_forgets_what_was_spent_when_it_starts_again",
         f"{PRIVATE}test_the_same_rows_in_another_federation_are_refused"),
    ),
    Fault(
        "a question that comes again and costs again", CHECKPOINT,
        edit("federated.ledger:SiteLedger.round", "self.page.answered == name", "False"),
        (f"{PRIVATE}test_neither_side_forgets_what_was_spent_when_it_starts_again",),
    ),
    Fault(
        "a round that costs one step", LOOP,
        edit("federated.ledger:SiteLedger.round", "self._write(steps=self.page.steps + steps, answered=name)",
             "self._write(steps=self.page.steps + 1, answered=name)"),
        (f"{PRIVATE}test_every_site_spends_what_one_table_of_its_rows_would",),
    ),
    Fault(
        "a round that failed and cost nothing", LOOP,
        edit("federated.ledger:SiteLedger.round",
             "self._write(steps=self.page.steps + steps)  # parameters", "pass  # parameters"),
        (f"{PRIVATE}test_a_round_that_failed_is_counted",),
    ),
    Fault(
        "steps beyond those that the noise was planned for", LOOP,
        edit("federated.ledger:SiteLedger.round", "self.page.steps + steps > self.asked.steps", "False"),
        (f"{PRIVATE}test_each_training_of_a_round_has_a_key_of_its_own_and_is_counted",),
    ),
    Fault(
        "noise that is planned for one round", LOOP,
        edit("federated.ledger:Plan.of", "size / n_rows, asked.steps", "size / n_rows, 1"),
        (f"{PRIVATE}test_every_site_spends_what_one_table_of_its_rows_would",),
    ),
    Fault(
        "counts that cost nothing", LOOP,
        edit("federated.ledger:spent", "if counted else 0.0", "if not counted else 0.0"),
        (f"{PRIVATE}test_plans_and_costs_add_up",),
    ),
    Fault(
        "the smallest epsilon of the sites", VERBS,
        edit("federated.private:promise", "worst = max(", "worst = min("),
        (f"{PRIVATE}test_the_run_says_the_largest_epsilon_and_opacus_agrees",),
    ),
    Fault(
        "a site whose silence costs nothing", VERBS,
        edit("federated.private:spent_by_sites", "elif name in told or strange:", "elif False:"),
        (f"{PRIVATE}test_a_site_that_is_silent_may_have_spent_its_whole_budget",),
    ),
    Fault(
        "a private site that tells its ranges", SCHEMA,
        edit("federated.site:Site._outline", "if asked is None:", "if True:"),
        (f"{PRIVATE}test_nothing_but_noise_and_the_number_of_rows_follows_from_values",),
    ),
    Fault(
        "noise of one site at all of them", SCHEMA,
        edit("federated.ledger:SiteLedger.counts", 'self._key("counts")', "Secret.seeded(0)"),
        (f"{PRIVATE}test_counts_are_taken_once_each_site_with_its_own_noise",),
    ),
    Fault(
        "a site that takes any budget", VERBS,
        edit("federated.site:_need_within", "asked.private.epsilon > most.epsilon or", "False and"),
        (f"{PRIVATE}test_a_site_insists_on_a_budget_and_on_a_folder",),
    ),
    Fault(
        "values of one site that others do not know", SCHEMA,
        edit("data.table.summaries:planned", "for t in seen for v in t", "for t in seen[:1] for v in t"),
        (f"{SCHEMAS}test_types_levels_and_shares_are_those_of_all_rows",),
    ),
    Fault(
        "a range of the first site alone", SCHEMA,
        edit("data.table.summaries:_range", 'min(t["low"] * f for t, f in zip(seen, factors, strict=True))',
             'seen[0]["low"] * factors[0]'),
        (f"{SCHEMAS}test_types_levels_and_shares_are_those_of_all_rows",),
    ),
    Fault(
        "texts of single persons that are sent", SCHEMA,
        edit("data.table.summaries:told_of", "if few and not alike:", "if few:"),
        (f"{SCHEMAS}test_texts_of_one_row_each_are_not_sent",),
    ),
    Fault(
        "a value with a probability of its own that is counted among the others", SCHEMA,
        edit("data.table.summaries:counted", "            x = x[x != at]\n", ""),
        (f"{SCHEMAS}test_a_value_with_a_probability_of_its_own_keeps_it",),
    ),
)
