"""What a start does to weights before they are put in: new channels, other names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from interpreter.errors import StageFailed
from interpreter.parts.build import build_model
from interpreter.stages.start import renamed, widened
from tests.stages.build import HEAD, MLP, fit, project
from tests.stages.doing import do, lines

CNN = {"type": "cnn2d", "channels": [4, 6], "pool": 1}


@pytest.mark.parametrize("settings", [CNN, MLP], ids=["cnn2d", "mlp"])
def test_new_channels_of_weight_zero_change_nothing_that_comes_out(settings: dict) -> None:
    old = build_model(settings, HEAD, (2, 8, 8), 10, 1).eval()
    new = build_model(settings, HEAD, (5, 8, 8), 10, 2).eval()
    with pytest.raises(RuntimeError, match="size mismatch"):
        new.load_state_dict(old.state_dict())
    new.load_state_dict(widened(new.state_dict(), old.state_dict()))
    x = torch.randn(3, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(new(x), old(x[:, :2]))


def test_what_differs_otherwise_too_is_left_to_be_told() -> None:
    weights = {"encoder.a": torch.ones(4, 2, 3, 3), "encoder.b": torch.ones(4, 2)}
    own = {"encoder.a": torch.ones(5, 3, 3, 3), "encoder.b": torch.ones(4, 1)}
    assert {name: tensor.shape for name, tensor in widened(own, weights).items()} == {n: t.shape for n, t in weights.items()}


def test_names_go_by_their_longest_prefix() -> None:
    one = torch.zeros(1)
    found = renamed({"net.conv.w": one, "net.out.w": one, "step": one}, {"net.": "encoder.", "net.out.": "head."})
    assert sorted(found) == ["encoder.conv.w", "head.w", "step"]
    assert renamed({"w": one}, {}) == {"w": one}
    with pytest.raises(StageFailed, match="no tensor of the file begins so"):
        renamed({"a.w": one}, {"b.": ""})
    with pytest.raises(StageFailed, match="two tensors of the file the name `w`"):
        renamed({"a.w": one, "w": one}, {"a.": ""})


def test_a_file_with_other_names_is_mapped(tmp_path: Path) -> None:
    home = project(tmp_path)
    weights = build_model(MLP, HEAD, (1, 8, 8), 10, 7).state_dict()
    torch.save({name.replace("encoder.", "backbone."): tensor for name, tensor in weights.items()}, tmp_path / "w.pt")
    sha = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    start = {"kind": "file", "file": "w.pt", "sha256": sha}
    plain = fit("plain", epochs=1, start=start)
    mapped = fit("mapped", epochs=1, start={**start, "map": {"backbone.": "encoder."}})
    wrong = fit("wrong", epochs=1, start={**start, "map": {"bone.": "encoder."}})
    never = fit("never", epochs=1, start={**start, "map": {"backbone.": "encoder."}, "take": "encoder-only"})
    narrow = fit(
        "narrow", epochs=1, start={**start, "map": {"backbone.": "encoder."}, "take": "all"}, head={"hidden": 8, "dropout": 0}
    )
    ended = do(home, plain, mapped, wrong, never, narrow)
    assert ended[0].startswith("failed: the weights of the file `w.pt` do not fit the model")
    assert ended[1] == "done"
    assert ended[2].startswith("failed: `map` renames `bone.`")
    assert lines(home, mapped, "start")[0]["carried"] == ["encoder", "head"]
    assert lines(home, never, "start")[0]["carried"] == ["encoder"]
    assert ended[4].startswith("failed: take: all, but the head of the file `w.pt` does not fit the model")
