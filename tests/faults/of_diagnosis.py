"""Faults of the diagnosis: quantities that are nearly right, causes that come second, verdicts that are too sure."""

from __future__ import annotations

from .plants import BOUNDS, LOOP, Fault, edit

CHECKS = "tests/clinic/test_checks.py::"
VERBS = "tests/clinic/test_verbs.py::"

LIST = (
    Fault(
        "a price of a nat upside down", BOUNDS,
        edit("evaluation.diagnosis.price:price_of_rate", "return distortion / -rate", "return -rate / distortion"),
        (f"{CHECKS}test_the_price_is_one_at_the_exact_posterior_and_beta_at_that_of_beta",),
    ),
    Fault(
        "a price without the entropy of the posterior", BOUNDS,
        edit("evaluation.diagnosis.price:price_of_rate", "entropy = n * float(torch.tensor(s).log())", "entropy = 0.0"),
        (f"{CHECKS}test_the_price_is_one_at_the_exact_posterior_and_beta_at_that_of_beta",),
    ),
    Fault(
        "errors over deviations and not over variances", BOUNDS,
        edit("evaluation.diagnosis.fitting:predictive", "variance = drawn.var(0)", "variance = drawn.std(0)"),
        (f"{CHECKS}test_errors_are_as_large_as_an_exact_model_says",),
    ),
    Fault(
        "the second eigenvalue for the first", BOUNDS,
        edit("evaluation.diagnosis.fitting:structure", "values[-1]", "values[-2]"),
        (f"{CHECKS}test_structure_is_the_edge_of_noise_or_far_above",),
    ),
    Fault(
        "a consequence before its cause", BOUNDS,
        edit("evaluation.diagnosis.finding:ranked", "because[f.name], GRADES", "0, GRADES"),
        (f"{CHECKS}test_a_cause_comes_before_its_consequence_however_small",),
    ),
    Fault(
        "consequences of consequences that are forgotten", BOUNDS,
        edit("evaluation.diagnosis.finding:explained", "ahead += CHECKS[other].explains", "pass"),
        (f"{CHECKS}test_consequences_of_consequences_count",),
    ),
    Fault(
        "missing facts that count as well", BOUNDS,
        edit("evaluation.diagnosis.finding:examine", "if missing:", "if False:"),
        (f"{CHECKS}test_missing_facts_are_said",),
    ),
    Fault(
        "a leak that is searched among the held-out rows themselves", BOUNDS,
        edit("evaluation.diagnosis.gather:duplicates", "for row in train}", "for row in held}"),
        (f"{CHECKS}test_held_out_rows_among_training_rows_are_counted",),
    ),
    Fault(
        "a warning at every look", LOOP,
        edit("runs.watching:Watch._warn", "self.warned.add(finding.name)", "pass"),
        (f"{VERBS}test_a_warning_comes_once_and_while_training_runs",),
    ),
    Fault(
        "a run that goes on and warns again", LOOP,
        edit("runs.watching:Watch.on", 'h["name"] for h in self.lines', 'h["step"] for h in self.lines'),
        (f"{VERBS}test_a_run_that_goes_on_does_not_warn_again",),
    ),
    Fault(
        "an error of two means in the place of a paired one", BOUNDS,
        edit("runs.verbs.compare:below_best", "mean_se(d) if name", "mean_se(values) if name"),
        (f"{VERBS}test_the_better_run_is_named_with_paired_errors",),
    ),
    Fault(
        "rows that another run was trained on", BOUNDS,
        edit("runs.verbs.compare:shared_rows", 'index -= set(map(int, theirs.split_indices()["train"]))', "pass"),
        (f"{VERBS}test_rows_that_one_run_was_trained_on_are_left_out",),
    ),
    Fault(
        "a cure that keeps the second whatever it is", BOUNDS,
        edit("runs.curing:judged", 'kept = "after" if improved else "before"', 'kept = "after"',
             'kept = "after" if comparison.best == "after" else "before"', "pass"),
        (f"{VERBS}test_a_remedy_that_makes_it_worse_is_not_kept",),
    ),
    Fault(
        "a warm-up that counts as a jump of the loss", BOUNDS,
        edit("evaluation.diagnosis.training_checks:worst_jump", "min(losses[max(0, i - 3) : i])", "min(losses[:i])"),
        (f"{CHECKS}test_spikes_know_the_warm_up",
         f"{CHECKS}test_a_loss_that_rises_while_its_rate_is_weighed_in_does_not_jump"),
    ),
)
