"""An objective drawn at each step: shares as asked, luck that only the step decides, and nothing done to what is not drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from interpreter.parts.objectives.classification import CrossEntropy
from interpreter.parts.objectives.draw import Drawn
from interpreter.spec.components.objectives import Classification
from interpreter.stages.module import drawing

PLAIN, SMOOTH = CrossEntropy(Classification(), 3), CrossEntropy(Classification(label_smoothing=0.3), 3)


def test_the_share_of_steps_is_p_and_luck_depends_on_the_step_alone():
    objective = Drawn(PLAIN, SMOOTH, 0.25)
    luck = drawing(objective, 1234)
    assert luck is not None

    def drawn(steps):
        out = []
        for epoch, step in steps:
            luck(epoch, step)
            out.append(objective.chosen is PLAIN)
        return out

    steps = [(epoch, step) for epoch in range(20) for step in range(200)]
    found = drawn(steps)
    assert abs(np.mean(found) - 0.25) < 3 * np.sqrt(0.25 * 0.75 / len(steps))
    assert drawn(steps[777:]) == found[777:]
    assert drawing(PLAIN, 1234) is None


def test_the_loss_is_that_of_the_one_drawn_and_the_recorded_one_is_expected():
    objective = Drawn(PLAIN, SMOOTH, 0.25)
    outputs, targets = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3
    losses = [functional.cross_entropy(outputs, targets, label_smoothing=s).item() for s in (0.0, 0.3)]
    for luck, expected in ((0.2, losses[0]), (0.25, losses[1]), (0.9, losses[1])):
        objective.begin_step(luck)
        assert objective.loss(outputs, targets).item() == pytest.approx(expected)
    metrics = objective.metrics(outputs, targets)
    assert metrics["loss"] == pytest.approx(0.25 * losses[0] + 0.75 * losses[1], rel=1e-5)
    assert metrics["nll"] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW])
def test_only_the_branch_drawn_is_stepped(make):
    """Two branches that share a trunk: momentum and decay must not move the one that the step didn't draw."""
    torch.manual_seed(0)
    trunk, branches = nn.Linear(4, 4), [nn.Linear(4, 3), nn.Linear(4, 3)]
    options = {"momentum": 0.9} if make is torch.optim.SGD else {}
    parameters = [p for module in (trunk, *branches) for p in module.parameters()]
    optimizer = make(parameters, lr=0.1, weight_decay=0.1, **options)
    x, y = torch.randn(6, 4), torch.arange(6) % 3
    for drawn in (0, 1, 0, 0, 1):
        before = [p.detach().clone() for p in branches[1 - drawn].parameters()]
        was = [p.detach().clone() for p in branches[drawn].parameters()]
        optimizer.zero_grad(set_to_none=True)
        PLAIN.loss(branches[drawn](trunk(x)), y).backward()
        optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(before, branches[1 - drawn].parameters(), strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(was, branches[drawn].parameters(), strict=True))
