"""Decision 0002: is a key the same in every process, however the page spells it, and what does it cost?

python bench/spikes/keys.py
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import time

from interpreter.catalog import SCHEDULE, config_class, load
from interpreter.spec.base import identity
from interpreter.spec.canonical import key_of

SPELLINGS = [
    {"epochs": 5, "batch_size": 64, "optimizer": {"type": "adam", "lr": 1e-3}},
    {"optimizer": {"lr": 0.001, "type": "adam"}, "batch_size": 64, "epochs": 5},
    {"epochs": 5, "batch_size": 64, "optimizer": {"type": "adam", "lr": 0.001}, "drop_last": False, "clip": "off"},
    {"epochs": 5, "batch_size": 64, "optimizer": {"type": "adam", "lr": 1e-3, "weight_decay": -0.0}},
]


def payload(spelling: dict[str, object]) -> dict[str, object]:
    model = config_class("model", "cnn2d").model_validate({"type": "cnn2d", "channels": [32, 64, 128]})
    return {
        "kind": "fit",
        "settings": {"model": identity(model), "schedule": identity(load(SCHEDULE).model_validate(spelling))},
        "seed": 3,
    }


def one() -> dict[str, object]:
    mapping = {"tags": frozenset({"a", "b", "c", "d"}), **payload(SPELLINGS[0])}
    return {"keys": [key_of(payload(s)) for s in SPELLINGS], "pickled": hashlib.sha256(pickle.dumps(mapping)).hexdigest()[:12]}


def main() -> None:
    if "--one" in sys.argv:
        print(json.dumps(one()))
        return
    found = []
    for seed in range(20):
        env = {**os.environ, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run([sys.executable, __file__, "--one"], env=env, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    keys = {key for row in found for key in row["keys"]}
    pickled = {row["pickled"] for row in found}
    print(f"4 spellings x 20 processes: {len(keys)} key; a pickled mapping with a set in it: {len(pickled)} hashes")
    made = payload(SPELLINGS[0])
    start = time.perf_counter()
    for _ in range(10_000):
        key_of(made)
    print(f"a key from its payload: {(time.perf_counter() - start) / 10_000 * 1e6:.0f} us")


if __name__ == "__main__":
    main()
