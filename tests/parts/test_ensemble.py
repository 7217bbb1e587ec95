"""Several networks side by side: their own weights, passes at once as in turn, and training as if each were alone."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from interpreter import catalog
from interpreter.parts.build import build_model, build_optimizer
from interpreter.parts.contract import Data, Draw, Model
from interpreter.parts.models.groups import groups
from interpreter.parts.models.members import Members
from interpreter.parts.objectives.classification import CrossEntropy
from interpreter.parts.optim.depth import depths
from interpreter.spec.components import contract
from interpreter.spec.components.objectives import Classification
from interpreter.spec.stages import Thaw
from interpreter.spec.thawing import phases_of
from interpreter.stages.batches import Batches
from interpreter.stages.orders import Orders
from tests.parts.networks import total

CNN = {"type": "cnn2d", "channels": [4, 8]}
SHAPE, M, K = (3, 8, 8), 3, 5
SGD = {"epochs": 1, "batch_size": 8, "optimizer": {"type": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}}


def ensemble(of: dict[str, Any] = CNN, *, seed: int = 0, head: Any = None, shape: tuple[int, ...] = SHAPE, **more: Any) -> Model:
    settings = {"type": "ensemble", "of": of, "members": M, **more}
    return build_model(settings, head or {}, shape, K, seed)


def single(of: dict[str, Any] = CNN, *, seed: int = 0) -> Model:
    return build_model(of, {}, SHAPE, K, seed)


def alone(model: Model, number: int) -> Model:
    """A copy of one member, as a network of its own."""
    return copy.deepcopy(Model(model.encoder.networks[number], model.head.networks[number], model.features, model.dims))


def batch(n: int = 8, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, generator=generator), torch.randint(0, K, (n,), generator=generator)


def largest(a: nn.Module, b: nn.Module) -> float:
    """The largest difference of any number in two state dicts of the same names."""
    one, other = a.state_dict(), b.state_dict()
    assert list(one) == list(other)
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def train(model: Model, objective: CrossEntropy, batches: list[Any], **optimizer: Any) -> list[float]:
    """Losses of steps of SGD with momentum and decay."""
    stepping = build_optimizer({**SGD, "optimizer": {**SGD["optimizer"], **optimizer}}, model)
    losses = []
    for x, y in batches:
        stepping.zero_grad(set_to_none=True)
        loss = objective.loss(model(x), y)
        loss.backward()
        stepping.step()
        losses.append(loss.item())
    return losses


def by(rule: str, **more: Any) -> CrossEntropy:
    return CrossEntropy(Classification(members=rule, **more), K)  # type: ignore[arg-type]


def doubles(count: int = 5) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(x.double(), y) for x, y in (batch(seed=n) for n in range(count))]


# --- weights


def test_members_have_weights_of_their_own_and_the_first_those_of_a_network_alone():
    model, one = ensemble(), single()
    assert (model.members, model.orders, model.features) == (M, 1, 8)
    assert sum(p.numel() for p in model.parameters()) == M * sum(p.numel() for p in one.parameters())
    storages = {p.untyped_storage().data_ptr() for p in model.parameters()}
    assert len(storages) == len(list(model.parameters()))
    assert largest(alone(model, 0), one) == 0
    for a, b in ((0, 1), (0, 2), (1, 2)):
        pairs = zip(alone(model, a).named_parameters(), alone(model, b).named_parameters(), strict=True)
        assert all(not torch.equal(p, q) for (name, p), (_, q) in pairs if p.ndim > 1)
    assert largest(model, ensemble()) == 0
    assert largest(model, ensemble(passes="serial")) == 0
    assert largest(alone(model, 1), alone(ensemble(seed=1), 1)) > 0
    assert next(iter(model.state_dict())) == "encoder.member0.conv1.0.weight"


def test_initialization_and_weights_can_be_shared_and_are_then_what_they_are_called():
    same, all_one = ensemble(init="shared"), ensemble(share="all")
    assert largest(alone(same, 0), alone(same, 2)) == 0
    assert len(list(same.parameters())) == M * len(list(single().parameters()))
    assert [id(p) for p in all_one.parameters()] == [id(p) for p in all_one.encoder.networks[2].parameters()] + [
        id(p) for p in all_one.head.networks[1].parameters()
    ]
    assert largest(alone(all_one, 2), single()) == 0
    assert not all_one.encoder.at_once  # a network seen M times is called M times: each call updates its statistics


def test_building_leaves_the_global_generators_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    ensemble({**CNN, "dropout": 0.5})
    assert torch.equal(torch.get_rng_state(), before)


# --- passes


@pytest.mark.parametrize(
    ("of", "shape"),
    [
        (CNN, SHAPE),
        ({"type": "mlp", "hidden": [12, 7], "batch_norm": True}, SHAPE),
        ({"type": "timm", "name": "mobilenetv3_small_050"}, (3, 32, 32)),
    ],
    ids=["cnn", "mlp", "mobilenet"],
)
@pytest.mark.parametrize("own", [False, True], ids=["same-batch", "own-batches"])
def test_at_once_is_as_in_turn(of, shape, own):
    """In double precision, where nothing but a mistake makes a difference; the next test has single."""
    once, turn = ensemble(of, shape=shape).double(), ensemble(of, shape=shape, passes="serial").double()
    assert (once.encoder.at_once, turn.encoder.at_once, once.encoder.why_in_turn) == (True, False, "")
    x, y = batch(6, shape=shape)
    x = x.double()
    if own:
        x = torch.stack([batch(6, seed, shape)[0].double() for seed in range(M)], dim=1)
    made, expected = once(x), turn(x)
    assert made.shape == (6, M, K)
    assert torch.allclose(made, expected, atol=1e-9, rtol=0)
    objective = by("sum_of_losses")
    for model, outputs in ((once, made), (turn, expected)):
        objective.loss(outputs, y).backward()
        assert all(p.grad is not None for p in model.parameters())
    gradients = [torch.cat([p.grad.flatten() for p in model.parameters()]) for model in (once, turn)]
    assert torch.allclose(*gradients, atol=1e-9, rtol=1e-9)
    assert gradients[1].abs().max() > 1e-2
    assert largest(once, turn) < 1e-9  # of which the buffers have changed
    counted = [int(b) for name, b in once.named_buffers() if name.endswith("num_batches_tracked")]
    assert set(counted) <= {1}
    once.eval(), turn.eval()
    with torch.inference_mode():
        assert torch.allclose(once(x), turn(x), atol=1e-9, rtol=0)


def test_at_once_trains_as_in_turn_and_statistics_count_steps():
    once, turn = ensemble(), ensemble(passes="serial")
    begun = copy.deepcopy(once)
    batches = [batch(seed=n) for n in range(5)]
    first, second = (train(model, by("sum_of_losses"), batches) for model in (once, turn))
    assert first == pytest.approx(second, abs=1e-5)
    assert largest(once, turn) < 1e-5
    assert largest(once, begun) > 1e-2
    assert {int(b) for name, b in once.named_buffers() if name.endswith("tracked")} == {5}


def test_dropout_is_drawn_for_each_member_and_again_by_the_same_seed():
    model = ensemble({"type": "mlp", "hidden": [2000], "dropout": 0.5}, init="shared")
    assert model.encoder.at_once
    x = batch(4)[0]

    def features(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return model.encoder(x)

    made = features(1)
    assert torch.equal(made, features(1))
    assert not torch.equal(made, features(2))
    model.eval()
    kept = model.encoder(x)
    alive = kept[:, 0] > 0
    dropped = made == 0
    for m in range(M):
        assert float(dropped[:, m][alive].double().mean()) == pytest.approx(0.5, abs=0.05)
        assert torch.allclose(made[:, m][~dropped[:, m]], 2 * kept[:, m][~dropped[:, m]], rtol=1e-4)
    agree = (dropped[:, 0] == dropped[:, 1])[alive].double().mean()
    assert float(agree) == pytest.approx(0.5, abs=0.05)


class Peeks(nn.Module):
    """Looks at a number, which can't be done for several networks at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.layer(x)
        return made * 2 if made.sum().item() > 0 else made


def test_what_cannot_run_at_once_runs_in_turn_and_says_why():
    torch.manual_seed(0)
    networks = [Peeks() for _ in range(M)]
    model = Members(networks, 2)
    before = copy.deepcopy(model)
    model.run_at_once((4,))
    assert not model.at_once
    assert "RuntimeError" in model.why_in_turn
    assert largest(model, before) == 0
    x = torch.randn(6, 4)
    assert torch.equal(model(x), torch.stack([network(x) for network in networks], dim=1))


def test_trying_a_pass_changes_nothing():
    model = ensemble()
    assert all(int(b) == 0 for name, b in model.named_buffers() if name.endswith("tracked"))
    assert all(p.grad is None for p in model.parameters())


def test_a_frozen_part_gets_no_gradient():
    model = ensemble()
    named = groups(model)
    for name, p in model.named_parameters():
        p.requires_grad_(name in named["head"])
    x, y = batch()
    by("sum_of_losses").loss(model(x), y).backward()
    assert [name for name, p in model.named_parameters() if p.grad is not None] == list(named["head"])


def test_parameters_are_counted_as_in_a_plan():
    one = total(CNN, SHAPE, K)
    assert total({"type": "ensemble", "of": CNN, "members": 4}, SHAPE, K) == 4 * one
    assert total({"type": "ensemble", "of": CNN, "members": 4, "share": "all"}, SHAPE, K) == one
    resnet = {"type": "timm", "name": "resnet18", "stem": "cifar", "max_pool": "keep"}
    assert total({"type": "ensemble", "of": resnet, "members": 4}, (3, 32, 32), 10) == 4 * 11_173_962


# --- training jointly is training apart


@pytest.mark.parametrize("passes", ["vectorized", "serial"])
def test_the_loss_of_one_member_moves_that_one_alone(passes):
    model = ensemble(passes=passes)
    before = [alone(model, m) for m in range(M)]
    stepping = torch.optim.SGD(model.parameters(), lr=0.05)  # the others' gradients are 0 exactly; decay would move them
    x, y = batch()
    functional.cross_entropy(model(x)[:, 1], y).backward()
    stepping.step()
    after = [alone(model, m) for m in range(M)]
    moved = [
        [not torch.equal(p, q) for p, q in zip(before[m].parameters(), after[m].parameters(), strict=True)] for m in range(M)
    ]
    assert not any(moved[0]) and not any(moved[2])
    assert all(flag for flag, (name, p) in zip(moved[1], before[1].named_parameters(), strict=True) if p.ndim > 1)


def test_the_sum_of_losses_is_training_apart():
    model = ensemble().double()
    apart = [alone(model, m) for m in range(M)]
    joint = train(model, by("sum_of_losses"), doubles())
    losses = [train(one, CrossEntropy(Classification(), K), doubles()) for one in apart]
    assert joint == pytest.approx(np.sum(losses, axis=0).tolist(), rel=1e-10)
    for m in range(M):
        assert largest(alone(model, m), apart[m]) < 1e-10


def test_the_mean_with_m_times_the_rate_and_an_mth_of_the_decay_is_the_sum():
    models = {name: ensemble().double() for name in ("sum", "mean", "repaired", "rate-only")}
    train(models["sum"], by("sum_of_losses"), doubles())
    train(models["mean"], by("mean_of_losses"), doubles())
    train(models["repaired"], by("mean_of_losses"), doubles(), lr=0.05 * M, weight_decay=0.01 / M)
    train(models["rate-only"], by("mean_of_losses"), doubles(), lr=0.05 * M)
    assert largest(models["sum"], models["repaired"]) < 1e-10
    assert largest(models["sum"], models["rate-only"]) > 1e-4  # the decay of the rate alone is M times as strong
    assert largest(models["sum"], models["mean"]) > 1e-2


def test_one_network_seen_several_times_trains_as_one_and_counts_its_batches_several_times():
    shared, one = ensemble(share="all").double(), single().double()
    several = train(shared, by("mean_of_losses"), doubles())
    assert several == pytest.approx(train(one, CrossEntropy(Classification(), K), doubles()), rel=1e-10)
    for p, q in zip(alone(shared, 0).parameters(), one.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-10, rtol=0)
    counted = [int(b) for name, b in alone(shared, 0).named_buffers() if name.endswith("tracked")]
    assert set(counted) == {M * 5}
    # One step from zero: a running mean has taken in 1 - 0.9^M of the batch's, where one network takes in 0.1.
    shared, one = ensemble(share="all").double(), single().double()
    x = doubles(1)[0][0]
    shared(x), one(x)
    mine, theirs = (dict(model.encoder.named_buffers()) for model in (alone(shared, 0), one))
    means = [name for name in mine if name.endswith("running_mean")]
    assert len(means) == 2
    for name in means:
        assert torch.allclose(mine[name], theirs[name] * (1 - 0.9**M) / 0.1, rtol=1e-9)
    with torch.no_grad():
        assert not torch.allclose(shared.eval()(x)[:, 0], one.eval()(x), atol=1e-3)


# --- named groups, depth, thawing


def test_groups_and_depths_of_an_ensemble_are_those_of_its_network():
    resnet = {"type": "timm", "name": "resnet18", "stem": "cifar", "max_pool": "keep"}
    for of in (CNN, resnet):
        with torch.device("meta"):
            model, one = ensemble(of), single(of)
        mine, theirs = groups(model), groups(one)
        assert list(mine) == list(theirs)
        for group, names in theirs.items():
            expected = {name.replace(".", f".member{m}.", 1) for m in range(M) for name in names}
            assert set(mine[group]) == expected, group
        deep, shallow = depths(model), depths(one)
        assert len(deep) == M * len(shallow)
        assert all(deep[name.replace(".", f".member{m}.", 1)] == d for name, d in shallow.items() for m in range(M))


def test_layer_decay_gives_each_members_layer_its_rate():
    model = ensemble()
    stepping = build_optimizer({**SGD, "layer_decay": 0.5}, model)
    rates = {id(p): group["lr"] for group in stepping.param_groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert len(rates) == len(named)
    for m in range(M):
        assert named[f"head.member{m}.0.weight"] == 0.05
        assert named[f"encoder.member{m}.conv2.0.weight"] == 0.025
        assert named[f"encoder.member{m}.conv1.0.weight"] == 0.0125


@pytest.mark.parametrize("by_rule", [{"layers": 1}, {"tensors": 2}, {"phases": [["head"], ["conv*"]]}])
def test_phases_of_an_ensemble_are_those_of_its_network(by_rule):
    def phases(model: Model) -> Any:
        parameters = [(name, tuple(p.shape), p.requires_grad) for name, p in model.named_parameters()]
        return phases_of(Thaw.model_validate({"by": by_rule, "max_epochs": 1}), groups(model), parameters)

    mine, theirs = phases(ensemble()), phases(single())
    assert [phase.groups for phase in mine] == [phase.groups for phase in theirs]
    assert len(mine) > 1
    for a, b in zip(mine, theirs, strict=True):
        expected = {name.replace(".", f".member{m}.", 1) for m in range(M) for name in b.parameters}
        assert set(a.parameters) == expected
        assert len(a.new) == M * len(b.new)


# --- orders


class Numbered:
    """Examples that are their own index, moved by a random amount."""

    ids = tuple(str(n) for n in range(20))
    targets = torch.arange(20) % K

    def __len__(self) -> int:
        return 20

    def batch(self, index: np.ndarray, draw: Draw | None) -> tuple[torch.Tensor, torch.Tensor]:
        moved = 0 if draw is None else draw.stream * 1000
        return torch.from_numpy(index + moved).float().reshape(-1, 1, 1, 1), self.targets[torch.from_numpy(index)]


@pytest.mark.parametrize("workers", [0, 1])
def test_each_member_sees_its_own_order_and_augmentation(workers):
    data = Data({"train": Numbered()}, (1, 1, 1), K, tuple("abcde"), "", "", (), {})
    orders = Orders(data, 11, 22, 33)
    order = orders.of(4)
    assert order.shape == (20, 3)
    assert [sorted(order[:, m].tolist()) for m in range(3)] == [list(range(20))] * 3
    assert all(np.array_equal(order[:, m], Orders(data, stream).of(4)) for m, stream in enumerate((11, 22, 33)))
    assert not np.array_equal(order[:, 0], order[:, 1])
    batches = Batches(data, "train", workers)
    served = list(batches.train(order, 8, [Draw(1, 4), Draw(2, 4), Draw(3, 4)], False))
    batches.close()
    assert [x.shape for x, _ in served] == [(8, 3, 1, 1, 1), (8, 3, 1, 1, 1), (4, 3, 1, 1, 1)]
    seen = torch.cat([x for x, _ in served]).flatten(1)
    assert torch.equal(seen, torch.from_numpy(order).float() + torch.tensor([1000.0, 2000.0, 3000.0]))
    assert torch.equal(torch.cat([y for _, y in served]), torch.from_numpy(order) % K)


# --- settings


def test_settings_that_contradict_each_other_are_refused():
    joint = {"type": "ensemble", "of": CNN, "members": M}
    for more in ({}, {"share": "all"}, {"init": "shared"}, {"order": "own"}, {"passes": "serial"}):
        config = catalog.typed("model", {**joint, **more})
        assert catalog.typed("model", contract.settings(config)) == config
    with pytest.raises(ValidationError, match="leave `order` out"):
        catalog.typed("model", {**joint, "share": "all", "order": "own"})
    own = catalog.typed("model", {**joint, "order": "own"})
    assert (own.orders(), own.networks()) == (M, M)
    assert Classification(members="sum_of_losses").model_misfit(own) == ""
    assert "no mean over" in Classification(members="loss_of_mean_logit").model_misfit(own)
    for objective in ({"type": "regression"}, {"type": "supcon"}, {"type": "neighbor_location"}):
        assert "made of several networks" in catalog.typed("objective", objective).model_misfit(own)
    parts = [{"type": "classification", "groups": g} for g in (2, 4)]
    with pytest.raises(ValidationError, match="give both the same `groups`"):
        catalog.typed("objective", {"type": "draw", "one": parts[0], "other": parts[1]})
