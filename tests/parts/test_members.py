"""What several networks, or groups of one's features, minimize and predict: by the formulas, and by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from interpreter.errors import StageFailed
from interpreter.parts.build import build_model, build_objective
from interpreter.parts.contract import Data
from interpreter.parts.models.members import Groups
from interpreter.parts.objectives import members as rules
from interpreter.parts.objectives.classification import CrossEntropy
from interpreter.spec.components.objectives import Classification
from tests.parts.networks import total

CNN = {"type": "cnn2d", "channels": [4, 8]}
SHAPE, M, K = (3, 8, 8), 3, 5


def by(rule: str, **more: Any) -> CrossEntropy:
    return CrossEntropy(Classification(members=rule, **more), K)  # type: ignore[arg-type]


def outputs_of(n: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = 2 * torch.randn(n, M, K, generator=generator, dtype=torch.float64)
    return made, torch.randint(0, K, (n,), generator=generator)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_are_those_of_their_formulas(smoothing):
    made, y = outputs_of()
    p = made.softmax(-1).numpy()
    target = np.full((len(y), K), smoothing / K)
    target[np.arange(len(y)), y] += 1 - smoothing
    each = [-(target * np.log(p[:, m])).sum(1).mean() for m in range(M)]
    logit = made.mean(1).softmax(-1).numpy()
    expected = {
        "sum_of_losses": sum(each),
        "mean_of_losses": sum(each) / M,
        "loss_of_mean_probability": -(target * np.log(p.mean(1))).sum(1).mean(),
        "loss_of_mean_logit": -(target * np.log(logit)).sum(1).mean(),
    }
    for rule, value in expected.items():
        objective = by(rule, label_smoothing=smoothing)
        assert objective.loss(made, y).item() == pytest.approx(value, rel=1e-12)
        assert objective.metrics(made, y)["loss"] == pytest.approx(value, rel=1e-12)
    assert expected["loss_of_mean_probability"] < expected["mean_of_losses"]  # Jensen
    own = torch.stack([y, (y + 1) % K, (y + 2) % K], dim=1)
    apart = [functional.cross_entropy(made[:, m], own[:, m], label_smoothing=smoothing).item() for m in range(M)]
    assert by("sum_of_losses", label_smoothing=smoothing).loss(made, own).item() == pytest.approx(sum(apart), rel=1e-12)


def test_predictions_are_normalized_and_stable():
    made, _ = outputs_of()
    p = made.softmax(-1)
    geometric = p.log().mean(1).exp()
    assert torch.allclose(rules.log_mean_probability(made).exp(), p.mean(1), rtol=1e-12)
    assert torch.allclose(rules.log_geometric_mean(made).exp(), geometric / geometric.sum(-1, keepdim=True), rtol=1e-12)
    far = torch.tensor([[[1000.0, -1000.0], [-1000.0, 1000.0]], [[1000.0, -1000.0], [1000.0, -1000.0]]])
    for rule in rules.PREDICTIONS.values():
        found = rule(far)
        assert torch.isfinite(found).all()
        assert torch.allclose(found.exp().sum(-1), torch.ones(2))
    assert rules.log_mean_probability(far)[0].exp().tolist() == pytest.approx([0.5, 0.5])
    assert rules.log_mean_probability(far)[1].tolist() == pytest.approx([0.0, -2000.0])
    loss = rules.loss_of_mean_probability(far.requires_grad_(), torch.tensor([0, 1]), 0.0)
    loss.backward()
    assert torch.isfinite(far.grad).all()


def test_what_is_measured_is_the_common_prediction():
    made, y = outputs_of()
    for predict in ("mean_probability", "geometric_mean"):
        objective = by("sum_of_losses")
        objective.join(M, predict)
        found = objective.metrics(made, y)
        log_p = objective.combined(made)
        plain = CrossEntropy(Classification(), K).metrics(log_p, y)
        assert {name: found[name] for name in plain if name != "loss"} == {n: v for n, v in plain.items() if n != "loss"}
        assert found["nll"] == pytest.approx(float(-log_p[torch.arange(len(y)), y].mean()), rel=1e-12)
        assert objective.tables(made, y) == CrossEntropy(Classification(), K).tables(log_p, y)
    classes = made.argmax(-1)
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert found["member_accuracy"] == pytest.approx(float((classes == y[:, None]).double().mean()))
    differ = [(classes[:, a] != classes[:, b]).double().mean() for a, b in pairs]
    assert found["disagreement"] == pytest.approx(np.mean(differ))
    assert set(found) == set(Classification(members="sum_of_losses").logged())
    assert "disagreement" not in Classification().logged()


def test_members_that_agree_and_members_that_give_no_numbers():
    made, y = outputs_of()
    same = made[:, :1].expand(-1, M, -1)
    assert rules.disagreement(same) == 0.0
    broken = same.clone()
    broken[:, 1] = float("nan")
    assert rules.disagreement(broken) == pytest.approx(2 / 3)
    assert rules.member_accuracy(broken, y) == pytest.approx(2 / 3 * rules.member_accuracy(same, y))


def test_examples_of_each_members_own_have_no_common_prediction():
    made, y = outputs_of()
    own = torch.stack([y, (y + 1) % K, y], dim=1)
    found = by("mean_of_losses").metrics(made, own)
    defined = {name for name, value in found.items() if np.isfinite(value)}
    assert defined == {"loss", "member_accuracy"}
    assert found["member_accuracy"] == pytest.approx(float((made.argmax(-1) == own).double().mean()))


def test_a_prediction_already_made_is_measured_as_if_all_members_gave_it():
    """So a rule that ignores the input has a loss on the members' scale, and combined predictions one of their own."""
    y = torch.arange(20) % K
    smooth = Classification(members="sum_of_losses", label_smoothing=0.1)
    recorded = CrossEntropy(smooth, K)
    rule = CrossEntropy(smooth, K)
    rule.join(M, "mean_probability")
    one = CrossEntropy(Classification(label_smoothing=0.1), K).baseline(y, y)
    found = rule.baseline(y, y)
    assert found["loss"] == pytest.approx(M * one["loss"])
    assert (found["nll"], found["member_accuracy"], found["disagreement"]) == (pytest.approx(one["nll"]), one["accuracy"], 0.0)
    combined = recorded.baseline(y, y)
    assert combined == pytest.approx(one)
    assert recorded.constant(torch.zeros(4, M, K)) and not recorded.constant(outputs_of()[0])


# --- groups of features


def test_features_are_cut_into_exactly_so_many_groups():
    model = build_model({"type": "mlp", "hidden": [12]}, {}, SHAPE, K, 0, groups=4)
    assert isinstance(model.head, Groups)
    shapes = [(name, tuple(p.shape)) for name, p in model.head.named_parameters()]
    assert [shape for _, shape in shapes] == [(K, 3), (K,)] * 4
    x, y = torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(0)), torch.arange(8) % K
    features = model.encoder(x).detach().requires_grad_()
    made = model.head(features)
    assert made.shape == (8, 4, K)
    for g, head in enumerate(model.head.networks):
        by_hand = features[:, 3 * g : 3 * g + 3] @ head[-1].weight.T + head[-1].bias
        assert torch.allclose(made[:, g], by_hand, atol=1e-6)
        (gradient,) = torch.autograd.grad(made[:, g].sum(), features, retain_graph=True)
        used = gradient.abs().sum(0) > 0
        assert used.tolist() == [3 * g <= n < 3 * g + 3 for n in range(12)]
    objective = CrossEntropy(Classification(groups=4), K)
    each = [functional.cross_entropy(made[:, g], y) for g in range(4)]
    assert objective.loss(made, y).item() == pytest.approx(sum(loss.item() for loss in each) / 4, rel=1e-6)
    assert torch.allclose(objective.combined(made), made.log_softmax(-1).mean(1).log_softmax(-1), atol=1e-6)
    found = objective.metrics(made, y)
    assert found["nll"] <= found["loss"]  # by Jensen the loss bounds that of the prediction from above
    assert set(found) == set(Classification(groups=4).logged()) == set(Classification.metrics)
    assert len({tuple(head[-1].bias.tolist()) for head in model.head.networks}) == 4
    assert total({"type": "mlp", "hidden": [12]}, SHAPE, K) + 3 * K == sum(p.numel() for p in model.parameters())
    with pytest.raises(StageFailed, match="12 features can't be cut into 5"):
        build_model({"type": "mlp", "hidden": [12]}, {}, SHAPE, K, 0, groups=5)


def test_a_step_can_draw_between_two_rules():
    members = [{"type": "classification", "members": rule} for rule in ("sum_of_losses", "loss_of_mean_logit")]
    data = Data({}, (), K, tuple("abcde"), "", "", (), {})
    model = {"type": "ensemble", "of": CNN, "members": M, "predict": "geometric_mean"}
    objective: Any = build_objective({"type": "draw", "one": members[0], "other": members[1], "p": 0.25}, data, model)
    made, y = outputs_of()
    one, other = (by(rule["members"]).loss(made, y).item() for rule in members)
    assert objective.metrics(made, y)["loss"] == pytest.approx(0.25 * one + 0.75 * other, rel=1e-12)
    assert torch.equal(objective.combined(made), rules.log_geometric_mean(made))


def test_an_objective_for_one_network_is_not_built_for_several():
    data = Data({}, (), 1, (), "", "", (), {})
    with pytest.raises(StageFailed, match="is for one network, and the model `ensemble` is several"):
        build_objective({"type": "regression"}, data, {"type": "ensemble", "of": CNN, "members": M})
