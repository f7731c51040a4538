"""Faults among sites: means, bounds, what crosses, secure sums, restarts and the schema from sums."""

from __future__ import annotations

from .plants import LOOP, SCHEMA, VERBS, Fault, edit

MEAN = "tests/federated/test_mean.py::"
ROUNDS = "tests/federated/test_rounds.py::"
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
        edit("federated.local:LocalFit.round", "training.progress, step=number * self.local_steps)",
             "training.progress, step=0)"),
        (f"{ROUNDS}test_rows_can_be_generated_for_a_site",),
    ),
    Fault(
        "a restarted server that does a round again", LOOP,
        edit("federated.state:load", 'round=plain["round"]', 'round=plain["round"] - 1'),
        (f"{ROUNDS}test_a_server_that_was_stopped_goes_on_to_the_same_weights",),
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
