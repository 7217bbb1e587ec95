"""What a stage may say besides its parts: which checkpoints it keeps, and where its weights come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from interpreter.spec.base import Config

FIT_KEYS = ("fit", "data", "model", "head", "schedule", "start", "keep", "metrics")
EVALUATE_KEYS = ("evaluate", "part", "checkpoint", "metrics")
# Grammar of later releases: known by name, refused by name.
NOT_BUILT_KINDS = ("probe", "score")
NOT_BUILT_KEYS = ("thaw", "curriculum", "average", "at", "pick")


class Keep(Config):
    """Which checkpoints of a fit stay: the best by a metric and the last always, every N epochs on request."""

    best: str = "val/loss"
    """The metric that chooses the best checkpoint, `split/name`; of equal ones the earliest."""
    every: int | None = Field(default=None, ge=1)
    """Also keep every N-th epoch."""
    last: Literal[True] = True
    """The last checkpoint is always kept."""


class Start(Config):
    """Where a fit's weights come from, when not from the fit before it in the chain."""

    source: str | None = Field(default=None, alias="from")
    """A checkpoint of something run: `stage@best`, `arm.stage@last`, `DATE/entry/arm.stage@best`."""
    take: Literal["encoder", "encoder-only", "all"] = "encoder"
    """encoder: the encoder, and the head when its settings are equal. encoder-only: never the head. all: both, or an error."""
    file: str | None = None
    """A weights file, as a data source's name or a path from the project's root."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """The file's sha256: identity, since the file's place is not."""

    @model_validator(mode="after")
    def _one(self) -> Start:
        if (self.source is None) == (self.file is None):
            raise ValueError("give exactly one of `from` and `file`")
        if (self.file is None) != (self.sha256 is None):
            raise ValueError("`file` and `sha256` go together: the hash is what makes it the same file")
        return self
