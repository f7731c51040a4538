"""Faults in verbs: what they may be used with, locks, what is global, and numbers that are kept."""

from __future__ import annotations

from .plants import LOOP, VERBS, Fault, edit

REGISTRY = "tests/runs/test_registry.py::"
THREADS = "tests/runs/test_many_threads.py::"
OUTSIDE = "tests/apps/test_outside.py::"

LIST = (
    Fault(
        "a verb that runs although it does not fit", VERBS,
        edit("runs.verbs.registry:Verb.need", "if why is not None:", "if False:"),
        (
            f"{REGISTRY}test_a_verb_from_outside_that_does_not_fit_is_refused",
            f"{REGISTRY}test_a_verb_that_does_not_fit_says_so_before_any_work",
        ),
    ),
    Fault(
        "a model without a classifier that may predict", VERBS,
        edit("runs.verbs.fitness:needs_prediction", "and model.n_classes", "or True"),
        (f"{REGISTRY}test_a_run_lists_which_verbs_fit_it_and_why_others_do_not",),
    ),
    Fault(
        "a lock that is not taken", VERBS,
        edit("runs.verbs.registry:hold", "held.enter_context(run.lock)", "pass"),
        (
            f"{THREADS}test_one_verb_at_a_time_uses_a_run",
            f"{REGISTRY}test_locks_are_taken_in_one_order_and_once_each",
        ),
    ),
    Fault(
        "locks in the order in which runs are named", VERBS,
        edit("runs.verbs.registry:hold", "sorted(set(runs), key=id)", "dict.fromkeys(runs)"),
        (f"{REGISTRY}test_locks_are_taken_in_one_order_and_once_each",),
    ),
    Fault(
        "a seed from the global generator", VERBS,
        edit("runs.verbs.sample:sample", "secrets.randbits(62)",
             "int(__import__('torch').randint(2**62, ()))"),
        (f"{THREADS}test_a_sample_without_a_seed_takes_nothing_from_the_global_generator",),
    ),
    Fault(
        "draws of others that move the global generator", VERBS,
        edit("runs.verbs.registry:Verb._drawing", "if not self.steered:", "if True:"),
        (f"{REGISTRY}test_global_draws_of_a_verb_from_outside_follow_its_seed_and_move_nothing",),
    ),
    Fault(
        "a thread that puts the global generator back under another one", LOOP,
        edit("core.random:_put_back", "if not _THREADS[device]:", "if True:", "_BEFORE.pop(device)", "before"),
        (f"{THREADS}test_blocks_of_two_threads_that_overlap_leave_the_generator_as_it_was",),
    ),
    Fault(
        "numbers measured by somebody else that are lost", VERBS,
        edit("training.bundle:change_metrics", "change({**known, **read_metrics(path)})", "change({**known})"),
        (f"{THREADS}test_evaluations_and_diagnoses_at_once_lose_nothing",),
    ),
    Fault(
        "filters of warnings that each thread puts back", LOOP,
        edit("core.warning_filters:_Filters.enter", "if not self.inside:", "if True:"),
        ("tests/runs/test_threads.py::test_filters_of_warnings_are_put_back_when_the_last_thread_leaves",),
    ),
    Fault(
        "an option of a foreign verb that is forgotten", VERBS,
        edit("apps.cli.outside:as_word", "lambda words: parse_given(words or []) or parameter.default",
             "lambda words: parameter.default"),
        (f"{OUTSIDE}test_options_come_from_the_signature",),
    ),
)
