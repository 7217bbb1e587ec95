"""Config classes of the objectives: what is minimized, and which metrics come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from interpreter.spec.base import Config, since
from interpreter.spec.components.contract import Dataset, InnerObjective, Model, Objective
from interpreter.spec.components.models import Width

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
MEMBER_METRICS = ("member_accuracy", "disagreement")
Members = Literal["mean_of_losses", "sum_of_losses", "loss_of_mean_probability", "loss_of_mean_logit"]


class Classification(Objective):
    """Cross-entropy over classes. Trivial rule to beat: the most frequent training class, or the class frequencies."""

    task: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "top5", "nll", "brier", "ece", "precision", "recall", "f1")

    type: Literal["classification"] = "classification"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each target spread evenly over all classes, in the loss only: `nll` is always without."""
    members: Members | None = since(1, None, neutral=None)
    """What a joint ensemble minimizes. The sum of its members' losses is the same as training them apart; of the mean, each
    member gets a share of the gradient, at full weight decay. Must be said for an `ensemble`, and only there."""
    groups: Annotated[int, Field(ge=1)] = since(1, 1, neutral=1)
    """Equal parts that the features of one network are cut into, each with a head of its own; the loss is the mean over the
    parts' losses (a mean-field loss). 1 is the usual loss."""

    @model_validator(mode="after")
    def _one_kind_of_parts(self) -> Classification:
        if self.members is not None and self.groups > 1:
            raise ValueError("`members` is for an ensemble, and `groups` for the features of one network: give one")
        return self

    def logged(self) -> tuple[str, ...]:
        """Its metrics, and of an ensemble also the members' mean accuracy and how often two of them disagree."""
        return self.metrics if self.members is None else (*self.metrics, *MEMBER_METRICS)

    def head_groups(self) -> int:
        """The parts that features are cut into."""
        return self.groups

    def model_misfit(self, model: Model) -> str:
        """Why it can't be minimized with `model`, said of the model, or ""."""
        if model.type == "interpensemble":
            return "is an interpensemble, which takes the objective interpensemble_mix or interpensemble_draw"
        if model.type == "ensemble" and self.members is None:
            return "is an ensemble, and the objective doesn't say what it minimizes: `members: sum_of_losses`, or another rule"
        if model.type != "ensemble" and self.members is not None:
            return f"is one network (`{model.type}`), and the objective's `members: {self.members}` is for an ensemble"
        if model.orders() > 1 and self.members in ("loss_of_mean_probability", "loss_of_mean_logit"):
            return f"gives each member examples of its own (`order: own`), which `members: {self.members}` has no mean over"
        features = model.features()
        if features is not None and features % self.groups:
            return f"has {features} features, which the objective's `groups: {self.groups}` does not divide"
        return ""


class Draw(Objective):
    """One of two classification objectives at each step, drawn at random; what is not drawn takes no part in the step.

    The losses that are recorded are the expected ones, in proportion; all other metrics are the same for both.
    """

    task: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[str, ...]] = Classification.metrics
    nested: ClassVar[Mapping[str, str]] = {"one": "objectives", "other": "objectives"}

    type: Literal["draw"] = "draw"
    one: InnerObjective
    """The objective that is drawn with probability `p`: `classification`, by name or written out."""
    other: InnerObjective
    """The objective of all other steps."""
    p: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability of `one` at each step."""

    @model_validator(mode="after")
    def _both_over_classes(self) -> Draw:
        for name in ("one", "other"):
            if not isinstance(getattr(self, name), Classification):
                raise ValueError(
                    f"`{name}` is a {getattr(self, name).type}, and steps are drawn between `classification` objectives"
                )
        if self.one.head_groups() != self.other.head_groups():
            raise ValueError("`one` and `other` are minimized with one head: give both the same `groups`")
        return self

    def logged(self) -> tuple[str, ...]:
        """As of either: both are for the same model."""
        return self.one.logged()

    def head_groups(self) -> int:
        """As of either."""
        return self.one.head_groups()

    def model_misfit(self, model: Model) -> str:
        """Why either can't be minimized with `model`, said of the model, or ""."""
        return self.one.model_misfit(model) or self.other.model_misfit(model)


class Regression(Objective):
    """Error of one or several numbers, in the units of the targets. Trivial rule to beat: the training mean."""

    task: ClassVar[str] = "regression"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "rmse", "mae", "pearson", "spearman")

    type: Literal["regression"] = "regression"
    loss: Literal["mse", "mae", "huber"] = "mse"
    """What is minimized: squared error, absolute error, or Huber's mixture of both."""
    huber_delta: Annotated[float, Field(gt=0)] = 1.0
    """Where Huber's loss turns from squared to absolute, in units of the targets; means nothing for the other losses."""


class NeighborLocation(Objective):
    """Cross-entropy over the six sides. Both views go through one encoder; the head takes their features side by side.

    Trivial rules to beat: chance (1/6), and the side towards which the centre of mass of the first view lies.
    """

    task: ClassVar[str] = "neighbor_location"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "nll", "brier", "ece")
    views: ClassVar[int] = 2

    type: Literal["neighbor_location"] = "neighbor_location"


class Projection(Config):
    """What turns features into the vectors that are compared, while the backbone is trained; heads don't see it."""

    hidden: Width | None = None
    """Width of the hidden layer (linear, ReLU). Absent: one linear layer alone."""
    out: Width = 128
    """Length of the vectors, which are then scaled to length 1."""


class Contrast(Objective):
    """What contrastive objectives share: images are told apart by the distance of their projections."""

    task: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("loss",)
    batchwise: ClassVar[bool] = True

    projection: Projection = Projection()
    """The projection between features and loss: {hidden: 2048, out: 128}."""
    base_temperature: Positive = 0.07
    """The loss is multiplied by temperature / base_temperature."""

    def own_head(self) -> tuple[dict[str, Any], int]:
        """The projection."""
        return {"hidden": self.projection.hidden, "dropout": 0.0}, self.projection.out

    def misfit(self, data: Dataset) -> str:
        """Why it can't be minimized on `data`, or ""."""
        if text := super().misfit(data):
            return text
        facts = data.facts()
        if "train" in facts.splits and facts.views < 2 and "augment" in type(data).model_fields:
            return "compares two views of each image: say `augment: {two_crops: simclr}` in the dataset"
        return ""


class SupCon(Contrast):
    """Supervised contrastive loss (Khosla et al. 2020, L_out): views of one class together, all others apart."""

    type: Literal["supcon"] = "supcon"
    temperature: Positive = 0.07
    """Similarities are divided by this."""
    anchors: Literal["all", "one"] = "all"
    """Whether every view is compared with all others, or only the first view of each image."""


class SimClr(Contrast):
    """SimCLR's loss, NT-Xent (Chen et al. 2020): the two views of one image together, all others apart. Labels are not used."""

    type: Literal["simclr"] = "simclr"
    temperature: Positive = 0.5
    """Similarities are divided by this."""

    def misfit(self, data: Dataset) -> str:
        """Why it can't be minimized on `data`, or ""."""
        if text := super().misfit(data):
            return text
        facts = data.facts()
        if "train" in facts.splits and facts.views < 2:
            more = ": say `two_views: true`, with a `shift`" if "two_views" in type(data).model_fields else ""
            return f"needs two views of each image, and a `{data.type}` dataset gives one{more}"
        return ""


class InterpensembleLoss(Objective):
    """What the objectives of an interpensemble share."""

    task: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[str, ...]] = Classification.metrics

    def logged(self) -> tuple[str, ...]:
        """Those of the prediction, the wide network's accuracy, the narrow ones' mean, and how often two of them disagree."""
        return (*self.metrics, "big_accuracy", *MEMBER_METRICS)

    def model_misfit(self, model: Model) -> str:
        """Why it can't be minimized with `model`, said of the model, or ""."""
        return "" if model.type == "interpensemble" else f"is a `{model.type}`, and the objective is for an interpensemble"


class InterpensembleMix(InterpensembleLoss):
    """`big` times the wide network's cross-entropy, plus 1 - `big` times the mean of the narrow networks' (Abe et al. 2022)."""

    type: Literal["interpensemble_mix"] = "interpensemble_mix"
    big: Probability
    """Weight of the wide network, lambda, in the loss and in the prediction; 0 is the narrow networks alone, 1 the wide one."""


class InterpensembleDraw(InterpensembleLoss):
    """At each step either the wide network's cross-entropy or the mean of the narrow networks', drawn at random.

    What the branch that was not drawn has for itself is neither stepped nor decayed.
    """

    type: Literal["interpensemble_draw"] = "interpensemble_draw"
    big: Probability
    """Probability of the wide network, and its weight in the prediction."""
