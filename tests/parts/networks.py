"""What tests of networks share: passes that are looked into, training on one batch, and promises about weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from interpreter import catalog
from interpreter.parts.build import build_model
from interpreter.parts.contract import Model
from interpreter.stages.facts import answer, look


def build(settings: dict[str, Any], shape: tuple[int, ...], outputs: int = 1, head: Any = None, views: int = 1) -> Model:
    return build_model(settings, head or {}, shape, outputs, seed=0, views=views)


def config_of(settings: dict[str, Any]) -> Any:
    return catalog.typed("model", settings)


def encoder_of(settings: dict[str, Any], shape: tuple[int, ...]) -> nn.Module:
    """The encoder alone, whether examples of `shape` are refused or not."""
    return catalog.builder("model", settings["type"])(config_of(settings), shape)[0]


def total(settings: dict[str, Any], shape: tuple[int, ...], outputs: int, head: Any = None, views: int = 1) -> int:
    """Number of parameters, counted as a plan counts them: without numbers."""
    found = answer({"model": settings, "head": head or {}, "shape": list(shape), "outputs": outputs, "views": views})
    assert "error" not in found, found
    return found["total"]


def names_and_shapes(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]


def passed(encoder: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, tuple[int, ...]]]:
    """The features of x in evaluation, and the sides of what came out of each child of the encoder that has parameters."""
    seen: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            seen[name] = tuple(output.shape[2:])

        return hook

    handles = [child.register_forward_hook(watch(name)) for name, child in encoder.named_children() if [*child.parameters()]]
    with torch.no_grad():
        features = encoder.eval()(x)
    for handle in handles:
        handle.remove()
    return features, seen


def shake(model: nn.Module) -> nn.Module:
    """The model, for evaluation, with normalizations that do something: as built they are the identity but for rounding."""
    generator = torch.Generator().manual_seed(3)
    for layer in model.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    return model.eval()


def fits_one_batch(model: Model, shape: tuple[int, ...], classes: int, steps: int, rate: float = 3e-3) -> tuple[float, float]:
    """Loss before and after training on eight random examples of random classes; every parameter got a gradient meanwhile."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(8, *([2] if model.views == 2 else []), *shape, generator=generator)
    y = torch.arange(8) % classes
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model.train()(x), y)
        optimizer.zero_grad()
        loss.backward()
        if not losses:
            assert without_gradient(model) == []
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


def without_gradient(model: nn.Module) -> list[str]:
    """Parameters that the last backward pass did not reach. A bias before a normalization is reached and cancels."""
    return [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]


def looks_the_same_without_numbers(settings: dict[str, Any], shape: tuple[int, ...], outputs: int, views: int = 1) -> None:
    """Asserts that the model is built on the meta device, no tensor anywhere else, and has the parameters of the real one."""
    request = {"model": settings, "head": {"hidden": 3}, "shape": list(shape), "outputs": outputs, "views": views}
    with torch.device("meta"):
        without = look(request)
        assert {p.device.type for p in build(settings, shape, outputs, {"hidden": 3}, views).parameters()} == {"meta"}
    assert without == look(request)
    assert without["total"] == without["encoder"] + without["head"] > 0
