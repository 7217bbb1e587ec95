"""Averages of weights: torch's own arithmetic, exact when taken up again, with batch-norm statistics that go with them."""

import copy
import io

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from interpreter.errors import StageFailed
from interpreter.parts.build import build_model
from interpreter.parts.optim.averages import Averages, evaluated


def model(**settings):
    said = {"type": "cnn2d", "channels": [4, 8], "batch_norm": True, **settings}
    return build_model(said, {"hidden": 6, "dropout": 0.0}, (1, 8, 8), 3, 0)


def batches(epoch, count=4):
    draw = torch.Generator().manual_seed(epoch)
    return [torch.randn(10, 1, 8, 8, generator=draw) for _ in range(count)]


class Fit:
    """A loop as a fit's: steps, epochs, and what is kept of them."""

    def __init__(self, settings, epochs=6, net=None):
        self.net = model() if net is None else net
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        self.averages = Averages(settings, self.net, epochs)

    def train(self, epoch, after=lambda: None):
        self.net.train()
        for x in batches(epoch):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.net(x), torch.arange(10) % 3).backward()
            self.optimizer.step()
            self.averages.step()
            after()
        self.averages.epoch(epoch)
        if self.averages.needs_estimate():
            self.averages.estimate(self.net, batches(epoch))

    def evaluate(self):
        with self.averages.applied(), torch.no_grad():
            return self.net.eval()(batches(99)[0])

    def saved(self):
        file = io.BytesIO()
        torch.save(
            {"model": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "averages": self.averages.state()}, file
        )
        return file.getvalue()

    def load(self, saved):
        content = torch.load(io.BytesIO(saved), weights_only=True)
        self.net.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.averages.load(content["averages"])


def test_ema_of_weights_and_statistics_is_that_of_torch():
    fit = Fit({"ema": 0.8})
    theirs = AveragedModel(fit.net, multi_avg_fn=get_ema_multi_avg_fn(0.8), use_buffers=True)
    for epoch in range(3):
        fit.train(epoch, lambda: theirs.update_parameters(fit.net))
    assert fit.averages.count == int(theirs.n_averaged) == 12
    for name, expected in theirs.module.state_dict().items():
        found = fit.averages.state()["weights"][name]
        if name.endswith("num_batches_tracked"):
            assert int(found) == 12  # a count is not averaged
        else:
            assert torch.equal(found, expected), name
            assert not torch.equal(found, fit.net.state_dict()[name])


def test_ema_begins_with_the_weights_after_the_first_step():
    net = nn.Linear(1, 1, bias=False)
    averages = Averages({"ema": 0.75}, net, 1)
    for value in (8.0, 0.0, 4.0):
        net.weight.data.fill_(value)
        averages.step()
        averages.epoch(0)  # is for averages over epochs
    assert averages.state()["weights"]["weight"].item() == 0.75 * (0.75 * 8.0 + 0.25 * 0.0) + 0.25 * 4.0


def test_swa_is_the_mean_over_the_ends_of_the_last_epochs():
    fit, ends = Fit({"swa": 3}), []
    for epoch in range(6):
        fit.train(epoch)
        ends.append(copy.deepcopy(fit.net.state_dict()))
        assert fit.averages.count == max(0, epoch - 2)
    found = fit.averages.state()["weights"]
    for name, _ in fit.net.named_parameters():
        assert torch.allclose(found[name], torch.stack([end[name] for end in ends[3:]]).mean(0), rtol=1e-5, atol=1e-7), name


def test_swa_longer_than_the_fit_is_over_all_of_it():
    fit = Fit({"swa": 9}, epochs=2)
    fit.train(0)
    assert fit.averages.count == 1


def test_statistics_of_swa_are_those_of_the_averaged_weights():
    fit = Fit({"swa": 2}, epochs=3)
    for epoch in range(3):
        fit.train(epoch)
    before = copy.deepcopy(fit.net.state_dict())
    theirs = copy.deepcopy(fit.net)
    theirs.load_state_dict(fit.averages.state()["weights"])
    update_bn(batches(2), theirs)
    found = fit.averages.state()["weights"]
    statistics = [name for name in found if "running" in name]
    assert len(statistics) == 4
    for name in statistics:
        assert torch.equal(found[name], theirs.state_dict()[name]), name
        assert not torch.allclose(found[name], before[name]), name
    assert all(torch.equal(value, before[name]) for name, value in fit.net.state_dict().items())
    assert {m.momentum for m in fit.net.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}


def test_frozen_normalizations_keep_their_statistics():
    fit = Fit({"swa": 1}, epochs=1)
    fit.train(0)
    frozen = fit.net.encoder.conv1[1]
    frozen.eval()
    fit.net.encoder.conv2[1].momentum = 0.0
    before = {name: tensor.clone() for name, tensor in fit.averages.state()["weights"].items()}
    assert not fit.averages.needs_estimate()
    fit.averages.estimate(fit.net, batches(7))
    for name, tensor in fit.averages.state()["weights"].items():
        assert torch.equal(tensor, before[name]) or name.endswith("num_batches_tracked"), name


def test_a_model_without_normalizations_needs_no_estimate():
    fit = Fit({"swa": 1}, epochs=1, net=model(batch_norm=False))
    fit.train(0)
    assert fit.averages.count == 1
    assert not fit.averages.needs_estimate()


@pytest.mark.parametrize("settings", [{"ema": 0.9}, {"swa": 3}, {"swa": 5}], ids=str)
def test_evaluating_an_average_leaves_training_as_it_is(settings):
    quiet, looked = Fit(settings), Fit(settings)
    for epoch in range(6):
        quiet.train(epoch)
        looked.train(epoch)
        outputs, weight = looked.evaluate(), looked.net.encoder.conv1[0].weight
        with torch.no_grad():
            assert torch.equal(outputs, looked.net(batches(99)[0])) == (looked.averages.count == 0)
        assert weight is looked.optimizer.param_groups[0]["params"][0]
    assert quiet.saved() == looked.saved()


def test_the_trained_weights_are_back_after_an_error():
    fit = Fit({"ema": 0.9})
    fit.train(0)
    before = copy.deepcopy(fit.net.state_dict())

    def evaluation():
        with fit.averages.applied():
            assert not torch.equal(fit.net.head.state_dict()["0.weight"], before["head.0.weight"])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        evaluation()
    assert all(torch.equal(value, before[name]) for name, value in fit.net.state_dict().items())


@pytest.mark.parametrize("settings", [{"ema": 0.9}, {"swa": 3}, {"swa": 6}], ids=str)
@pytest.mark.parametrize("stop", range(6))
def test_taken_up_again_it_goes_on_bit_for_bit(settings, stop):
    whole = Fit(settings)
    for epoch in range(6):
        whole.train(epoch)
        if epoch == stop:
            saved = whole.saved()
    again = Fit(settings)
    again.load(saved)
    for epoch in range(stop + 1, 6):
        again.train(epoch)
    assert torch.equal(whole.evaluate(), again.evaluate())
    for part in ("model", "averages"):
        mine, theirs = (torch.load(io.BytesIO(fit.saved()), weights_only=True)[part] for fit in (whole, again))
        if part == "averages":
            assert mine["count"] == theirs["count"] == (24 if "ema" in settings else settings["swa"])
            mine, theirs = mine["weights"], theirs["weights"]
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


def test_what_is_shared_is_averaged_once_and_told_by_all_its_names():
    net = nn.ModuleDict({"a": nn.Linear(1, 1, bias=False), "b": nn.Linear(1, 1, bias=False)})
    net["b"].weight = net["a"].weight
    averages = Averages({"ema": 0.5}, net, 1)
    for value in (4.0, 8.0):
        net["a"].weight.data.fill_(value)
        averages.step()
    weights = averages.state()["weights"]
    assert (weights["a.weight"].item(), weights["b.weight"].item()) == (6.0, 6.0)
    with averages.applied():
        assert net["b"].weight is net["a"].weight
        assert net["b"].weight.item() == 6.0
    net.load_state_dict(weights)


def test_frozen_weights_are_their_own_average():
    net = model()
    net.encoder.conv1.requires_grad_(False)
    fit = Fit({"ema": 0.999}, net=net)
    before = net.encoder.conv1[0].weight.clone()
    fit.train(0)
    assert torch.equal(fit.averages.state()["weights"]["encoder.conv1.0.weight"], before)


def test_a_checkpoint_is_evaluated_by_its_average_once_there_is_one():
    fit = Fit({"swa": 1}, epochs=2)
    for epoch, part in ((0, "model"), (1, "averages")):
        fit.train(epoch)
        content = torch.load(io.BytesIO(fit.saved()), weights_only=True)
        fresh = model()
        fresh.load_state_dict(evaluated(content))
        expected = content["model"] if part == "model" else content["averages"]["weights"]
        assert all(torch.equal(tensor, expected[name]) for name, tensor in fresh.state_dict().items())
        assert torch.equal(fresh.eval()(batches(99)[0]), fit.evaluate())
    assert evaluated({"model": {"w": 1}, "averages": None}) == {"w": 1}


def test_another_models_average_is_refused():
    state = Averages({"ema": 0.9}, model(), 1).state()
    with pytest.raises(StageFailed, match="those of another model"):
        Averages({"ema": 0.9}, model(channels=[4, 9]), 1).load(state)
    with pytest.raises(StageFailed, match="those of another model"):
        Averages({"ema": 0.9}, model(batch_norm=False), 1).load(state)
    with pytest.raises(ValidationError, match="exactly one"):
        Averages({"ema": 0.9, "swa": 2}, model(), 1)
