"""Faults in what makes a step cheap: columns scored together, plain numbers on a CPU, products in place of look-ups."""

from __future__ import annotations

from .plants import LIKELIHOODS, LOOP, RATE, Fault, edit

TOGETHER = "tests/distributions/test_side_by_side.py::"
ALONE = f"{TOGETHER}test_values_and_gradients_are_those_of_every_column_alone[(9,)-"
STEPS = "tests/training/test_steps.py::"

LIST = (
    Fault(
        "bits with their sides exchanged", LIKELIHOODS,
        edit(
            "distributions.side_by_side:codes_order",
            "*([nothing] if bits[j] else []), *range(first[j], first[j + 1])",
            "*range(first[j], first[j + 1]), *([nothing] if bits[j] else [])",
        ),
        (f"{ALONE}binary-float64]",),
    ),
    Fault(
        "columns of steps that all have the first one's cut points", LIKELIHOODS,
        edit("distributions.side_by_side:SideBySide._steps", " + self.start", ""),
        (f"{ALONE}all-float64]",),
    ),
    Fault(
        "shorter columns of steps without their open end", LIKELIHOODS,
        edit("distributions.side_by_side:ends_of", "torch.where(cuts >= WIDE, FAR, cuts)", "cuts.clamp(max=9.0)"),
        (f"{ALONE}all-float64]",),
    ),
    Fault(
        "gradients of raw numbers that go to their neighbours", LIKELIHOODS,
        edit("distributions.side_by_side:_Moved.backward", "index_select(-1, back)", "index_select(-1, back.roll(1))"),
        (f"{ALONE}normal-float64]",),
    ),
    Fault(
        "a spike of numbers that a density adds to", LIKELIHOODS,
        edit("distributions.inflated:inflated_log_prob", "torch.where(discrete, there, own)", "there"),
        (f"{ALONE}spiked-float64]",),
    ),
    Fault(
        "gates in the order of columns and spikes in that of sorts", LIKELIHOODS,
        edit("distributions.side_by_side:raw_order", "for j in chain(*spiked)]", "for j in sorted(chain(*spiked))]"),
        (f"{ALONE}spiked-float64]",),
    ),
    Fault(
        "a step taken on gradients that are not finite", LOOP,
        edit("training.step:Stepper._finite", "float(norm) + float(loss)", "float(loss)"),
        (f"{STEPS}test_a_step_is_taken_where_loss_and_gradients_are_finite[gradient-None]",),
    ),
    Fault(
        "a step taken on a loss that is not finite", LOOP,
        edit("training.step:Stepper._finite", "float(norm) + float(loss)", "float(norm)"),
        (f"{STEPS}test_a_step_is_taken_where_loss_and_gradients_are_finite[loss-None]",),
    ),
    Fault(
        "steps taken after one that was not finite", LOOP,
        edit("training.step:Stepper.__call__", "fine = before & ", "fine = "),
        (f"{STEPS}test_a_step_is_taken_where_loss_and_gradients_are_finite[nowhere-None]",),
    ),
    Fault(
        "a norm that adds up norms", LOOP,
        edit("training.step:plain_norm", "float(torch.dot(g, g))", "float(torch.dot(g, g)) ** 0.5"),
        (f"{STEPS}test_the_norm_is_that_of_all_gradients_together",),
    ),
    Fault(
        "categories nobody saw among the inputs", LIKELIHOODS,
        edit("nn.table:TableEncoder._looked_up", "1.0 if weight is None else weight", "1.0"),
        ("tests/nn/test_lookup.py::test_a_product_says_what_looking_up_says[True]",),
    ),
    Fault(
        "a rate without its logarithm halved", RATE,
        edit(
            "distributions.closed:normal_rate", "(ratio + shift - 1 - ratio.log())", "(ratio + shift - 1) - ratio.log()"
        ),
        ("tests/distributions/test_rates.py::test_a_rate_of_normals_is_that_of_torch[torch.float32-(3,)]",),
    ),
)
