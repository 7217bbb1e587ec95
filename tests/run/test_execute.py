"""The coordinator and its pool, with everything that may die dying. One server serves all tests of this file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interpreter.plan.types import SourceNeed, Stage
from interpreter.project import Project
from interpreter.run.attempts import numbers
from interpreter.run.execute import run_plan
from interpreter.run.outcome import RunOutcome, Snapshot
from interpreter.run.pool import Pool
from interpreter.run.progress import Display
from interpreter.run.record import Record
from interpreter.run.status import pace_of, status_of
from tests.stages.build import evaluate, fit, plan, project, start_from

pytestmark = pytest.mark.alone
LONG = 60  # epochs: some seconds


class KeptOpen(Pool):
    """A pool that outlives a run."""

    def close(self) -> None:
        """Stay."""

    def really_close(self) -> None:
        super().close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def pool(home: Project) -> Iterator[KeptOpen]:
    pool = KeptOpen(home)
    pool.start()
    yield pool
    pool.really_close()


def until(condition: Callable[[], object], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def in_background(home: Project, pool: Pool, *stages: Stage) -> tuple[threading.Thread, list[RunOutcome]]:
    outcomes: list[RunOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run_plan(home, plan(*stages), executor=pool)))
    thread.start()
    return thread, outcomes


def end_of(home: Project, stage: Stage, number: int) -> dict[str, object]:
    return json.loads((Record.of(home, stage.key).attempts / f"{number:04d}.end").read_text())


def pid_of(home: Project, stage: Stage) -> int:
    """The process that is at work on a stage, once it has finished some epochs."""
    until(lambda: status_of(home, stage.key).state == "running" and status_of(home, stage.key).epoch > 2)
    return status_of(home, stage.key).pid


def test_a_chain_is_done_in_order_and_reused(home: Project, pool: KeptOpen) -> None:
    first = fit("first")
    second = fit("second", inputs=start_from(first))
    final, other = evaluate("final", second), fit("other", seed=1)
    shown: list[Snapshot] = []
    outcome = run_plan(home, plan(final, second, first, other), jobs=2, executor=pool, on_progress=shown.append)
    assert outcome.ok
    assert set(outcome.done) == {s.key for s in (first, second, final, other)}
    started = {s.name: status_of(home, s.key).done["finished"] for s in (first, second, final)}
    assert started["first"] < started["second"] < started["final"]
    assert shown[-1].count("done") == 4
    again = run_plan(home, plan(first, second, final, other))
    assert (again.done, len(again.reused), again.exit_code) == ((), 4, 0)


def test_a_failing_stage_blocks_what_needs_it_and_nothing_else(
    home: Project, pool: KeptOpen, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = fit("wrong", schedule_batch_size=1)  # batch-norm raises an error of its own
    after = fit("after", inputs=start_from(wrong))
    final = evaluate("final", after)
    fine = fit("fine", seed=2)
    absent = Stage(**{**{n: getattr(fine, n) for n in Stage.__slots__}, "key": "b" * 40, "sources": (SourceNeed("far", "f"),)})
    with Display(sys.stderr) as display:
        outcome = run_plan(home, plan(wrong, after, final, fine, absent), executor=pool, on_progress=display)
    assert outcome.done == (fine.key,)
    assert outcome.failed[wrong.key].startswith("ValueError: Expected more than 1 value per channel")
    assert outcome.blocked[after.key] == "wrong failed"
    assert outcome.blocked[final.key] == "after blocked"
    assert outcome.blocked[absent.key].startswith("data `far` is not here")
    assert outcome.exit_code == 3
    assert "Traceback" in (Record.of(home, wrong.key).attempts / "0001.error").read_text()
    assert status_of(home, wrong.key).state == "failed"
    said = capsys.readouterr().err
    assert f"wrong [{wrong.key[:8]}]: failed: ValueError" in said
    assert f"fine [{fine.key[:8]}]: done in" in said


def test_a_killed_worker_costs_one_retry(home: Project, pool: KeptOpen) -> None:
    once, beside = fit("once", epochs=LONG, seed=3), fit("beside", seed=4)
    thread, outcomes = in_background(home, pool, once, beside)
    os.kill(pid_of(home, once), signal.SIGKILL)
    thread.join(60)
    assert set(outcomes[0].done) == {once.key, beside.key}
    assert numbers(Record.of(home, once.key)) == [1, 2]
    assert end_of(home, once, 1)["how"] == "died"
    assert "SIGKILL" in str(end_of(home, once, 1)["error"])


def test_a_worker_killed_twice_is_given_up(home: Project, pool: KeptOpen) -> None:
    stage = fit("twice", epochs=400, seed=5)
    thread, outcomes = in_background(home, pool, stage)
    first = pid_of(home, stage)
    os.kill(first, signal.SIGKILL)
    until(lambda: status_of(home, stage.key).pid not in (0, first))
    os.kill(pid_of(home, stage), signal.SIGKILL)
    thread.join(60)
    assert "SIGKILL" in outcomes[0].failed[stage.key]
    assert numbers(Record.of(home, stage.key)) == [1, 2]


def test_when_the_server_dies_another_goes_on(home: Project, pool: KeptOpen) -> None:
    stage = fit("serverless", epochs=LONG, seed=6)
    thread, outcomes = in_background(home, pool, stage)
    pid_of(home, stage)
    before = pool.server_pid
    os.kill(before, signal.SIGKILL)
    thread.join(60)
    assert outcomes[0].done == (stage.key,)
    assert pool.server_pid != before
    assert end_of(home, stage, 1)["how"] == "stopped"  # it noticed by itself, at the end of an epoch


COORDINATOR = """
import json, sys
from pathlib import Path
from interpreter.run.execute import run_plan
from tests.stages.build import fit, plan, project
home = project(Path(sys.argv[1]))
outcome = run_plan(home, plan(*(fit(name, epochs=epochs, seed=seed) for name, epochs, seed in json.loads(sys.argv[2]))))
print(json.dumps([outcome.done, outcome.stopped, outcome.hint, outcome.failed]))
"""


SLOW = """
import json, sys
from pathlib import Path
from interpreter.run.execute import run_plan
from tests.stages.build import fit, plan, project
slow = fit("slow", model={"type": "mlp", "hidden": [3000, 3000]}, schedule_batch_size=2, seed=12)
print(json.dumps(run_plan(project(Path(sys.argv[1])), plan(slow)).stopped))
"""


def coordinator(home: Project, *stages: Stage) -> subprocess.Popen[str]:
    asked = json.dumps([(stage.name, stage.epochs, stage.seed) for stage in stages])
    command = [sys.executable, "-c", COORDINATOR, str(home.root), asked]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_ctrl_c_stops_at_an_epoch_and_the_next_run_goes_on(home: Project, pool: KeptOpen) -> None:
    stage = fit("interrupted", epochs=LONG, seed=7)
    run = coordinator(home, stage)
    pid_of(home, stage)
    run.send_signal(signal.SIGINT)
    done, stopped, hint, failed = json.loads(run.communicate(timeout=30)[0])
    assert (done, stopped, failed) == ([], [stage.key], {})
    assert "run the same command again" in hint
    status = status_of(home, stage.key)
    assert (status.state, 0 < status.epoch < LONG) == ("stopped", True)
    assert run_plan(home, plan(stage), executor=pool).done == (stage.key,)
    assert numbers(Record.of(home, stage.key)) == [1, 2]


def test_a_second_ctrl_c_does_not_wait_for_the_epoch(home: Project, pool: KeptOpen) -> None:
    slow = fit("slow", model={"type": "mlp", "hidden": [3000, 3000]}, schedule_batch_size=2, seed=12)
    env = {**os.environ, "EXPT_HEARTBEAT_S": "0.2"}
    run = subprocess.Popen([sys.executable, "-c", SLOW, str(home.root)], stdout=subprocess.PIPE, text=True, env=env)
    until(lambda: pace_of(home, slow.key).step > 0)
    run.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert run.poll() is None
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    assert json.loads(run.communicate(timeout=30)[0]) == [slow.key]
    assert time.monotonic() - began < 2
    assert end_of(home, slow, 1)["how"] == "died"


def test_an_executor_started_early_is_closed_when_nothing_has_to_run(home: Project) -> None:
    early = Pool(home)
    early.start()
    server = early.server_pid
    assert run_plan(home, {}, executor=early).ok
    assert not _exists(server)


def test_ctrl_c_while_workers_are_still_importing_ends_at_once(home: Project) -> None:
    stage = fit("never-begun", epochs=LONG, seed=11)
    run = coordinator(home, stage)
    until(lambda: Record.of(home, stage.key).stage_file.exists())
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    assert json.loads(run.communicate(timeout=30)[0])[1] == [stage.key]
    assert time.monotonic() - began < 2
    assert status_of(home, stage.key).state == "new"


def test_workers_of_a_killed_coordinator_stop_by_themselves(home: Project, pool: KeptOpen) -> None:
    stage = fit("orphan", epochs=LONG * 2, seed=8)
    run = coordinator(home, stage)
    worker = pid_of(home, stage)
    run.kill()
    run.communicate()
    until(lambda: status_of(home, stage.key).state == "stopped", 10)
    until(lambda: not _exists(worker), 10)
    assert run_plan(home, plan(stage), executor=pool).done == (stage.key,)


def _exists(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_two_runs_at_once_share_stages_and_one_takes_over(home: Project, pool: KeptOpen) -> None:
    shared, taken = fit("shared", epochs=LONG, seed=9), fit("taken", epochs=LONG * 5, seed=10)
    first = coordinator(home, shared, taken)
    pid_of(home, shared)
    thread, outcomes = in_background(home, pool, shared, taken, fit("own", seed=9))
    until(lambda: status_of(home, shared.key).state == "done")
    first.send_signal(signal.SIGINT)
    done, stopped, _, _ = json.loads(first.communicate(timeout=30)[0])
    assert (done, stopped) == ([shared.key], [taken.key])
    thread.join(60)
    assert {shared.key, taken.key} <= set(outcomes[0].done)
    assert numbers(Record.of(home, shared.key)) == [1]
    assert numbers(Record.of(home, taken.key)) == [1, 2]


def test_workers_that_cannot_start_fail_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interpreter.run.pool.SERVER", "interpreter.stages.no_such_module")
    home, stage = project(tmp_path), fit("one")
    outcome = run_plan(home, plan(stage))
    assert outcome.failed[stage.key].startswith("the workers can't be started:")
