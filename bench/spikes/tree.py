"""Decision 0004: where does an error point when the value that is wrong came from an override?

python bench/spikes/tree.py
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML

from interpreter.catalog import SCHEDULE, load
from interpreter.errors import Problems
from interpreter.source.load import parse
from interpreter.source.nodes import Mapping, merge, plain
from interpreter.spec.typed import read

PAGE = """\
schedules:
  tune: {epochs: 40, batch_size: 16, optimizer: {type: adam, lr: 1e-3}}
arms:
  slow:
    set:
      schedules.tune: {optimizer: {lr: very small}}
"""


def main() -> None:
    cls = load(SCHEDULE)
    data = YAML(typ="safe", pure=True).load(PAGE)
    merged = {
        **data["schedules"]["tune"],
        "optimizer": {"type": "adam", **data["arms"]["slow"]["set"]["schedules.tune"]["optimizer"]},
    }
    try:
        cls.model_validate(merged)
    except ValidationError as error:
        print(
            "plain load, merged dicts: ",
            [".".join(map(str, e["loc"])) for e in error.errors()],
            "- no line; the text has `lr` twice",
        )
    problems = Problems()
    tree = parse(PAGE, "page.yaml", problems)
    assert tree is not None
    over = tree
    for key in ("arms", "slow", "set", "schedules.tune"):
        assert isinstance(over, Mapping)
        over = over.items[key]
    base = tree.items["schedules"]
    assert isinstance(base, Mapping)
    node = merge(base.items["tune"], over)
    assert isinstance(node, Mapping)
    read(cls, node, problems, "schedules.tune")
    for problem in problems.found:
        print("one tree of placed nodes: ", problem.place, problem.message)
    text = Path("specs/2026-11-22-digits.yaml").read_text("utf-8")
    times = []
    for _ in range(20):
        start = time.perf_counter()
        made = parse(text, "p", Problems())
        times.append(time.perf_counter() - start)
    assert made is not None
    plain(made)
    print(f"the demo page, {len(text)} characters, to placed nodes: {statistics.median(times) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
