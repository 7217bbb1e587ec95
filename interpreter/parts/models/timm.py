"""Builder of `timm`: a model of the timm library without its classifier."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from torch import nn

from interpreter.errors import DataMissing, StageFailed
from interpreter.spec.components.models import Timm


def build(config: Timm, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The encoder and its number of features. Nothing is ever fetched: published weights must be on this machine.

    Raises: StageFailed for a name timm does not have, or images the model does not take; DataMissing when published weights
    can't be had.
    """
    if not timm.is_model(config.name.split(".")[0]):
        near = difflib.get_close_matches(config.name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else ""
        raise StageFailed(f"timm {timm.__version__} has no model `{config.name}`", hint=hint)
    options: dict[str, Any] = {"num_classes": 0, "in_chans": shape[0], "drop_rate": config.dropout}
    if config.drop_path:
        options["drop_path_rate"] = config.drop_path
    if config.zero_init_last is not None:
        options["zero_init_last"] = config.zero_init_last
    if config.pretrained:
        options["pretrained_cfg_overlay"] = {"file": _weights(config)}
    encoder = _made(config, options, shape)
    if config.stem == "cifar":
        _small_stem(encoder, config)
    if config.max_pool == "remove":
        _child(encoder, "maxpool", config)
        encoder.maxpool = nn.Identity()
    elif config.max_pool == "keep":
        _child(encoder, "maxpool", config)
    return encoder, _features(encoder, shape, config)


def _made(config: Timm, options: dict[str, Any], shape: tuple[int, ...]) -> nn.Module:
    """The model as timm makes it; those of a fixed image size (transformers) are made for the size of the data."""
    sized = {**options, "img_size": tuple(shape[1:])}
    refused = ""
    for attempt in (sized, options):
        try:
            encoder: nn.Module = timm.create_model(config.name, pretrained=config.pretrained, **attempt)
        except TypeError as error:  # an option that this family does not have
            refused = str(error)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise StageFailed(f"timm can't make `{config.name}` for images of {shape[1]} x {shape[2]}: {error}") from None
        else:
            return encoder
    raise StageFailed(f"timm's `{config.name}` does not take an option: {refused}", hint="leave out drop_path or zero_init_last")


def _weights(config: Timm) -> str:
    """The file of the published weights, where timm itself keeps what it has fetched.

    Raises: StageFailed when none are published; DataMissing when they are not on this machine.
    """
    published = timm.get_pretrained_cfg(config.name)
    if published is None or not (published.hf_hub_id or published.url):
        raise StageFailed(f"timm publishes no weights for `{config.name}`", hint="leave `pretrained` out")
    if published.hf_hub_id:
        repository = str(published.hf_hub_id).split("@")[0]
        for name in ("model.safetensors", "pytorch_model.bin"):
            if isinstance(found := try_to_load_from_cache(repository, name), str):
                return found
    if published.url:
        kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(str(published.url)).name
        if kept.is_file():
            return str(kept)
    raise DataMissing(
        f"the published weights of `{config.name}` are not on this machine, and a stage fetches nothing",
        hint=f"fetch them once: python -c 'import timm; timm.create_model(\"{config.name}\", pretrained=True)'"
        ", or start from a file (`start: {file: ...}`)",
    )


def _child(encoder: nn.Module, name: str, config: Timm) -> nn.Module:
    child = getattr(encoder, name, None)
    if not isinstance(child, nn.Module):
        raise StageFailed(
            f"timm's `{config.name}` has no `{name}`", hint="`stem` and `max_pool` are for the ResNet family: leave them out"
        )
    return child


def _small_stem(encoder: nn.Module, config: Timm) -> None:
    """Puts a 3x3 convolution of stride 1 where the 7x7 one of stride 2 was, initialized as timm does its convolutions."""
    old = _child(encoder, "conv1", config)
    if not isinstance(old, nn.Conv2d):
        raise StageFailed(f"timm's `{config.name}` has a deep stem: `stem: cifar` is for the plain one, a single convolution")
    conv = nn.Conv2d(old.in_channels, old.out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    encoder.conv1 = conv


def _features(encoder: nn.Module, shape: tuple[int, ...], config: Timm) -> int:
    """Length of the feature vector, found by a pass over one blank image."""
    patch = getattr(getattr(encoder, "patch_embed", None), "patch_size", None)
    if isinstance(patch, tuple) and any(side % p for side, p in zip(shape[1:], patch, strict=True)):
        raise StageFailed(
            f"timm's `{config.name}` cuts images into patches of {patch[0]} x {patch[1]}, and {shape[1]} x {shape[2]} is no"
            " multiple of that: the rest would be lost"
        )
    was = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            out = encoder(torch.zeros(1, *shape))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StageFailed(f"timm's `{config.name}` does not take images of {shape[1]} x {shape[2]}: {reason}") from None
    finally:
        encoder.train(was)
    if out.ndim != 2:
        raise StageFailed(f"timm's `{config.name}` gives no feature vector but an array of {out.ndim} axes")
    return int(out.shape[1])
