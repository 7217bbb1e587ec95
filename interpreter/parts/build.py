"""From plain settings to the things that train: the config class is looked up in the catalog, and its builder called."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from interpreter import catalog
from interpreter.errors import StageFailed
from interpreter.parts.contract import Data, Model, Objective
from interpreter.parts.datasets.curriculum import with_subset
from interpreter.parts.models.head import build_head, heads_of_branches, heads_of_groups, heads_of_members
from interpreter.parts.optim import optimizers, rate
from interpreter.parts.random import derive
from interpreter.spec.base import Config, identity
from interpreter.spec.components.contract import Model as ModelConfig
from interpreter.spec.components.images import Joint
from interpreter.spec.components.models import Head
from interpreter.spec.components.schedules import Schedule
from interpreter.spec.components.subsets import Scored
from interpreter.spec.thawing import PhaseOf

Settings = Mapping[str, Any]
ConfigType = TypeVar("ConfigType", bound=Config)


def build_data(settings: Settings, source: Path | None, cache: Path, scores: Mapping[str, float] | None = None) -> Data:
    """The dataset that `settings` describe, read from the folder `source` (None for embedded data); `cache` may be thrown away.

    `scores`: the difficulty of training examples by id, which a subset is chosen by.

    Raises: DataMissing when the data is absent, unreadable or not what it should be; StageFailed for a subset that can't be
    chosen by these scores.
    """
    config, build = _component("dataset", settings)
    data: Data = build(config, source, cache)
    subset = config.subset if isinstance(config, Scored) else None
    if subset is None:
        return data
    if scores is None:
        raise StageFailed("the training examples are chosen by scores, and none are given")
    return with_subset(data, subset, scores)


def build_objective(settings: Settings, data: Data, model: Settings | None = None) -> Objective:
    """The objective that `settings` describe, for the outputs of `data`.

    `model`: settings of the model whose outputs it is for, where these are not predictions already: of several networks it hears
    how many there are, and how their predictions become one.

    Raises: StageFailed when it can't be minimized on this data, or with several networks.
    """
    config, build = _component("objective", settings)
    objective: Objective = build(config, data)
    made_of = None if model is None else _component("model", model)[0]
    if isinstance(made_of, Joint):
        if not hasattr(objective, "join"):
            raise StageFailed(f"the objective `{config.type}` is for one network, and the model `{made_of.type}` is several")
        objective.join(made_of.networks(), made_of.prediction())
    return objective


def build_model(
    model_settings: Settings,
    head_settings: Settings,
    shape: tuple[int, ...],
    outputs: int,
    seed: int,
    views: int = 1,
    groups: int = 1,
) -> Model:
    """The model for views of `shape` and so many `outputs`, with the random weights that belong to `seed`.

    Its head takes the features of `views` views of an example side by side; or there is one for each of `groups` equal parts of
    them, or for each of several networks.

    The encoder's weights depend on the seed and its own settings, the head's on the seed, its settings and its sizes; the
    global generators are left as they were. Of several networks the first has the weights that it would have alone.

    Raises: StageFailed when examples of `shape` do not fit, or the model can't be made.
    """
    config, _ = _component("model", model_settings)
    assert isinstance(config, ModelConfig)
    head_config = _valid(Head, head_settings)
    if text := config.misfit(tuple(shape)):
        raise StageFailed(f"the model `{config.type}` does not fit the data: it {text}")
    encoder, features = _encoder(config, tuple(shape), seed)
    if views * features % groups:
        raise StageFailed(f"{views * features} features can't be cut into {groups} equal groups")
    size = views * features // groups

    def head_of(number: int, size: int = size) -> nn.Sequential:
        with _seeded(derive(seed, "init-head", _text(head_config), size, outputs, *_further(number))):
            return build_head(head_config, size, outputs)

    if isinstance(config, Joint):
        sizes, draws = config.head_features(size), config.draws()
        alike = len(set(sizes)) == 1
        head: nn.Module = (
            heads_of_members(head_of, draws, shared=config.one_set())
            if alike
            else heads_of_branches(head_of, draws, sizes, outputs)
        )
    else:
        head = head_of(0) if groups == 1 else heads_of_groups(head_of, groups)
    return Model(encoder, head, features, 1 + len(shape), views, config.networks(), config.orders())


def _encoder(config: ModelConfig, shape: tuple[int, ...], seed: int, number: int = 0) -> tuple[nn.Module, int]:
    """The encoder and how many features it gives, with random weights number `number` of those that belong to `seed`.

    What is made of other networks is given a function that makes them, by number; also those of another width, say.
    """
    build = catalog.builder("model", config.type)
    with _seeded(derive(seed, "init", _text(config), *_further(number))):
        if isinstance(config, Joint):

            def make(member: int, of: ModelConfig | None = None) -> tuple[nn.Module, int]:
                return _encoder(config.of if of is None else of, shape, seed, member)

            return build(config, shape, make)  # type: ignore[no-any-return]
        return build(config, shape)  # type: ignore[no-any-return]


def _further(number: int) -> tuple[int, ...]:
    """What a stream of further random weights is derived from besides: nothing for the first ones."""
    return (number,) if number else ()


def build_optimizer(settings: Settings, model: torch.nn.Module, phases: Sequence[PhaseOf] = ()) -> torch.optim.Optimizer:
    """The optimizer of a schedule's `settings` over `model`: all its parameters, or those that train in one of `phases`.

    Each is in exactly one named group, and groups are fixed for the life of a fit: parameters frozen now are in them too, since
    what gets no gradient is neither stepped nor decayed.
    """
    return optimizers.build(_valid(Schedule, settings), model, phases)


def rate_rule(settings: Settings, steps_per_epoch: int) -> Callable[[int], float]:
    """The learning rate as a function of the step, counted from 0, for a schedule's `settings`."""
    return rate.rule(_valid(Schedule, settings), steps_per_epoch)


def rate_at(settings: Settings, step: int, steps_per_epoch: int) -> float:
    """The learning rate at one step, counted from 0. For many steps, `rate_rule` reads the settings once."""
    return rate_rule(settings, steps_per_epoch)(step)


def _component(kind: str, settings: Settings) -> tuple[Config, Callable[..., Any]]:
    type_ = str(settings.get("type"))
    if catalog.find(kind, type_) is None or not catalog.built(kind, type_):
        known = [name for name in catalog.types(kind) if catalog.built(kind, name)]
        raise StageFailed(f"no {kind} of type `{type_}`", hint=f"known: {', '.join(known)}")
    try:
        config = catalog.typed(kind, settings)
    except ValidationError as error:
        raise _invalid(catalog.config_class(kind, type_), error) from None
    return config, catalog.builder(kind, type_)


def _valid(cls: type[ConfigType], settings: Settings) -> ConfigType:
    try:
        return cls.model_validate(dict(settings))
    except ValidationError as error:
        raise _invalid(cls, error) from None


def _invalid(cls: type[Config], error: ValidationError) -> StageFailed:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return StageFailed(f"settings of a {cls.__name__} are not valid: {place}: {first['msg']}")


def _text(config: Config) -> str:
    return json.dumps(identity(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global generators seeded within, and as they were after."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # libraries may draw from the old global generator
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
