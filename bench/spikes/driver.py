"""What should drive training: the stock Lightning Trainer, or Lightning Fabric under a small loop of ours?

`python bench/spikes/driver.py --out results.json` trains a small network on scikit-learn's digits, kills real processes
with SIGKILL, resumes them in fresh ones, and compares what comes out, bit for bit, with a run that was never killed. Then
it times a step under each driver, and the imports. The findings are in docs/decisions/0001-what-drives-training.md.

Drivers: `hand` a bare loop (times only); `trainer` the Trainer as its manual shows it; `trainer-derived` the same with
randomness derived from (seed, purpose, epoch, example) and no self.log; `trainer-patched` that, with the epoch given to
the sampler before the resumed iterator is built and dropout seeded at the first batch; `fabric` a small own loop;
`fabric-set-epoch` that loop with a sampler that has `set_epoch`, which a loader wrapped by Fabric calls by itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

SEED, EPOCHS, BATCH, TRAIN, PEAK, WARM_UP, NOISE = 7, 6, 64, 1437, 3e-3, 20, 0.1
STEPS = math.ceil(TRAIN / BATCH)
STOPS = {"boundary": ((2, 0), (4, 0)), "inside": ((2, 9), (4, 15))}  # (epoch, batch) before which the process is killed
ONE: dict[str, Any] = {"accelerator": "cpu", "devices": 1}
QUIET: dict[str, Any] = {**ONE, "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
SIZES = {"tiny": (64, 16, 600), "large": (512, 850, 40)}  # hidden width, batch and steps of the two timed steps
DRIVERS = ("trainer", "trainer-derived", "trainer-patched", "fabric")
IMPORTS = ("pass", "import torch", "import lightning", "import lightning.fabric", "import lightning_fabric",
           "import lightning_fabric; from lightning.pytorch import LightningModule")  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One square of the resume matrix."""

    driver: str
    workers: int = 0
    threads: int = 1
    dropout: bool = True
    norm: bool = True
    kill: str = "never"

    @property
    def name(self) -> str:
        """The name of its folder."""
        return "_".join(str(value) for value in asdict(self).values())


def derive(*parts: int | str) -> int:
    """A 63-bit number that depends on `parts` alone."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1


def rate_factor(step: int) -> float:
    """The rate at a step as a share of its peak: linear warm-up, then half a cosine."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (EPOCHS * STEPS - WARM_UP)))


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Examples with noise: by index from the process's own generator, by (epoch, index) derived from that."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor]:
        index = key if isinstance(key, int) else key[1]
        generator = None if isinstance(key, int) else torch.Generator().manual_seed(derive(SEED, "augment", *key))
        return self.x[index] + NOISE * torch.randn(self.x[index].shape, generator=generator), self.y[index]


class Order(Sampler[tuple[int, int]]):
    """(epoch, index) in the order of `epoch`, as that stands when iteration begins; Lightning sees it if `settable`."""

    def __init__(self, length: int, settable: bool) -> None:
        self.length, self.epoch = length, 0
        if settable:
            self.set_epoch = partial(setattr, self, "epoch")

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(derive(SEED, "order", self.epoch))
        yield from ((self.epoch, i) for i in torch.randperm(self.length, generator=generator).tolist())


def network(cell: Cell) -> nn.Module:
    """A small CNN with the layers that `cell` asks for, the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(SEED, "init"))
        norms = [nn.BatchNorm2d(width) if cell.norm else nn.Identity() for width in (16, 32)]
        first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
        layers = [first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU(), nn.Flatten()]
        return nn.Sequential(*layers, nn.Dropout(0.3 if cell.dropout else 0.0), nn.Linear(512, 10))


class Unit(L.LightningModule):
    """Network and objective; under the Trainer also its hooks. Stops before (epoch, batch) `stop`, to be killed there."""

    def __init__(self, driver: str, net: nn.Module, folder: Path = Path(), stop: Sequence[int] = ()) -> None:
        super().__init__()
        self.driver, self.net, self.folder, self.stop = driver, net, folder, tuple(stop)
        self.total, self.stamps, self.values = torch.zeros(()), list[float](), dict[str, Tensor]()
        self.order = Order(TRAIN, settable=driver != "fabric")

    def forward(self, x: Tensor) -> Tensor:
        self.stamps.append(time.perf_counter())
        return self.net(x)

    def gate(self, epoch: int, batch: int) -> None:
        """Wait here for SIGKILL, if this is the place."""
        if (epoch, batch) == self.stop:
            (self.folder / f"parked-{epoch}-{batch}").touch()
            time.sleep(3600)

    def begin(self, epoch: int) -> None:
        """Seed dropout for an epoch and start its sum of losses."""
        self.total = torch.zeros(())
        torch.manual_seed(derive(SEED, "dropout", epoch))

    def record(self, epoch: int, metrics: Mapping[str, Tensor]) -> None:
        """Append one epoch to the history."""
        line = {"pid": os.getpid(), "epoch": epoch, "metrics": {name: float(value) for name, value in metrics.items()}}
        with (self.folder / "history.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def validation_step(self, batch: Sequence[Tensor], batch_idx: int) -> None:
        out = self.net(batch[0])  # the whole split is one batch
        self.values = {"val_loss": cross_entropy(out, batch[1]), "val_accuracy": (out.argmax(1) == batch[1]).float().mean()}
        if self.driver == "trainer":
            self.log_dict(self.values)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.driver == "trainer-patched":
            self.order.epoch = checkpoint["epoch"] + 1

    def on_train_epoch_start(self) -> None:
        if self.driver != "trainer":
            self.begin(self.current_epoch)

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        self.gate(self.current_epoch, batch_idx)
        if self.driver == "trainer-patched" and batch_idx == 0:
            self.begin(self.current_epoch)
        loss = cross_entropy(self(batch[0]), batch[1])
        if self.driver == "trainer":
            self.log("train_loss", loss, on_step=False, on_epoch=True)
        else:
            self.total += loss.detach()
        return loss

    def on_train_epoch_end(self) -> None:
        if self.driver == "trainer":
            self.values = dict(self.trainer.callback_metrics)
        if self.values:
            self.record(self.current_epoch, self.values if self.driver == "trainer" else {"train_loss": self.total, **self.values})

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=PEAK)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def own_step(fabric: L.Fabric | None, model: nn.Module, optimizer: Any, batch: Sequence[Tensor], step: int) -> Tensor:
    """The detached loss of one step of a loop of our own, with Fabric or bare."""
    for group in optimizer.param_groups:
        group["lr"] = PEAK * rate_factor(step)
    loss = cross_entropy(model(batch[0]), batch[1])
    optimizer.zero_grad()
    fabric.backward(loss) if fabric else loss.backward()
    optimizer.step()
    return loss.detach()


def attempt(cell: Cell, folder: Path, stop: Sequence[int] = ()) -> None:
    """Train to the end, or to `stop`, from last.ckpt if there is one; leaves history.jsonl and final.pt."""
    torch.set_num_threads(cell.threads)
    folder.mkdir(exist_ok=True)
    x, y = torch.load(folder.parent / "digits.pt")
    if usual := cell.driver == "trainer":
        L.seed_everything(SEED, workers=True, verbose=False)
    unit, last = Unit(cell.driver, network(cell), folder, stop), folder / "last.ckpt"
    how: dict[str, Any] = {"shuffle": True} if usual else {"sampler": unit.order, "generator": torch.Generator()}
    train = DataLoader(Noisy(x[:TRAIN], y[:TRAIN]), BATCH, num_workers=cell.workers, **how)
    val = DataLoader(TensorDataset(x[TRAIN:], y[TRAIN:]), len(x), generator=None if usual else torch.Generator())
    if cell.driver.startswith("trainer"):
        best: dict[str, Any] = {"monitor": "val_accuracy", "mode": "max"} if usual else {}
        keep = ModelCheckpoint(folder, save_top_k=1, save_last=True, **best)
        trainer = L.Trainer(max_epochs=EPOCHS, callbacks=[keep], **QUIET)
        trainer.fit(unit, train, val, ckpt_path=last if last.exists() else None)
        optimizer: Any = trainer.optimizers[0]
    else:
        optimizer = own_loop(unit, train, next(iter(val)), last)
    torch.save({"model": unit.net.state_dict(), "optimizer": optimizer.state_dict()}, folder / "final.pt")


def own_loop(unit: Unit, loader: DataLoader[Any], val: Sequence[Tensor], last: Path) -> Any:
    """The optimizer after Fabric and a small loop have trained `unit`."""
    fabric, first = L.Fabric(**ONE), 0
    model, optimizer = fabric.setup(unit, torch.optim.AdamW(unit.parameters(), lr=PEAK))
    train = fabric.setup_dataloaders(loader)
    if last.exists():
        state = torch.load(last, weights_only=True)
        unit.net.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    for epoch in range(first, EPOCHS):
        unit.order.epoch = epoch
        unit.begin(epoch)
        for i, batch in enumerate(train):
            unit.gate(epoch, i)
            unit.total += own_step(fabric, model, optimizer, batch, epoch * STEPS + i)
        model.eval()
        with torch.no_grad():
            unit.validation_step(val, 0)
        model.train()
        unit.record(epoch, {"train_loss": unit.total, **unit.values})
        torch.save({"epoch": epoch, "model": unit.net.state_dict(), "optimizer": optimizer.state_dict()}, last.with_suffix(".part"))
        os.replace(last.with_suffix(".part"), last)
    return optimizer


def step_ms(driver: str, size: str) -> float:
    """The median milliseconds from one forward pass to the next, in a fresh run of `driver`."""
    width, batch, steps = SIZES[size]
    net = nn.Sequential(nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 10))
    unit = Unit(driver, net)
    loader = DataLoader([(torch.randn(batch, 64), torch.randint(10, (batch,)))] * steps, batch_size=None)  # type: ignore[arg-type]
    if driver.startswith("trainer"):
        L.Trainer(max_epochs=1, enable_checkpointing=False, **QUIET).fit(unit, loader)
    else:
        fabric, model, optimizer = None, unit, torch.optim.AdamW(unit.parameters(), lr=PEAK)
        if driver == "fabric":
            fabric = L.Fabric(**ONE)
            model, optimizer = fabric.setup(model, optimizer)
            loader = fabric.setup_dataloaders(loader)
        for i, each in enumerate(loader):
            unit.total += own_step(fabric, model, optimizer, each, i)
    return 1e3 * statistics.median(b - a for a, b in zip(unit.stamps[9:], unit.stamps[10:], strict=False))


def child(root: Path, cells: Sequence[Cell], stop: Sequence[int] = ()) -> None:
    """Train `cells` one after the other in a fresh process; with `stop`, SIGKILL it once it has parked there."""
    job = {"root": str(root), "cells": [asdict(cell) for cell in cells], "stop": stop}
    process = subprocess.Popen([sys.executable, __file__, "--job", json.dumps(job)])
    while stop and process.poll() is None:
        if (root / cells[0].name / "parked-{}-{}".format(*stop)).exists():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.02)
    if process.wait() != (-signal.SIGKILL if stop else 0):
        raise RuntimeError(f"exit {process.returncode}: {job}")


def leaves(value: Any, path: str = "") -> dict[str, Tensor]:
    """Every number in nested mappings and lists, as tensors by path."""
    if isinstance(value, Mapping | list | tuple):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        return {name: leaf for key, each in pairs for name, leaf in leaves(each, f"{path}/{key}").items()}
    return {path: value if isinstance(value, Tensor) else torch.tensor(float(value or 0), dtype=torch.float64)}


def outcome(folder: Path) -> tuple[dict[str, dict[str, Tensor]], list[int]]:
    """Weights, optimizer and history that a run left, and the first epoch that each of its processes finished."""
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    state = {**torch.load(folder / "final.pt"), "history": {line["epoch"]: line["metrics"] for line in lines}}
    firsts = {line["pid"]: line["epoch"] for line in reversed(lines)}
    return {part: leaves(value) for part, value in state.items()}, list(firsts.values())[::-1]


def measure(root: Path, cell: Cell) -> dict[str, Any]:
    """How far a run of `cell`, killed and resumed, is from its reference: the largest difference; None where bit-identical."""
    stops = STOPS.get(cell.kill, ())
    for stop in (*stops, ()):
        child(root, [cell], stop)
    mine, firsts = outcome(root / cell.name)
    theirs, _ = outcome(root / replace(cell, kill="never", driver=cell.driver.removesuffix("-set-epoch")).name)
    apart: dict[str, float | None] = {}
    for part, a in mine.items():
        b = theirs[part]
        same = a.keys() == b.keys() and all(a[name].numpy().tobytes() == b[name].numpy().tobytes() for name in a)
        apart[part] = None if same else max(float((a[name] - b[name]).abs().max()) for name in a.keys() & b.keys())
    again = [stop[0] - first for stop, first in zip(stops, firsts[1:], strict=True)]
    return {**asdict(cell), "kills": len(stops), "equal": not any(v is not None for v in apart.values()), "apart": apart, "repeated": again}


def matrix(root: Path) -> list[dict[str, Any]]:
    """Every cell's outcome; the references first, a process for each number of threads."""
    plain = [Cell(driver, w, t) for driver in DRIVERS for w in (0, 2) for t in (1, 2)]
    bare = [Cell(driver, 2, 1, *on) for driver in ("trainer", "fabric") for on in ((False, True), (True, False), (False, False))]
    cells = [replace(cell, kill="control") for cell in plain if cell.driver == "trainer"]
    cells += [replace(cell, kill=kill) for cell in plain for kill in STOPS] + [replace(cell, kill="inside") for cell in bare]
    cells += [Cell("fabric-set-epoch", w, 1, kill="inside") for w in (0, 2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda t: child(root, [cell for cell in plain + bare if cell.threads == t]), (1, 2)))
        return list(pool.map(partial(measure, root), cells))


def import_seconds(statement: str) -> float:
    """The seconds a fresh interpreter takes for `statement`, start-up included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def unautocast() -> dict[str, str]:
    """The precision inside the network, by how a module set up by Fabric is called at precision bf16-mixed."""
    fabric, seen = L.Fabric(**ONE, precision="bf16-mixed"), []
    unit = Unit("fabric", nn.Linear(4, 4))
    model = fabric.setup(unit)
    unit.net.register_forward_hook(lambda _, __, out: seen.append(str(out.dtype)))
    model(torch.randn(2, 4))
    model.training_step((torch.randn(2, 4), torch.zeros(2, dtype=torch.long)), 0)
    return {"model(x)": seen[0], "model.training_step(batch)": seen[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what should drive training.")
    parser.add_argument("--out", type=Path, default=Path("results.json"))
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    if given.job:
        for cell in (Cell(**each) for each in given.job["cells"]):
            attempt(cell, Path(given.job["root"]) / cell.name, given.job["stop"])
        return
    torch.set_num_threads(1)
    steps = {size: [{d: step_ms(d, size) for d in ("hand", "trainer", "trainer-derived", "fabric")} for _ in range(7)] for size in SIZES}
    imports = {each: [import_seconds(each) for _ in range(5)] for each in IMPORTS}
    digits = load_digits()
    with tempfile.TemporaryDirectory() as root:
        x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
        torch.save((x, torch.tensor(digits.target)), Path(root, "digits.pt"))
        cells = matrix(Path(root))
    results = {"torch": torch.__version__, "lightning": L.__version__, "cpus": os.cpu_count(), "step_ms": steps}
    results |= {"import_s": imports, "bf16-mixed": unautocast(), "cells": cells}
    given.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
