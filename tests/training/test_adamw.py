"""AdamW gives torch's own numbers to the last bit, saves under torch's names, and loads no compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from senzai.training.adamw import AdamW, ParameterGroup


def parameters(dtype=torch.float32):
    return [nn.Parameter(torch.linspace(-1, 1, n, dtype=dtype).reshape(shape)) for n, shape in ((6, (2, 3)), (4, (4,)))]


def slopes(params, step):
    """Gradients that differ by step; the second parameter has none at the first step."""
    for i, p in enumerate(params):
        p.grad = None if i and not step else torch.cos(p.detach() * (step + 2) + i)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_torch(dtype):
    ours, theirs = parameters(dtype), parameters(dtype)
    mine = AdamW([ParameterGroup([ours[0]], 0.05, 0.1), ParameterGroup([ours[1]], 0.02)])
    known = torch.optim.AdamW(
        [{"params": [theirs[0]], "lr": 0.05, "weight_decay": 0.1}, {"params": [theirs[1]], "lr": 0.02,
         "weight_decay": 0.0}], fused=True,
    )
    for step in range(5):
        for group, other in zip(mine.groups, known.param_groups, strict=True):
            group.lr = other["lr"] = group.base_lr / (step + 1)
        slopes(ours, step)
        slopes(theirs, step)
        mine.step()
        known.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), step
    state = known.state_dict()["state"]
    expected = {f"{i}.{k}": v for i, slots in state.items() for k, v in slots.items()}
    found = mine.tensors()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[k], expected[k]) for k in expected)


def test_goes_on_from_saved_moments_with_copies_of_its_own():
    whole, first, second = parameters(), parameters(), parameters()
    a, b, c = (AdamW([ParameterGroup(ps, 0.1)]) for ps in (whole, first, second))
    for step in range(4):
        slopes(whole, step)
        a.step()
    for step in range(2):
        slopes(first, step)
        b.step()
    kept = {k: v.clone() for k, v in b.tensors().items()}
    with torch.no_grad():
        for p, q in zip(second, first, strict=True):
            p.copy_(q)
    c.load(dict(reversed(kept.items())))  # a file gives tensors back in an order of its own
    before = {k: v.clone() for k, v in kept.items()}
    for step in range(2, 4):
        slopes(second, step)
        c.step()
    assert all(torch.equal(p, q) for p, q in zip(whole, second, strict=True))
    assert all(torch.equal(kept[k], before[k]) for k in kept)


def test_a_broken_step_moves_nothing_on_the_device():
    params = parameters()
    optimiser = AdamW([ParameterGroup(params, 0.1)])
    before = [p.detach().clone() for p in params]
    slopes(params, 1)
    optimiser.step(broken=torch.ones(()))
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))
    assert float(optimiser.tensors()["0.step"]) == 0


def test_the_compiler_is_not_loaded():
    code = (
        "import sys, torch; from senzai.training.adamw import AdamW, ParameterGroup; "
        "p = torch.nn.Parameter(torch.ones(2)); "
        "p.grad = torch.ones(2); AdamW([ParameterGroup([p], 0.1)]).step(); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
