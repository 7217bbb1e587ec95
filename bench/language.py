"""The language as a user waits for it: `check` on 1, 10 and 100 pages, and a sweep of 1,000 points planned."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

from shell import DEMO, timed

SWEEP = """\
expt: 1
date: 2026-01-01
datasets: {digits: {type: digits}}
models: {net: {type: mlp, hidden: [16]}}
schedules: {short: {epochs: 2, batch_size: 32, optimizer: {type: adam, lr: 1e-3}}}
entries:
  big:
    stages: {fit: {fit: classification, data: digits, model: net, schedule: short}, test: {evaluate: digits}}
    arms:
      base: {chain: [fit, test], baseline: true}
      swept:
        chain: [fit, test]
        vary:
          stages.fit.head.dropout: [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
          stages.fit.head.hidden: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
          schedules.short.epochs: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    measures: {accuracy: {metric: val/accuracy}}
    expect: {better: {claim: all swept > base, on: accuracy, margin: 0}}
"""


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "specs").mkdir()
        text = DEMO.read_text("utf-8")
        times = {}
        for pages in (1, 10, 100):
            for n in range(pages):
                day = (date(2025, 1, 1) + timedelta(n)).isoformat()
                # Each page has a text of its own, so that no tree serves two of them.
                (folder / "specs" / f"{day}.yaml").write_text(
                    text.replace("2026-11-22", day).replace("lr: 2e-3", f"lr: {n + 1}e-4")
                )
            shutil.rmtree(folder / ".expt", ignore_errors=True)
            times[pages] = timed(["check"], folder, 5)
            rows.append(
                {
                    "what": f"expt check, {pages} page{'s' * (pages > 1)}",
                    "ours": times[pages],
                    "unit": "s",
                    "goal": "0.4 + 0.01 a page",
                }
            )
        rows.append({"what": "a further page", "ours": 1000 * (times[100] - times[1]) / 99, "unit": "ms", "goal": "< 10"})
        shutil.rmtree(folder / "specs")
        (folder / "specs").mkdir()
        (folder / "specs" / "2026-01-01.yaml").write_text(SWEEP)
        rows.append(
            {
                "what": "expt plan, a sweep of 1,000 points",
                "ours": timed(["plan", "2026-01-01"], folder, 3),
                "unit": "s",
                "goal": "< 2",
            }
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
