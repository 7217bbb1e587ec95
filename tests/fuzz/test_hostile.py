"""Pages that would take all time, memory or stack there is: each is refused at once, before anything is written out."""

import pytest

from interpreter.project import Project
from tests.fuzz.holds import examine

HEAD = """\
expt: 1
date: 2026-01-01
datasets: {d: {type: digits}}
models:
  m: {type: mlp, hidden: [8]}
MODELS
schedules: {s: {epochs: EPOCHS, batch_size: 32, optimizer: {type: adam, lr: 1e-3}}}
entries:
  e:
    stages:
      a: {fit: classification, data: d, model: m, schedule: s, keep: {every: 1}}
      p: {probe: classification, data: d, schedule: s, at: {from: 1, every: 1}}
      t: {evaluate: d}
    arms:
"""
LIST = "[" + ", ".join(map(str, range(1, 101))) + "]"
SWEEP = f"x: {{chain: [a], vary: {{schedules.s.batch_size: {LIST}}}}}"

AGAIN = f'y: {{chain: ["x[*].a", t], vary: {{seeds: {LIST}, stages.t.part: [val, test]}}}}'


def page(arms: list[str], rest: str = "", models: str = "", epochs: int = 4) -> bytes:
    text = HEAD.replace("MODELS", models).replace("EPOCHS", str(epochs))
    return (text + "".join(f"      {arm}\n" for arm in arms) + rest).encode()


HOSTILE = {
    "extends": (page(["x: [a]"], models="".join(f"  m{i}: {{extends: m{i + 1}}}\n" for i in range(300))), "too-deep"),
    "nested": (
        page(["x: [a]"], models="".join(f"  m{i}: {{type: ensemble, of: m{i + 1}, members: 2}}\n" for i in range(300))),
        "too-deep",
    ),
    "inside-itself": (page(["x: [a]"], models="  n: {type: ensemble, of: n, members: 2}\n"), "cycle"),
    "arms": (page([f"x{i}: {{chain: [x{i + 1}.a, t]}}" for i in range(300)] + ["x300: [a]"]), "too-deep"),
    "sweep-of-sweep": (page([SWEEP, AGAIN]), "sweep-too-large"),
    "checkpoints": (page(["x: [a]", 'y: {chain: ["x.a@*", t]}'], epochs=10_000_000), "sweep-too-large"),
    "probe": (page(["x: [a, p]"], epochs=10_000_000), "sweep-too-large"),
    "trials": (page([SWEEP], "    seeds: 10000\n"), "too-many-trials"),
    "groups": (page(["x: [a]", "j: {combine: x, members: 9999, groups: sliding}"], "    seeds: 10000\n"), "sweep-too-large"),
    "placeholders": (page(["x: [a]"], "    conclusion: |\n" + "      {{ verdict.q }}\n" * 8000), "unknown-claim"),
    "notebook": (page(["x: [a]"], "    notebook: n" + "x" * 5000 + "\n"), ""),
    "bytes": (page(["x: [a]"], "    title: é\r\xa0").replace(b"\xc2\xa0", b"\xa0"), "not-utf8"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_is_refused_at_once(tmp_path, name):
    data, code = HOSTILE[name]
    (tmp_path / "specs").mkdir()
    outcome = examine(Project(tmp_path.resolve()), "2026-01-01", data)
    assert code in outcome.codes if code else not outcome.codes
