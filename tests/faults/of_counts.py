"""Faults of counts: what is a count, whose depth, which gene, which batch, which difference."""

from __future__ import annotations

from .plants import LIKELIHOODS, SCHEMA, VERBS, Fault, edit

DEPTH = "tests/distributions/test_given_depth.py::"
ROWS = "tests/data/test_counts.py::"
GENES = "tests/evaluation/test_differential.py::"
MIXED = "tests/evaluation/test_mixing.py::"

LIST = (
    Fault(
        "counts that are scored at the usual depth in the place of their own", LIKELIHOODS,
        edit("distributions.given_depth:CountsGivenDepth.elementwise", "self.counted(log_depth_of(x))",
             "self.counted()"),
        (f"{DEPTH}test_log_prob_is_scipys",),
    ),
    Fault(
        "a reconstruction at the usual depth", LIKELIHOODS,
        edit("distributions.within:_one", "p = given_row(p, batch.tensor, batch.observed)", "pass"),
        (f"{DEPTH}test_what_a_row_is_expected_to_have_is_its_own_depth",),
    ),
    Fault(
        "a depth that counts genes that were not observed as zeros", LIKELIHOODS,
        edit("distributions.given_depth:log_depth_of", "torch.where(torch.isfinite(there), seen - there, seen)",
             "seen"),
        (f"{DEPTH}test_the_depth_of_a_row_with_holes_is_what_was_seen_over_its_share",),
    ),
    Fault(
        "a depth that is inferred and then overruled by the row", LIKELIHOODS,
        edit("distributions.given_depth:CountsGivenDepth.counted",
             "self.log_depth if self.log_depth is not None else log_depth", "log_depth"),
        (f"{DEPTH}test_a_depth_that_is_known_is_not_that_of_the_row",),
    ),
    Fault(
        "new rows of one depth", LIKELIHOODS,
        edit("distributions.given_depth:CountsGivenDepth.from_noise", "self.spread > 0", "self.spread > 9"),
        (f"{DEPTH}test_new_rows_have_usual_depths",),
    ),
    Fault(
        "a dispersion that every batch shares", LIKELIHOODS,
        edit("parts.likelihoods.decoded:Likelihood._of_condition", "(c.to(table.dtype) @ table.flatten(1))",
             "(c.to(table.dtype) @ table.flatten(1) * 0)"),
        (f"{DEPTH}test_a_dispersion_of_gene_and_batch_follows_the_condition",),
    ),
    Fault(
        "logarithms taken for counts", SCHEMA,
        edit("data.counts.recognising:are_counts", "and (values == np.floor(values)).all()", ""),
        (f"{ROWS}test_what_is_no_counts_is_refused_with_the_reason",),
    ),
    Fault(
        "counts above 255 that wrap around", SCHEMA,
        edit("data.counts.recognising:compact", "top < 2**8", "top < 2**9"),
        (f"{ROWS}test_whole_numbers_of_any_type_are_counts",),
    ),
    Fault(
        "genes in the order of the data and not of the model", SCHEMA,
        edit("data.counts.table:_moved", "column, row = to[np.asarray(kept.indices)], kept.row",
             "column, row = np.asarray(kept.indices), kept.row"),
        (f"{ROWS}test_genes_come_in_the_models_order_and_none_may_be_missing",),
    ),
    Fault(
        "genes that are missing and count as zeros", SCHEMA,
        edit("data.sparse:SparseRows.take", "if self.absent is not None:", "if False:"),
        (f"{ROWS}test_genes_come_in_the_models_order_and_none_may_be_missing",),
    ),
    Fault(
        "a header that is believed", SCHEMA,
        edit("data.counts.hdf5:need_sound", "nbytes > stored * DEFLATE", "nbytes < 0"),
        (f"{ROWS}test_a_header_that_announces_ten_gigabytes_is_refused",),
    ),
    Fault(
        "rows that are moved to another batch in all that they are conditioned on", VERBS,
        edit("data.kind:Kind.moved", "if name in given or len(schema.condition.names) == 1:", "if True:"),
        (f"{ROWS}test_a_condition_may_be_replaced_in_part",),
    ),
    Fault(
        "a probability that adds both sides", VERBS,
        edit("evaluation.differential:compare", "p = np.maximum(p, np.asarray(below) / done)",
             "p = p + np.asarray(below) / done"),
        (f"{GENES}test_the_larger_of_both_sides_counts_and_not_their_sum",),
    ),
    Fault(
        "false discoveries counted one by one", VERBS,
        edit("evaluation.differential:differs", "np.cumsum(1 - probability[order]) / np.arange(1, len(order) + 1)",
             "1 - probability[order]"),
        (f"{GENES}test_genes_are_called_as_long_as_the_mean_of_what_is_wrong_stays_below",),
    ),
    Fault(
        "neighbours that are the rows themselves", VERBS,
        edit("evaluation.mixing:neighbours_of", ".kneighbors(return_distance=False)",
             ".kneighbors(codes, return_distance=False)"),
        (f"{MIXED}test_neighbours_are_the_nearest_others",),
    ),
)
