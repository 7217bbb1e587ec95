"""Contrastive losses against their formula, written out in loops."""

import math
import os
import subprocess
import sys
import textwrap

import pytest
import torch

from interpreter.errors import StageFailed
from interpreter.parts.build import build_data, build_model, build_objective
from interpreter.parts.contract import Data
from interpreter.parts.datasets.digits import DigitSplit
from tests.conftest import ROOT

TEMPERATURES = (0.05, 0.07, 0.5)


def objective(type_="supcon", **settings):
    return build_objective({"type": type_, **settings}, Data({}, (), 2, ("a", "b"), "", "", (), {}))


def random(n, views, d=7, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, views, d, generator=generator, dtype=torch.float64).to(dtype)


def by_loops(z, labels, temperature, base=0.07, anchors="all"):
    """The formula, one number at a time. Two views are of one class, or of one image without labels."""
    n, views, _ = z.shape
    unit = [[z[i, v] / z[i, v].norm() for v in range(views)] for i in range(n)]
    everything = [(i, v) for i in range(n) for v in range(views)]
    costs = []
    for i, v in everything:
        if anchors == "one" and v > 0:
            continue
        s = {(j, w): float(unit[i][v] @ unit[j][w]) / temperature for j, w in everything if (j, w) != (i, v)}
        same = [pair for pair in s if (labels[pair[0]] == labels[i] if labels is not None else pair[0] == i)]
        log_sum = math.log(sum(math.exp(value) for value in s.values()))
        costs.append(-sum(s[p] - log_sum for p in same) / len(same) if same else 0.0)
    return temperature / base * sum(costs) / len(costs)


LABELS = torch.tensor([0, 2, 0, 1, 2, 2, 3, 0])  # 1 and 3 are alone


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("anchors", ["all", "one"])
def test_supcon_is_its_formula(temperature, views, anchors):
    z = random(8, views)
    expected = by_loops(z, LABELS.tolist(), temperature, 0.1, anchors)
    supcon = objective(temperature=temperature, base_temperature=0.1, anchors=anchors)
    assert float(supcon.loss(z, LABELS)) == pytest.approx(expected, abs=1e-10)
    assert supcon.metrics(z, LABELS)["loss"] == pytest.approx(expected, abs=1e-10)
    if views == 1:
        assert torch.equal(supcon.loss(z[:, 0], LABELS), supcon.loss(z, LABELS))


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("views", [2, 4])
def test_simclr_is_its_formula(temperature, views):
    z = random(8, views)
    expected = by_loops(z, None, temperature, 0.2)
    simclr = objective("simclr", temperature=temperature, base_temperature=0.2)
    assert float(simclr.loss(z, LABELS)) == pytest.approx(expected, abs=1e-10)
    assert simclr.metrics(z, LABELS)["loss"] == pytest.approx(expected, abs=1e-10)


def test_simclr_is_supcon_with_a_label_for_each_image():
    z, labels = random(6, 2), torch.arange(6)
    for base in (0.07, 0.5):
        supcon = objective(temperature=0.5, base_temperature=base)
        simclr = objective("simclr", base_temperature=base)
        assert float(simclr.loss(z, torch.zeros(6).long())) == pytest.approx(float(supcon.loss(z, labels)), abs=1e-12)
    assert float(objective("simclr").loss(z, labels)) == pytest.approx(
        0.5 / 0.07 * float(objective("simclr", base_temperature=0.5).loss(z, labels)), abs=1e-12
    )


@pytest.mark.parametrize("anchors", ["all", "one"])
def test_the_gradient_is_that_of_the_loss(anchors):
    z = random(5, 2, d=3).requires_grad_()
    labels = torch.tensor([0, 1, 0, 2, 1])
    supcon, simclr = objective(temperature=0.5, anchors=anchors), objective("simclr")
    assert torch.autograd.gradcheck(lambda x: supcon.loss(x, labels), (z,), eps=1e-6, atol=1e-7)
    assert torch.autograd.gradcheck(lambda x: simclr.loss(x, labels), (z,), eps=1e-6, atol=1e-7)
    single = random(5, 1, d=3)[:, 0].requires_grad_()  # the image of class 2 is alone
    assert torch.autograd.gradcheck(lambda x: supcon.loss(x, labels), (single,), eps=1e-6, atol=1e-7)


def test_the_order_of_views_and_samples_does_not_matter():
    z, order = random(8, 3), torch.randperm(8, generator=torch.Generator().manual_seed(1))
    for made in (objective(), objective("simclr")):
        whole = float(made.loss(z, LABELS))
        assert float(made.loss(z[order], LABELS[order])) == pytest.approx(whole, abs=1e-12)
        assert float(made.loss(z.flip(1), LABELS)) == pytest.approx(whole, abs=1e-12)
        assert float(made.loss(z * torch.rand(8, 3, 1, dtype=torch.float64).add(0.1), LABELS)) == pytest.approx(whole, abs=1e-12)
        assert float(made.loss(z + 0.1, LABELS)) != pytest.approx(whole, abs=1e-3)
    first = objective(anchors="one")
    assert float(first.loss(z[order], LABELS[order])) == pytest.approx(float(first.loss(z, LABELS)), abs=1e-12)
    assert float(first.loss(z.flip(1), LABELS)) != pytest.approx(float(first.loss(z, LABELS)), abs=1e-3)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("labels", [[0, 0, 0, 0, 0], [0, 1, 2, 3, 4], [0, 1, 1, 0, 2]])
def test_equal_vectors_cost_the_logarithm_of_all_others(views, labels):
    z = torch.tensor([3.0, -4.0, 12.0], dtype=torch.float64).expand(5, views, 3)
    for temperature in TEMPERATURES:
        expected = temperature / 0.07 * math.log(views * 5 - 1)
        for made in (objective(temperature=temperature), objective("simclr", temperature=temperature)):
            assert float(made.loss(z, torch.tensor(labels))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_similarities_stay_finite(dtype):
    labels = torch.tensor([0, 0, 1, 1])
    ends = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]).repeat(1, 2).reshape(4, 2, 2)
    for z in (ends, 1e15 * ends, 1e-10 * ends, 0 * ends):
        for made in (objective(temperature=0.001), objective("simclr", temperature=0.001)):
            x = z.to(dtype).clone().requires_grad_()
            loss = made.loss(x, labels)
            assert loss.dtype == torch.float32
            loss.backward()
            assert loss.isfinite()
            assert x.grad.isfinite().all()
    # Two images of one class point opposite ways, and each has one of the other class on its spot. Its positives: its own other
    # view, at 1/t, and both of the other image, at -1/t; at 1/t there are three in all.
    exact = (0.001 / 0.07) * (2 / 3 * 2 / 0.001 + math.log(3))
    assert float(objective(temperature=0.001).loss(ends.to(dtype), labels)) == pytest.approx(exact, rel=1e-5)


def test_half_precision_around_it_does_not_reach_the_loss():
    z = random(16, 2, d=64, dtype=torch.float32)
    labels = torch.arange(16) % 4
    plain = objective().loss(z, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(objective().loss(z, labels), plain)


def test_what_has_no_positive_costs_nothing():
    z, alone = random(4, 1), torch.arange(4)
    x = z.clone().requires_grad_()
    loss = objective().loss(x, alone)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(x.grad, torch.zeros_like(x))
    assert math.isnan(objective().metrics(z[:, 0], alone)["loss"])
    assert math.isnan(objective().baseline(alone, alone)["loss"])
    one = z[:1].clone().requires_grad_()
    objective().loss(one, alone[:1]).backward()
    assert torch.equal(one.grad, torch.zeros_like(one))


def test_an_evaluated_image_has_one_view():
    z = random(300, 1, d=5)[:, 0]
    labels = torch.arange(300) % 7
    supcon, simclr = objective(), objective("simclr")
    assert supcon.metrics(z, labels) == {"loss": pytest.approx(by_loops(z[:, None], labels.tolist(), 0.07), abs=1e-10)}
    assert supcon.metrics(z.float(), labels)["loss"] == pytest.approx(supcon.metrics(z, labels)["loss"], abs=1e-4)
    few = z[:20]
    twice = few[:, None].expand(-1, 2, -1)  # both views of an image are the image
    assert simclr.metrics(few, labels[:20]) == {"loss": pytest.approx(by_loops(twice, None, 0.5), abs=1e-10)}
    assert simclr.metrics(few, labels[:20]) == {"loss": pytest.approx(float(simclr.loss(twice, labels[:20])), abs=1e-10)}
    assert math.isnan(supcon.metrics(torch.where(z > 2.5, math.nan, z), labels)["loss"])
    assert supcon.tables(z, labels) == simclr.tables(z, labels) == {}
    assert supcon.combined(z) is z
    with pytest.raises(StageFailed, match="compares 2 views of each image, and this data gives one"):
        simclr.loss(z, labels)


def test_the_trivial_rule_gives_every_image_one_vector():
    train, labels = torch.zeros(3).long(), torch.tensor([0, 1, 0, 1, 1, 2])
    equal = torch.ones(6, 4)
    supcon, simclr = objective(temperature=0.1), objective("simclr")
    assert supcon.baseline(train, labels) == {"loss": pytest.approx(0.1 / 0.07 * math.log(5) * 5 / 6)}  # class 2 is alone
    assert supcon.baseline(train, labels[:5]) == {"loss": pytest.approx(0.1 / 0.07 * math.log(4))}
    assert simclr.baseline(train, labels) == {"loss": pytest.approx(0.5 / 0.07 * math.log(11))}
    for made in (supcon, simclr):
        assert made.metrics(equal, labels)["loss"] == pytest.approx(made.baseline(train, labels)["loss"], rel=1e-12)


def test_collapse_is_seen():
    made = objective()
    z = random(1, 1, d=128).expand(50, 1, 128)[:, 0].float()
    assert made.constant(z * torch.rand(50, 1).add(0.1))
    assert made.constant(torch.zeros(4, 8))
    assert not made.constant(z[:1])
    assert not made.constant(z + torch.randn(50, 128, generator=torch.Generator().manual_seed(0)) * 0.01)
    assert not made.constant(-z * torch.tensor([1.0] * 49 + [-1.0])[:, None])
    assert not made.constant(torch.full((3, 4), math.nan))


def test_the_head_is_the_projection():
    data = build_data({"type": "digits"}, None, None)
    for projection, layers in (({"hidden": 24, "out": 16}, 3), ({"out": 5}, 1)):
        made = build_objective({"type": "simclr", "projection": projection}, data)
        model = build_model({"type": "mlp", "hidden": [12]}, made.head_settings, data.shape, made.outputs, 0, made.views)
        assert len(model.head) == layers
        assert model.head[0].in_features == 12
        assert (made.views, made.batchwise) == (1, True)
        x = data.splits["val"].batch(torch.arange(6).numpy(), None)[0]
        out = model(x[:, None].expand(-1, 2, -1, -1, -1))
        assert out.shape == (6, 2, projection["out"])
        made.loss(out, data.splits["val"].targets[:6]).backward()
        assert all(p.grad is not None for p in model.parameters())


def test_training_brings_a_class_together():
    data = build_data({"type": "digits", "classes": [0, 1, 2]}, None, None)
    made = build_objective({"type": "supcon", "projection": {"out": 8}, "temperature": 0.5}, data)
    model = build_model({"type": "mlp", "hidden": [32]}, made.head_settings, data.shape, made.outputs, 0, 1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    train, val = (data.splits[name].batch(torch.arange(80).numpy(), None) for name in ("train", "val"))
    before = made.metrics(model(val[0]), val[1])["loss"]
    for _ in range(20):
        optimizer.zero_grad()
        made.loss(model(train[0]), train[1]).backward()
        optimizer.step()
    after = made.metrics(model(val[0]), val[1])["loss"]
    least = 0.5 / 0.07 * math.log(80 / 3)  # about that of classes each in one place, far from each other
    assert before > after + 2
    assert after == pytest.approx(least, rel=0.1)
    assert after < made.baseline(train[1], val[1])["loss"]


def test_numbers_are_no_classes():
    split = DigitSplit(["a"], torch.zeros(1, 1, 8, 8), torch.zeros(1, 1), 0.0, 0, 1)
    data = Data({"train": split}, (1, 8, 8), 1, (), "", "", (), {})
    with pytest.raises(StageFailed, match="`supcon` needs a class for each example"):
        build_objective({"type": "supcon"}, data)


PROCESS = """
    import sys
    import types
    import torch
    from torch import distributed
    from interpreter import catalog

    torch.set_num_threads(1)
    rank, meeting, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    made = torch.load(out + ".in")
    found = []
    for type_, settings, cut in made["cases"]:
        rows = slice(0, cut) if rank == 0 else slice(cut, None)
        build = catalog.builder("objective", type_)
        objective = build(catalog.typed("objective", {"type": type_, **settings}), types.SimpleNamespace(splits={}))
        weight = made["weight"].clone().requires_grad_()
        loss = objective.loss(made["x"][rows] @ weight, made["labels"][rows])
        loss.backward()
        mean = weight.grad.clone()
        distributed.all_reduce(mean)
        found.append((loss.detach(), mean / 2))
    torch.save(found, f"{out}.{rank}")
    distributed.destroy_process_group()
"""


def test_two_processes_are_one_on_the_whole_batch(tmp_path):
    x, weight = random(7, 2, d=5), random(5, 1, d=4, seed=1)[:, 0]
    labels = torch.tensor([0, 1, 0, 2, 1, 1, 2])
    cases = [("supcon", {}, 3), ("supcon", {"anchors": "one", "temperature": 0.5}, 5), ("simclr", {}, 4), ("simclr", {}, 1)]
    out = str(tmp_path / "out")
    torch.save({"x": x, "weight": weight, "labels": labels, "cases": cases}, out + ".in")
    command = [sys.executable, "-c", textwrap.dedent(PROCESS)]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meeting"), out], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    try:
        ends = [process.communicate(timeout=60)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], ends
    both = [torch.load(f"{out}.{rank}") for rank in range(2)]
    for number, (type_, settings, _) in enumerate(cases):
        alone = weight.clone().requires_grad_()
        loss = objective(type_, **settings).loss(x @ alone, labels)
        loss.backward()
        for rank in range(2):
            found, gradient = both[rank][number]
            assert found.item() == pytest.approx(loss.item(), abs=1e-12)
            assert torch.allclose(gradient, alone.grad, rtol=0, atol=1e-12)
