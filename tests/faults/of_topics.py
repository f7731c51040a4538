"""Faults in documents, topics and transfers: what is counted, what a topic is, what stays of a row."""

from __future__ import annotations

from .plants import LIKELIHOODS, MODELS, POSTERIORS, PRIORS, RATE, SCHEMA, VERBS, Fault, edit

DOCUMENTS = "tests/data/test_documents.py::"
TOPICS = "tests/evaluation/test_topics.py::"
SHARES = "tests/distributions/test_softmax_normal.py::"
TEXTS = "tests/runs/test_texts.py::"
ANEW = "tests/distributions/test_rewriting.py::"

LIST = (
    # --- documents ----------------------------------------------------------------------------------------------------
    Fault(
        "held-out documents in the vocabulary", SCHEMA,
        edit("data.documents.kind:DocumentKind.infer", "for i in train]", "for i in range(opened.n_rows)]"),
        (f"{DOCUMENTS}test_words_are_those_of_training_rows_alone",),
    ),
    Fault(
        "words numbered from zero though the file begins at one", SCHEMA,
        edit("data.documents.counts:read_count_file", "int(not (len(at) and bool((at == 0).any())))", "0"),
        (f"{DOCUMENTS}test_a_count_file_with_its_vocabulary",),
    ),
    Fault(
        "weights that pass for counts", SCHEMA,
        edit("data.documents.counts:need_counts", " | (matrix.values % 1 != 0)", ""),
        (f"{DOCUMENTS}test_a_table_with_a_hole_and_weights_instead_of_counts",),
    ),
    Fault(
        "other texts counted with capital letters", SCHEMA,
        edit("data.documents.words:counter_for", "preprocessor=Normal(lower=lower)",
             "preprocessor=Normal(lower=False)"),
        (f"{DOCUMENTS}test_texts_are_counted_in_small_letters_without_stop_words",),
    ),
    Fault(
        "columns taken in the order of the other data", SCHEMA,
        edit("data.documents.counts:arranged", "at[some.indices]", "some.indices % len(words)"),
        (f"{DOCUMENTS}test_other_texts_lose_words_that_the_model_does_not_count",),
    ),
    # --- shares -------------------------------------------------------------------------------------------------------
    Fault(
        "a rate that forgets what all shares have in common", RATE,
        edit("distributions.softmax_normal:_kl_softmax_normals", "(m - middle) ** 2", "m ** 2"),
        (f"{SHARES}test_rate_is_that_of_normals_over_log_ratios",),
    ),
    Fault(
        "a density without the volume of the softmax", POSTERIORS,
        edit("distributions.softmax_normal:SoftmaxNormal.log_prob", " - log_z.sum(-1)", ""),
        (f"{SHARES}test_density_is_that_of_a_normal_over_log_ratios",),
    ),
    Fault(
        "a prior of the concentration's root", PRIORS,
        edit("parts.priors.manifold:SoftmaxNormalPrior.__init__", "** 0.5", "** 1.0"),
        (f"{SHARES}test_the_prior_is_laplaces_approximation",),
    ),
    # --- topics -------------------------------------------------------------------------------------------------------
    Fault(
        "coherence of how often instead of whether", MODELS,
        edit("evaluation.topics:npmi", "np.ones(len(some.indices))",
             "(np.ones(len(some.indices)) if some.values is None else some.values)"),
        (f"{TOPICS}test_counts_beyond_one_and_words_without_documents_change_nothing",),
    ),
    Fault(
        "coherence that is not normalised", MODELS,
        edit("evaluation.topics:npmi", " / -np.log(p)", ""),
        (f"{TOPICS}test_npmi_by_hand", f"{TOPICS}test_npmi_of_groups_is_the_mean_over_pairs"),
    ),
    Fault(
        "perplexity with the arrangements of the words", LIKELIHOODS,
        edit("evaluation.topics:perplexities", " - log_arrangements(x)", ""),
        (f"{TOPICS}test_perplexity_is_that_of_words_one_by_one",),
    ),
    Fault(
        "a norm by the moments of the batch after training", MODELS,
        edit("nn.topics:TopicDecoder._moments", "if not self.training:", "if False:"),
        (f"{TOPICS}test_a_product_is_normed_over_the_batch_in_training_and_by_running_moments_afterwards",),
    ),
    # --- transfer -----------------------------------------------------------------------------------------------------
    Fault(
        "what speaks against a class is written anew", VERBS,
        edit("distributions.rewriting:chosen", "descending=True", "descending=False"),
        (f"{ANEW}test_rows_are_those_of_a_plain_version[RecurrentSteps-0.6-3.0]",),
    ),
    Fault(
        "new symbols that are likelier under the old class", VERBS,
        edit("distributions.rewriting:rewritten", "log_p[1] + guidance", "log_p[0] + guidance"),
        (f"{ANEW}test_rows_are_those_of_a_plain_version[RecurrentSteps-0.0-0.0]",),
    ),
    Fault(
        "words that stay and have no number are lost", VERBS,
        edit("runs.verbs.transfer:transfer", "None if own is None else", "None if own is not None else"),
        (f"{TEXTS}test_words_that_stay_are_the_rows_own_known_or_not",),
    ),
    Fault(
        "own words of rows in what a code gives back", MODELS,
        edit("data.text.kind:TextKind.decode", '.get("own"', '.get("unknown"'),
        (f"{TEXTS}test_words_that_stay_are_the_rows_own_known_or_not",),
    ),
    Fault(
        "rows that may end earlier", VERBS,
        edit("distributions.rewriting:rewritten", "score[:, [END, UNKNOWN]] = float(\"-inf\")",
             "score[:, END] = float(\"inf\")"),
        (f"{ANEW}test_what_stays_stays[RecurrentSteps]",),
    ),
)
