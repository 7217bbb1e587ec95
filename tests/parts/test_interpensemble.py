"""A wide network and the narrow ones inside it: each computes what it would alone, shared weights are stepped once, and a branch
that a step is not for is left as it is."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from interpreter.errors import StageFailed
from interpreter.parts.build import build_model, build_objective, build_optimizer
from interpreter.parts.contract import Data, Model
from interpreter.parts.models.groups import groups
from interpreter.parts.objectives.classification import CrossEntropy
from interpreter.parts.objectives.interpensemble import Branched
from interpreter.parts.objectives.interpensemble_draw import BranchDrawn
from interpreter.parts.optim.depth import depths
from interpreter.spec.components.objectives import Classification, InterpensembleDraw, InterpensembleMix
from interpreter.spec.stages import Thaw
from interpreter.spec.thawing import PhaseOf, phases_of
from interpreter.stages import findings
from tests.parts.networks import total

SHAPE, K = (3, 8, 8), 5
SGD = {"epochs": 1, "batch_size": 8, "optimizer": {"type": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}}
# Blocks of the narrow networks of two halves, 2 * (half of the outputs) + (half of the inputs), as the reference lists them: for
# conv1, conv2 of each block. Its shortcuts of the networks 1 and 2 are 1 and 2, which read the half that holds nothing.
MAIN = [(0, 0), (2, 1), (1, 2), (3, 3)]
SHORTCUTS = {"switched": [0, 2, 1, 3], "straight": [0, 0, 3, 3]}


def settings(parts: int = 2, width: int | None = None, base: int = 4, **more: Any) -> dict[str, Any]:
    """Networks of 4 channels for each 64: as deep, and quick."""
    wide = {"type": "wide_resnet18", "width": width or parts, "base": base}
    return {"type": "interpensemble", "of": wide, "groups": parts, **more}


def nested(parts: int = 2, *, seed: int = 0, head: Any = None, **more: Any) -> Model:
    return build_model(settings(parts, **more), head or {}, SHAPE, K, seed)


def single(width: int, *, seed: int = 0) -> Model:
    return build_model({"type": "wide_resnet18", "width": width, "base": 4}, {}, SHAPE, K, seed)


def batch(n: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *SHAPE, generator=generator).double(), torch.randint(0, K, (n,), generator=generator)


def shaken(model: Model) -> Model:
    """In double precision, with normalizations that do something: as built they all are the same."""
    generator, lows = torch.Generator().manual_seed(7), (0.5, -0.5, -0.5, 0.5)
    model.double()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            tensors = (module.weight, module.bias, module.running_mean, module.running_var)
            for tensor, low in zip(tensors, lows, strict=True):
                tensor.data = low + torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
    return model


def block(weight: Tensor, number: int, parts: int) -> Tensor:
    """Block `number` of a weight, counted row by row, cut out by index."""
    rows, columns = weight.shape[0] // parts, weight.shape[1] // parts
    out, into = divmod(number, parts)
    return weight[out * rows : (out + 1) * rows, into * columns : (into + 1) * columns]


def block_of(name: str, number: int, parts: int, shortcut: str) -> int:
    """The block that narrow network `number` uses, by the table for two parts; for more by the pair of parts it stands for."""
    place = 2 if "downsample" in name else int("conv2" in name)
    if parts == 2:
        return (*MAIN[number], SHORTCUTS[shortcut][number])[place]
    home, inner = divmod(number, parts)
    crossing = inner * parts + home
    return (crossing, home * parts + inner, crossing if shortcut == "switched" else home * parts + home)[place]


def alone(model: Model, number: int, parts: int, shortcut: str = "switched") -> Model:
    """Narrow network `number` as a network of its own, with weights copied out of the wide one."""
    wide, own = model.encoder.networks[0].state_dict(), model.encoder.networks[1 + number].state_dict()
    made = single(1).double()
    state = {}
    for name, tensor in made.encoder.state_dict().items():
        state[name] = own[name] if name in own else block(wide[name], block_of(name, number, parts, shortcut), parts)
        assert state[name].shape == tensor.shape
    made.encoder.load_state_dict(state)
    made.head.load_state_dict(model.head.networks[1 + number].state_dict())
    return made


# --- the networks


@pytest.mark.parametrize(("parts", "shortcut"), [(2, "switched"), (2, "straight"), (3, "switched"), (3, "straight")])
def test_every_network_is_what_it_would_be_alone(parts, shortcut):
    """All of them, with random weights, in training and in evaluation: trap 9 can't be seen by one of them, or by constants."""
    model = shaken(nested(parts, shortcut=shortcut))
    others = [single(parts).double()] + [alone(model, number, parts, shortcut) for number in range(parts**2)]
    others[0].encoder.load_state_dict(model.encoder.networks[0].state_dict())
    others[0].head.load_state_dict(model.head.networks[0].state_dict())
    x, _ = batch()
    for training in (True, False):
        made = model.train(training)(x)
        assert made.shape == (len(x), 1 + parts**2, K)
        for number, other in enumerate(others):
            expected = other.train(training)(x)
            assert expected.std() > 0.05
            assert float((made[:, number] - expected).detach().abs().max()) < 1e-6
    for network, other in zip(model.encoder.networks, others, strict=True):  # the statistics, which training has changed
        theirs = dict(other.encoder.named_buffers())
        for name, buffer in network.named_buffers():
            assert torch.allclose(buffer, theirs[name], atol=1e-9, rtol=0)
            assert not name.endswith("tracked") or int(buffer) == 1


@pytest.mark.parametrize("shortcut", ["switched", "straight"])
def test_a_narrow_network_is_the_wide_one_seen_through_masks(shortcut):
    """The reference's construction: masked weights on all channels, of which those of the other half hold zeros."""
    model = shaken(nested(2, shortcut=shortcut)).eval()
    x, _ = batch(4)
    features = model.encoder(x)
    for number in range(4):
        own, rest = features[:, 1 + number].chunk(2, dim=1)
        assert torch.allclose(own, masked(model, number, x, shortcut), atol=1e-9, rtol=0)
        assert not rest.any()


def masked(model: Model, number: int, x: Tensor, shortcut: str) -> Tensor:
    wide, narrow = model.encoder.networks[0], model.encoder.networks[1 + number]
    half = number // 2  # where the reference's mask of the first convolution puts its outputs

    def conv(dense: Tensor, layer: nn.Conv2d, norm: nn.Module, place: int) -> tuple[Tensor, int]:
        mask = torch.zeros_like(layer.weight)
        block(mask, place, 2).fill_(1)
        made = functional.conv2d(dense, layer.weight * mask, stride=layer.stride, padding=layer.padding)
        out = place // 2
        halves = [*made.chunk(2, dim=1)]
        assert halves[out].abs().max() > 0  # it would be zero for one that reads the half that holds nothing
        assert not halves[1 - out].any()
        return widened(norm(halves[out]), out), out

    def widened(own: Tensor, half: int) -> Tensor:
        return torch.cat([torch.zeros_like(own), own][:: 1 if half else -1], dim=1)

    dense = widened(narrow.maxpool(functional.relu(narrow.bn1(narrow.conv1(x)))), half)
    for stage in range(1, 5):
        pairs = zip(getattr(wide, f"layer{stage}"), getattr(narrow, f"layer{stage}"), strict=True)
        for theirs, own in pairs:
            middle, _ = conv(dense, theirs.conv1, own.bn1, MAIN[number][0])
            made, out = conv(functional.relu(middle), theirs.conv2, own.bn2, MAIN[number][1])
            assert out == half
            if isinstance(theirs.downsample, nn.Sequential):
                dense, out = conv(dense, theirs.downsample[0], own.downsample[1], SHORTCUTS[shortcut][number])
                dense = dense if out == half else torch.cat(dense.chunk(2, dim=1)[::-1], dim=1)  # the channel switcher
            dense = functional.relu(made + dense)
    return dense.chunk(2, dim=1)[half].mean((2, 3))


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_the_narrow_networks_use_every_block_once(parts):
    encoder = nested(parts).encoder
    everything = {(out, into) for out in range(parts) for into in range(parts)}
    assert len(encoder.blocks) == parts**2
    for name in encoder.shared:
        used = [blocks[name] for blocks in encoder.blocks]
        assert len(used) == len(set(used))
        assert set(used) == everything
    straight = nested(parts, shortcut="straight").encoder
    shortcuts = [name for name in straight.shared if "downsample" in name]
    assert (len(encoder.shared), len(shortcuts)) == (19, 3)
    assert {blocks[name] for blocks in straight.blocks for name in shortcuts} == {(part, part) for part in range(parts)}


def test_each_begins_as_it_would_alone_and_none_as_another():
    model = nested()
    for name, tensor in single(2).encoder.state_dict().items():
        assert torch.equal(model.encoder.networks[0].state_dict()[name], tensor)
    assert torch.equal(model.head.networks[0][0].weight, single(2).head[0].weight)
    stems = [network.conv1.weight for network in model.encoder.networks[1:]]
    heads = [head[0].weight for head in model.head.networks[1:]]
    for own in (stems, heads):
        assert all(not torch.equal(a, b) for n, a in enumerate(own) for b in own[:n])
    assert [tuple(head.shape) for head in heads] == [(K, model.features // 2)] * 4
    for other in (nested(shortcut="straight"), nested(predict="geometric_mean")):  # the same weights to compare them from
        assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert not torch.equal(stems[0], nested(seed=1).encoder.networks[1].conv1.weight)


def test_parameters_are_those_of_the_wide_network_and_what_is_not_shared():
    wide, narrow = (total({"type": "wide_resnet18", "width": width}, (3, 32, 32), 10) for width in (2, 1))
    assert narrow == 11_173_962
    blocks = 9 * (4 * 64**2 + sum(c * c // 2 + 3 * c * c for c in (128, 256, 512))) + sum(c * c // 2 for c in (128, 256, 512))
    found = total(settings(width=2, base=64), (3, 32, 32), 10)
    assert found == wide + 4 * (narrow - blocks)
    hidden = {"hidden": 16, "dropout": 0.0}
    heads = 16 * 1024 + 4 * 16 * 512 + 5 * (16 + 16 * 10 + 10)
    assert total(settings(width=2, base=64), (3, 32, 32), 10, hidden) == found - (10 * 1024 + 4 * 10 * 512 + 5 * 10) + heads


def test_groups_and_depths_are_those_of_the_wide_network():
    model, wide = nested(), single(2)
    found = groups(model)
    assert list(found) == list(groups(wide)) == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"]
    assert sorted(name for names in found.values() for name in names) == sorted(name for name, _ in model.named_parameters())
    assert "encoder.member3.layer2.0.downsample.1.weight" in found["layer2"]
    assert len(found["conv1"]) == 5
    theirs = depths(wide)
    for name, depth in depths(model).items():
        part, _, rest = name.split(".", 2)
        assert depth == theirs[f"{part}.{rest}"]
    for by_rule in ({"layers": 3}, {"tensors": 20}):
        mine, alike = (thawed(each, by_rule) for each in (model, wide))
        assert [phase.groups for phase in mine] == [phase.groups for phase in alike]
        assert [{name.replace(".member0", "") for name in phase.new if "member0" in name} for phase in mine] == [
            set(phase.new) for phase in alike
        ]
        assert {name for phase in mine for name in phase.new} == {name for name, _ in model.named_parameters()}


def thawed(model: Model, by_rule: dict[str, int]) -> tuple[PhaseOf, ...]:
    parameters = [(name, tuple(p.shape), True) for name, p in model.named_parameters()]
    return phases_of(Thaw.model_validate({"by": by_rule, "max_epochs": 1}), groups(model), parameters)


# --- steps


def objective_of(model: Model, big: float, *, draws: bool = False, predict: str = "mean_probability") -> Branched:
    objective = (BranchDrawn if draws else Branched)(big, K)
    objective.join(5, predict)
    objective.attach(model)
    return objective


def own_of(model: Model, *, wide: bool) -> dict[str, Tensor]:
    """The parameters that only the wide network has, or only narrow ones."""
    shared = {f"encoder.member0.{name}" for name in model.encoder.shared}
    named = model.named_parameters()
    return {name: p for name, p in named if name not in shared and (".member0." in name) == wide}


def gradients(model: Model, loss: Tensor) -> dict[str, Tensor | None]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() if p.grad is not None else None for name, p in model.named_parameters()}


def test_a_shared_weight_is_held_once_and_stepped_once():
    """Two steps of SGD by hand: twice in the optimizer, or registered by a narrow network too, it would go twice as far."""
    model = shaken(nested())
    objective = objective_of(model, 0.5)
    optimizer = build_optimizer(SGD, model)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted({id(p) for p in model.parameters()})
    assert findings.of_optimizer(model, optimizer) == []
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    speed = {name: torch.zeros_like(p) for name, p in expected.items()}
    for step in range(2):
        x, y = batch(seed=step)
        found = gradients(model, objective.loss(model(x), y))
        for name, p in expected.items():
            speed[name] = 0.9 * speed[name] + found[name] + 0.1 * p
            expected[name] = p - 0.05 * speed[name]
        optimizer.step()
    for name, p in model.named_parameters():
        assert torch.allclose(p, expected[name], atol=1e-12, rtol=0), name


def test_a_shared_weights_gradient_is_the_sum_over_the_networks():
    model = shaken(nested())
    x, y = batch()
    found = gradients(model, objective_of(model, 0.3).loss(model(x), y))
    wide = single(2).double()
    wide.encoder.load_state_dict(model.encoder.networks[0].state_dict())
    wide.head.load_state_dict(model.head.networks[0].state_dict())
    expected = gradients(wide, 0.3 * functional.cross_entropy(wide(x), y))
    for number in range(4):
        other = alone(model, number, 2)
        theirs = gradients(other, 0.7 / 4 * functional.cross_entropy(other(x), y))
        for name, gradient in theirs.items():
            part, _, rest = name.partition(".")
            if part == "encoder" and rest in model.encoder.shared:
                block(expected[name], block_of(rest, number, 2, "switched"), 2).add_(gradient)
            else:
                assert torch.allclose(found[f"{part}.member{1 + number}.{rest}"], gradient, atol=1e-9)
    for name, gradient in expected.items():
        part, _, rest = name.partition(".")
        assert torch.allclose(found[f"{part}.member0.{rest}"], gradient, atol=1e-9), name


def test_the_drawn_gradient_is_in_expectation_that_of_the_mix():
    model = shaken(nested())
    x, y = batch()
    big = 0.3
    mixed = gradients(model, objective_of(model, big).loss(model(x), y))
    drawn = []
    for luck in (0.29, 0.3):  # below `big` the wide network, else the narrow ones
        objective = objective_of(model, big, draws=True)
        objective.begin_step(luck)
        drawn.append(gradients(model, objective.loss(model(x), y)))
    for name, expected in mixed.items():
        parts = [weight * found[name] for weight, found in zip((big, 1 - big), drawn, strict=True) if found[name] is not None]
        assert torch.allclose(sum(parts), expected, atol=1e-9), name
    wide, narrow = own_of(model, wide=True), own_of(model, wide=False)
    assert all(drawn[0][name] is not None and drawn[1][name] is None for name in wide)
    assert all(drawn[0][name] is None and drawn[1][name] is not None for name in narrow)
    assert (len(wide), len(narrow)) == (1 + 40 + 2, 4 * (1 + 40 + 2))


@pytest.mark.parametrize("optimizer", [SGD["optimizer"], {"type": "adamw", "lr": 0.01, "weight_decay": 0.1}])
@pytest.mark.parametrize("big", [0.0, 1.0])
def test_what_has_no_weight_stays_as_it_is(big, optimizer):
    """Neither decayed nor moved by momentum, and its statistics are not updated: gradients are absent, not zero (trap 10)."""
    model = shaken(nested())
    objective = objective_of(model, big)
    stepping = build_optimizer({**SGD, "optimizer": optimizer}, model)
    before = copy.deepcopy(model.state_dict())
    for step in range(3):
        x, y = batch(seed=step)
        loss = objective.loss(model(x), y)
        gradients(model, loss)
        stepping.step()
    still, moved = own_of(model, wide=big == 0), own_of(model, wide=big == 1)
    assert all(p.grad is None and torch.equal(p, before[name]) and p not in stepping.state for name, p in still.items())
    assert all(not torch.equal(p, before[name]) for name, p in moved.items())
    counted = {name: int(value) for name, value in model.state_dict().items() if name.endswith("tracked")}
    assert {(".member0." in name, value) for name, value in counted.items()} == {(big == 1, 3), (big == 0, 0)}
    assert objective.idle == ((0,) if big == 0 else (1, 2, 3, 4))
    assert findings.of_gradients(model, before, 0) == []
    (note,) = findings.of_gradients(model, before, 0, objective.idle)
    assert (note["code"], note["severity"]) == ("never-trained", "note")
    assert f"network {'0' if big == 0 else '1, 2, 3, 4'}: " in note["text"]


def test_a_coin_moves_only_the_branch_that_it_shows():
    model = shaken(nested())
    objective = objective_of(model, 0.5, draws=True)
    stepping = build_optimizer(SGD, model)
    for step, wide in enumerate((True, False, False, True, False)):
        x, y = batch(seed=step)
        before = copy.deepcopy(model.state_dict())
        objective.begin_step(0.1 if wide else 0.9)
        made = model(x)
        assert made[:, 0].isnan().all() == (not wide)
        assert made[:, 1:].isnan().all() == wide
        stepping.zero_grad(set_to_none=True)
        objective.loss(made, y).backward()
        stepping.step()
        same = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
        alike = {
            name for name in before if (".member0." in name) != wide and name.partition("member0.")[2] not in model.encoder.shared
        }
        assert same == alike
        assert findings.of_gradients(model, before, 0, objective.idle) == []
    with torch.no_grad():
        assert torch.isfinite(model(x)).all()  # an evaluation asks all of them, whatever was drawn last


def test_a_parameter_that_nothing_depends_on_is_still_found():
    model = shaken(nested())
    model.encoder.networks[2].bn1.spare = nn.Parameter(torch.zeros(2))
    objective = objective_of(model, 0.0)
    x, y = batch()
    gradients(model, objective.loss(model(x), y))
    found = findings.of_gradients(model, {name for name, _ in model.named_parameters()}, 0, objective.idle)
    assert [line["code"] for line in found] == ["no-gradient", "never-trained"]
    assert found[0]["text"] == "the loss does not depend on: encoder.member2.bn1.spare"


# --- what is minimized, predicted and measured


def outputs_of(n: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = 2 * torch.randn(n, 5, K, generator=generator, dtype=torch.float64)
    return made, torch.randint(0, K, (n,), generator=generator)


def built(type_: str, big: float, predict: str = "mean_probability") -> Branched:
    data = Data({}, (), K, tuple("abcde"), "", "", (), {})
    objective = build_objective({"type": type_, "big": big}, data, settings(predict=predict))
    assert isinstance(objective, Branched)
    return objective


@pytest.mark.parametrize("big", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("predict", ["mean_probability", "geometric_mean"])
def test_loss_and_prediction_are_those_of_their_formulas(big, predict):
    made, y = outputs_of()
    p = made.softmax(-1).numpy()
    rows = np.arange(len(y))
    ce = -np.log(p[rows, :, y.numpy()])
    loss = big * ce[:, 0].mean() + (1 - big) * ce[:, 1:].mean()
    narrow = p[:, 1:].mean(1)
    if predict == "geometric_mean":
        narrow = np.exp(np.log(p[:, 1:]).mean(1))
        narrow /= narrow.sum(1, keepdims=True)
    expected = big * p[:, 0] + (1 - big) * narrow
    for type_ in ("interpensemble_mix", "interpensemble_draw"):
        objective = built(type_, big, predict)
        assert objective.loss(made, y).item() == pytest.approx(loss, rel=1e-12)
        log_p = objective.combined(made)
        assert np.allclose(log_p.exp().numpy(), expected, rtol=1e-12, atol=0)
        assert torch.equal(objective.combined(log_p), log_p)
        found = objective.metrics(made, y)
        plain = CrossEntropy(Classification(), K).metrics(log_p, y)
        assert {**found, "loss": 0} | {**plain, "loss": 0} == {**found, "loss": 0}
        assert found["loss"] == pytest.approx(loss, rel=1e-12)
        right = made.argmax(-1) == y[:, None]
        assert found["big_accuracy"] == pytest.approx(float(right[:, 0].double().mean()))
        assert found["member_accuracy"] == pytest.approx(float(right[:, 1:].double().mean()))
        assert 0.5 < found["disagreement"] < 1
        assert set(found) == set(InterpensembleMix(big=big).logged()) == set(InterpensembleDraw(big=big).logged())
        assert objective.tables(made, y) == CrossEntropy(Classification(), K).tables(log_p, y)


def test_far_outputs_give_finite_predictions():
    far = torch.tensor([[[1000.0, -1000.0]] + [[-1000.0, 1000.0]] * 4])
    objective = Branched(0.25, 2)
    objective.join(5, "geometric_mean")
    assert objective.combined(far).exp()[0].tolist() == pytest.approx([0.25, 0.75])


def test_training_outputs_of_a_coin_are_measured_where_they_are():
    made, y = outputs_of()
    seen = made.clone()
    seen[:15, 1:], seen[15:, 0] = math.nan, math.nan
    found = built("interpensemble_draw", 0.5).metrics(seen, y)
    right = made.argmax(-1) == y[:, None]
    assert found["big_accuracy"] == pytest.approx(float(right[:15, 0].double().mean()))
    assert found["member_accuracy"] == pytest.approx(float(right[15:, 1:].double().mean()))
    assert {name for name, value in found.items() if math.isfinite(value)} == {"big_accuracy", "member_accuracy", "disagreement"}
    only = built("interpensemble_mix", 1.0).metrics(torch.cat([made[:, :1], torch.full_like(made[:, 1:], math.nan)], dim=1), y)
    assert only["accuracy"] == only["big_accuracy"] == pytest.approx(float(right[:, 0].double().mean()))
    assert {name for name, value in only.items() if math.isnan(value)} == {"member_accuracy", "disagreement"}


def test_a_rule_that_ignores_the_input_is_measured_as_if_all_networks_gave_it():
    y = torch.tensor([0, 0, 0, 1, 2])
    objective = built("interpensemble_mix", 0.3)
    found = objective.baseline(y, y)
    plain = CrossEntropy(Classification(), K).baseline(y, y)
    assert {name: found[name] for name in plain} == pytest.approx(plain)
    assert (found["big_accuracy"], found["member_accuracy"], found["disagreement"]) == pytest.approx((0.6, 0.6, 0.0))
    assert objective.constant(outputs_of()[0]) is False
    assert objective.constant(torch.zeros(4, 5, K)) is True
    assert set(Branched(0.5, K).metrics(torch.zeros(5, K), y)) == set(Classification.metrics)  # predictions from elsewhere


def test_numbers_are_no_classes():
    data = Data({"train": SimpleNamespace(targets=torch.zeros(4, 1))}, (), 1, (), "", "", (), {})
    for type_ in ("interpensemble_mix", "interpensemble_draw"):
        with pytest.raises(StageFailed, match=f"`{type_}` needs a class"):
            build_objective({"type": type_, "big": 0.5}, data)
