"""Faults in what makes things quick: lengths that follow validation, samplers in proportion."""

from __future__ import annotations

from .plants import CHECKPOINT, LOOP, SAMPLERS, Fault, edit

FOLLOW = "tests/training/test_follow.py::"
ADAMW = "tests/training/test_adamw.py::"
CHOICE = "tests/training/test_samplers.py::"

LIST = (
    Fault(
        "patience that never stops", LOOP,
        edit("training.schedules:Follow.waited", "return step - since", "return False and step - since"),
        (f"{FOLLOW}test_a_run_that_overfits_goes_back_to_its_best_weights_and_ends",),
    ),
    Fault(
        "a fall from weights that are not the best", LOOP,
        edit("training.loop:Training._follow", "self.model.load_state_dict(self.best)", "pass"),
        (f"{FOLLOW}test_a_run_that_overfits_goes_back_to_its_best_weights_and_ends",),
    ),
    Fault(
        "best weights not kept", LOOP,
        edit("training.loop:Training._settle", "self.model.load_state_dict(self.best)", "pass"),
        (f"{FOLLOW}test_a_run_that_overfits_goes_back_to_its_best_weights_and_ends",),
    ),
    Fault(
        "a length of the user's that is only a budget", LOOP,
        edit("training.settings:TrainSettings.proposed", '"steps" in mine:', "False:"),
        (f"{FOLLOW}test_a_length_that_the_user_gave_is_the_length",),
    ),
    Fault(
        "small gains that keep a run going", LOOP,
        edit("training.schedules:Follow.over", "since=gain", "since=best"),
        (f"{FOLLOW}test_small_gains_do_not_keep_a_run_going",),
    ),
    Fault(
        "a mixture that held-out codes like least", SAMPLERS,
        edit("training.mixtures:searched", "if score > best:", "if chosen is None or score < best:"),
        (f"{CHOICE}test_clusters_choose_a_mixture_and_a_standard_normal_keeps_the_prior",),
    ),
    Fault(
        "a flow however long it takes", SAMPLERS,
        edit("training.densities:affordable_flow_steps", "return steps if steps >= LEAST_FLOW_STEPS else 0",
             "return FLOW_STEPS"),
        (f"{CHOICE}test_a_flow_is_held_in_proportion_to_the_training",),
    ),
    Fault(
        "a fit of a density that never ends early", SAMPLERS,
        edit("training.densities:descend", "if since == 2:", "if False:"),
        (f"{CHOICE}test_a_fit_ends_when_held_out_codes_gain_nothing",),
    ),
    Fault(
        "moments of a resumed optimiser shared with the checkpoint", CHECKPOINT,
        edit("training.adamw:AdamW.load", "copy=True", "copy=False"),
        (f"{ADAMW}test_goes_on_from_saved_moments_with_copies_of_its_own",),
    ),
    Fault(
        "weight decay left out", LOOP,
        edit("training.adamw:AdamW._move", "weight_decay=group.weight_decay", "weight_decay=0.0"),
        (f"{ADAMW}test_steps_are_those_of_torch",),
    ),
)
