"""The equivariant network as one writes it with escnn's own layers: what ours is held against, in numbers and in time."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from interpreter.parts.models.equivariant import grids
from interpreter.parts.models.equivariant.conv import SteerableConv3d
from interpreter.parts.models.equivariant.nonlinear import leaky_hardshrink
from interpreter.parts.models.so3 import escnn
from interpreter.spec.components.volume_models import EquivariantResnet

enn = escnn().nn
SPACE = escnn().gspaces.rot3dOnR3(maximum_frequency=5)
GROUP = SPACE.fibergroup
SPHERE = (False, -1)
FUNCTIONS = {"relu": F.relu, "elu": F.elu, "gelu": F.gelu, "leaky_hardshrink": leaky_hardshrink}


def field_type(config: EquivariantResnet, count: int):
    irreps = GROUP.bl_irreps(config.max_frequency)
    if config.fields == "regular":
        return enn.FieldType(SPACE, [GROUP.spectral_regular_representation(*irreps, name=None)] * count)
    return enn.FieldType(SPACE, [GROUP.spectral_quotient_representation(SPHERE, *irreps, name=None)] * count)


def scalars(count: int):
    return enn.FieldType(SPACE, [GROUP.trivial_representation] * count)


def grid_of(config: EquivariantResnet):
    """Our points, as group elements of escnn."""
    cubic = config.grid == "thomson_cube"
    if config.fields == "regular":
        return [GROUP.element(angles, "ZYZ") for angles in grids.rotations(config.samples, cubic)]
    points = grids.directions(config.samples, cubic)
    beta, alpha = np.arccos(points[:, 2]), np.arctan2(points[:, 1], points[:, 0])
    return [GROUP.element(np.array([a, b, 0.3]), "ZYZ") for a, b in zip(alpha, beta, strict=True)]


def pointwise(config: EquivariantResnet, count: int, function: str) -> nn.Module:
    irreps = GROUP.bl_irreps(config.max_frequency)
    if config.fields == "quotient":
        layer = enn.QuotientFourierPointwise(SPACE, SPHERE, count, irreps, grid=grid_of(config), inplace=False)
    else:
        layer = enn.FourierPointwise(SPACE, count, irreps, "cube", inplace=False)
        # Its own grids take minutes to find: the same formula for ours, with its representation and its kernel.
        kernel = escnn().nn.modules.nonlinearities.fourier._build_kernel(GROUP, irreps)
        kernel = (kernel / np.linalg.norm(kernel)).reshape(-1, 1)
        a = np.concatenate([layer.rho(element) @ kernel for element in grid_of(config)], axis=1).T
        layer.A = torch.tensor(a, dtype=torch.float32)
        layer.Ainv = torch.tensor(np.linalg.inv(a.T @ a + 1e-8 * np.eye(a.shape[1])) @ a.T, dtype=torch.float32)
    layer._function = FUNCTIONS[function]
    return layer


class Gate(nn.Module):
    """Splits off the gates that escnn's layer wants by themselves."""

    def __init__(self, config: EquivariantResnet, count: int) -> None:
        super().__init__()
        self.types = scalars(count), field_type(config, count)
        self.gate = enn.GatedNonLinearity2(self.types)

    def forward(self, x):
        count = self.types[0].size
        return self.gate(self.types[0](x.tensor[:, :count]), self.types[1](x.tensor[:, count:]))


class Pool(nn.Module):
    """Fourier extreme pooling from the first voxel on, as described: maximum by absolute value, blur, blur of ones."""

    def __init__(self, config: EquivariantResnet, count: int) -> None:
        super().__init__()
        self.type, self.by = field_type(config, count), config.pool_by
        self.fourier = pointwise(config, count, "relu")
        reach = round(4 * config.blur_sigma_voxels)
        at = torch.arange(-reach, reach + 1.0)
        line = torch.exp(-0.5 * (at / config.blur_sigma_voxels) ** 2)
        self.reach = reach
        self.register_buffer("kernel", torch.einsum("i,j,k->ijk", line, line, line)[None, None])

    def forward(self, x):
        if self.by == "average":
            return self.type(self.blurred(x.tensor))
        tensor = x.tensor
        b, n, size = len(tensor), len(self.type), self.fourier.rho.size
        samples = torch.einsum("bcf...,gf->bcg...", tensor.view(b, n, size, *tensor.shape[2:]), self.fourier.A).flatten(1, 2)
        _, index = F.max_pool3d(samples.abs(), 2, 1, return_indices=True)
        samples = samples.flatten(2).gather(2, index.flatten(2)).view(index.shape)
        samples = self.blurred(samples)
        samples = samples.view(b, n, -1, *samples.shape[2:])
        return self.type(torch.einsum("bcg...,fg->bcf...", samples, self.fourier.Ainv).reshape(b, n * size, *samples.shape[3:]))

    def blurred(self, x):
        kernel = self.kernel.expand(x.shape[1], 1, -1, -1, -1)
        halves = [side // 2 for side in x.shape[2:]] if self.by == "average" else [None] * 3
        ones = F.conv3d(torch.ones_like(x), kernel, stride=2, padding=self.reach, groups=x.shape[1])
        out = F.conv3d(x, kernel, stride=2, padding=self.reach, groups=x.shape[1]) / ones
        return out[:, :, : halves[0], : halves[1], : halves[2]]


class Block(nn.Module):
    def __init__(self, config: EquivariantResnet, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        types = [field_type(config, n) for n in (inputs, middle, outputs)]
        inner = scalars(middle) + types[1] if config.gate == "gated" else types[1]
        self.conv1 = enn.R3Conv(types[0], inner, 3, padding=1, bias=False)
        self.norm1 = enn.IIDBatchNorm3d(inner)
        self.gate = Gate(config, middle) if config.gate == "gated" else pointwise(config, middle, config.pointwise)
        self.conv2 = enn.R3Conv(types[1], types[2], 3, padding=1, bias=False)
        self.norm2 = enn.IIDBatchNorm3d(types[2])
        self.shortcut = enn.R3Conv(types[0], types[2], 1, bias=False) if inputs != outputs else nn.Identity()
        self.pointwise = pointwise(config, outputs, config.pointwise)

    def forward(self, x):
        return self.pointwise(self.norm2(self.conv2(self.gate(self.norm1(self.conv1(x))))) + self.shortcut(x))


class Twin(nn.Sequential):
    """The whole encoder, its parts named like ours."""

    def __init__(self, config: EquivariantResnet, inputs: int) -> None:
        count, *widths = config.channels
        self_type = field_type(config, count)
        stem = OrderedDict(
            conv=enn.R3Conv(scalars(inputs), self_type, 3, bias=False),
            norm=enn.IIDBatchNorm3d(self_type),
            pointwise=pointwise(config, count, config.stem_pointwise),
        )
        children = OrderedDict(stem=nn.Sequential(stem))
        for number, (width, middle, pool) in enumerate(zip(widths, config.middles(), config.pools(), strict=True), start=1):
            layers = OrderedDict(pool=Pool(config, count)) if pool == 2 else OrderedDict()
            for repeat in range(1, config.repeats + 1):
                layers[f"block{repeat}"] = Block(config, count, middle or count, width)
                count = width
            children[f"block{number}"] = nn.Sequential(layers)
        super().__init__(children)
        self.inputs, self.config = scalars(inputs), config

    def forward(self, x):
        maps = super().forward(self.inputs(x)).tensor
        return (maps if self.config.global_pool == "flatten" else maps.mean((2, 3, 4))).flatten(1)


def conv_order(ours: SteerableConv3d, theirs: nn.Module) -> torch.Tensor:
    """For each weight of escnn's convolution, which of ours it is."""
    place = {}
    for block in ours.blocks:
        (n2, _, channels2, copies2, order2), (n1, _, channels1, copies1, order1) = block.outputs, block.inputs
        count = getattr(ours, block.basis).shape[0]
        at = np.arange(block.weights.start, block.weights.stop).reshape(n2, copies2, n1, copies1, count)
        for (f2, c2, f1, c1, k), index in np.ndenumerate(at):
            row = block.rows.start + f2 * block.outputs[1] + channels2.start + c2 * order2
            column = f1 * block.inputs[1] + channels1.start + c1 * order1
            place[row, column, k] = index
    # escnn numbers copies through all fields; the channel each starts at names it as well.
    starts2, starts1 = (
        np.cumsum([0, *(2 * irrep[0] + 1 for r in t.representations for irrep in r.irreps)])
        for t in (theirs.out_type, theirs.in_type)
    )
    seen: dict[tuple[int, int], int] = {}
    order = []
    for info in theirs.basisexpansion.get_basis_info():
        key = (int(starts2[info["out_irreps_position"]]), int(starts1[info["in_irreps_position"]]))
        order.append(place[(*key, seen.setdefault(key, 0))])
        seen[key] += 1
    return torch.tensor(order)


def take_weights(theirs: Twin, ours: nn.Module) -> None:
    """Gives escnn's network our weights and statistics."""
    with torch.no_grad():
        theirs.train()
        for name, module in ours.named_modules():
            if isinstance(module, SteerableConv3d):
                twin = theirs.get_submodule(name)
                order = conv_order(module, twin)
                assert sorted(order.tolist()) == list(range(module.weight.numel()))
                twin.weights.copy_(module.weight[order])
            elif type(module).__name__ == "FieldNorm":
                twin, at = theirs.get_submodule(name), 0
                for representation in dict.fromkeys(r.name for r in twin.in_type.representations):
                    n = twin._nfields[representation]
                    for ending, source in (("weight", module.weight), ("bias", module.bias), ("running_var", module.running_var)):
                        getattr(twin, f"{twin._escape_name(representation)}_{ending}")[:, 0] = source[at : at + n]
                    getattr(twin, f"{twin._escape_name(representation)}_running_mean")[:, 0] = module.running_mean[at : at + n]
                    at += n
            elif type(module).__name__ == "Gate":
                theirs.get_submodule(name).gate.bias[0, :, 0] = module.bias.flatten()
