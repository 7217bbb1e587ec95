"""What is written of `spirals` and `fourier_mlp` on a page. Light: every check of such a page reads it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from interpreter.spec.components.contract import DataFacts, Dataset, Model

Count = Annotated[int, Field(ge=2, le=100_000)]
Width = Annotated[int, Field(ge=1)]


class Spirals(Dataset):
    """Points on two spirals wound into each other, a class each; which spiral is it? Generated, and it says so."""

    generated: ClassVar[bool] = True

    type: Literal["spirals"] = "spirals"
    source: Literal["embedded"] = "embedded"
    """The points are made from these settings; there is no folder to name."""
    train: Count = 400
    """Training points; fewer are the first ones of more."""
    val: Count = 400
    """Validation points."""
    test: Count = 1000
    """Test points."""
    turns: Annotated[float, Field(gt=0, le=10)] = 2.0
    """How often each spiral goes round."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Standard deviation of each coordinate about the spiral, whose outer end is 1 from the middle."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Training points are moved by up to this much along each axis, anew in each epoch."""
    data_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which points are made; not the seed of a trial."""

    def facts(self) -> DataFacts:
        """What is known before the points are made: everything. A point (x, y) is an image of one pixel with two channels."""
        return DataFacts(("train", "val", "test"), (2, 1, 1), 2, "classification", "spirals")

    def measured(self, split: str) -> dict[str, Any]:
        """What decides an evaluated split. What touches only training (`train`, `jitter`) is left out of the others."""
        out: dict[str, Any] = {
            "type": self.type,
            "version": self.component_version,
            "source": self.source,
            "split": split,
            "n": getattr(self, split),
            "turns": self.turns,
            "noise": self.noise,
            "data_seed": self.data_seed,
        }
        return out


class FourierMlp(Model):
    """Random Fourier features (Tancik et al. 2020, arXiv:2006.10739), then a multilayer perceptron.

    The features are sines and cosines of random projections, which stay as they were drawn; a network of small inputs learns
    fine structure from them that it would take long to learn from the inputs themselves.
    """

    type: Literal["fourier_mlp"] = "fourier_mlp"
    frequencies: Annotated[int, Field(ge=1)] = 64
    """Random projections, a sine and a cosine of each."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation of the projections' frequencies, in cycles per unit of input: larger resolves finer structure."""
    hidden: Annotated[list[Width], Field(min_length=1)]
    """Widths of the layers, the last being the number of features."""
