"""One explicit schedule, driven by epochs, gives the same phases, epochs and rates as finetuning-scheduler."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from interpreter.parts.build import build_model
from interpreter.run.record import Record
from interpreter.stages.phases import Thawing
from tests.stages.build import DIGITS, fit, project
from tests.stages.doing import do, lines

# Importing it warns of what it deprecates in others.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import finetuning_scheduler as fts
    import lightning

CNN = {"type": "cnn2d", "channels": [4, 6], "batch_norm": True}
HEAD = {"hidden": None, "dropout": 0.0}
EPOCHS = 7
RATES = [0.05, 0.01, 0.002]  # of the phases
UNTIL = [2, 5]  # absolute epochs by which the first two end; the last lasts as long as the fit
PARTS = [["head."], ["encoder.conv2."], ["encoder.conv1."]]


class Module(lightning.LightningModule):
    """The same model under the Trainer, and what trains in each epoch at which rate."""

    def __init__(self) -> None:
        super().__init__()
        self.net = build_model(CNN, HEAD, (1, 8, 8), 10, 0)
        self.seen: list[tuple[int, set[str], dict[str, float]]] = []

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("val_loss", torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def on_train_epoch_end(self) -> None:
        rates = {}
        names = {id(p): name.removeprefix("net.") for name, p in self.named_parameters()}
        for group in self.trainer.optimizers[0].param_groups:
            rates |= {names[id(p)]: float(group["lr"]) for p in group["params"] if p.requires_grad}
        trained = {name for name, p in self.net.named_parameters() if p.requires_grad}
        self.seen.append((self.trainer.current_epoch, trained, rates))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=RATES[0], momentum=0.9)


def _loader() -> DataLoader[Any]:
    torch.manual_seed(0)
    return DataLoader(TensorDataset(torch.randn(64, 1, 8, 8), torch.randint(0, 10, (64,))), batch_size=32)


def _trainer(folder: Path, scheduler: Any) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    device = {"accelerator": "cpu", "devices": 1}
    return lightning.Trainer(max_epochs=EPOCHS, default_root_dir=folder, callbacks=[scheduler], **quiet, **device)


def by_finetuning_scheduler(folder: Path) -> list[tuple[int, set[str], dict[str, float]]]:
    """Epoch, what trained in it, and at which rates."""
    names = [f"net.{name}" for name, _ in Module().net.named_parameters()]
    text = ""
    for number, prefixes in enumerate(PARTS):
        members = [name for name in names if name.startswith(tuple(f"net.{prefix}" for prefix in prefixes))]
        text += f"{number}:\n  params: [{', '.join(members)}]\n"
        text += f"  max_transition_epoch: {[*UNTIL, EPOCHS][number]}\n"
        text += f"  lr: {RATES[number]}\n" if number else ""
    schedule = folder / "schedule.yaml"
    schedule.write_text(text)
    module = Module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = fts.FinetuningScheduler(ft_schedule=str(schedule), epoch_transitions_only=True, restore_best=False)
        _trainer(folder, scheduler).fit(module, _loader(), _loader())
    return module.seen


def test_the_same_phases_epochs_and_rates(tmp_path: Path) -> None:
    expected = by_finetuning_scheduler(tmp_path)
    assert [epoch for epoch, _, _ in expected] == list(range(EPOCHS))

    by_hand = [
        {"groups": ["head"], "until_epoch": UNTIL[0]},
        {"groups": ["conv2"], "until_epoch": UNTIL[1], "lr": RATES[1]},
        {"groups": "all", "lr": RATES[2]},
    ]
    stage = fit(
        "ours",
        epochs=EPOCHS,
        model=CNN,
        head=HEAD,
        data=DIGITS | {"per_class": 8},
        thaw={"by": {"phases": by_hand}},
        keep={"best": "val/loss", "every": 1, "last": True},
        schedule_optimizer={"type": "sgd", "lr": RATES[0], "momentum": 0.9},
        schedule_lr_schedule={"type": "constant"},
        schedule_clip=None,
    )
    home = project(tmp_path)
    assert do(home, stage) == ["done"]
    for (epoch, trained, rates), line in zip(expected, lines(home, stage, "epoch"), strict=True):
        held = torch.load(Record.of(home, stage.key).checkpoint(epoch), weights_only=True)
        assert set(held["trainable"]) == trained, epoch
        ours = {}
        for number, prefixes in enumerate(PARTS):
            ours |= {n: line["rates"].get(f"phase-{number}") for n in trained if n.startswith(tuple(prefixes))}
        assert ours == pytest.approx(rates), epoch
    assert [line["epoch"] for line in lines(home, stage, "phase")] == [0, *UNTIL]


def test_the_same_tensors_a_phase(tmp_path: Path) -> None:
    """`tensors: 2` is the schedule that finetuning-scheduler writes by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = _trainer(tmp_path, fts.FinetuningScheduler(gen_ft_sched_only=True))
        with pytest.raises(SystemExit):
            trainer.fit(Module(), _loader(), _loader())
    written: list[set[str]] = []
    for line in (tmp_path / "Module_ft_schedule.yaml").read_text().splitlines():
        if line[0].isdigit():
            written.append(set())
        elif line.strip().startswith("- "):
            written[-1].add(line.strip()[2:].removeprefix("net."))
    ours = Thawing({"by": {"tensors": 2}, "max_epochs": 1}, build_model(CNN, HEAD, (1, 8, 8), 10, 0)).phases
    assert len(written) == 4
    assert written == [set(phase.new) for phase in ours]
