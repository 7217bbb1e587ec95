"""Questions, answers and their formats; the prompt; verdicts in and out; a database made anew while others look."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from interpreter.errors import DatabaseBusy, RecordError, UsageError
from interpreter.project import Project
from interpreter.results.connect import connect_readonly
from interpreter.results.formats import as_table, print_rows, write
from interpreter.results.ingest import ingest
from interpreter.results.prompt import reply, statements
from interpreter.results.read import query, write_parquet
from interpreter.results.rebuild import compare_with_rebuilt, rebuild
from interpreter.results.store import put_judgements
from interpreter.verdicts.types import Confound, Judgement, MeasureValue, Pair, Verdict
from tests.plans import make_claim, make_plan, write_records
from tests.results.conftest import Ask

ROOT = Path(__file__).resolve().parents[2]


def judged(plan, effect: float = -0.1):  # type: ignore[no-untyped-def]
    """A judgement of the first entry of `plan`."""
    (entry,) = plan.entries
    measures = (
        MeasureValue("naive", 0, "accuracy", 0.5, 3, True, True),
        MeasureValue("naive", 1, "accuracy", None, None, True, False, "no data"),
    )
    verdict = Verdict(
        entry.entry.claims[0], "undecided", effect, -0.3, 0.1, 0.95, 2, (Pair(0, 0.5, 0.6), Pair(1, 0.4, 0.5)), 0.5, None,
        "paired t", 1, True, "2024-06-28T10:00:00.123Z", (Confound("setting", "warning", "dropout: 0.2 -> 0.5"),),
        ("given one backbone",), "in words", (8, 20),
    )  # fmt: skip
    return (Judgement(entry, measures, (verdict,)),)


@pytest.fixture
def plan(project: Project):  # type: ignore[no-untyped-def]
    made = make_plan({"naive": ["lba"], "wide": ["lba2"]}, seeds=2, epochs=3, claims=[make_claim("wide > naive", margin=0.01)])
    write_records(project, made, lambda *_: {"val/accuracy": [0.1, 0.2, 0.3]})
    ingest(project, [made])
    return made


def test_no_database_yet(project: Project) -> None:
    with pytest.raises(RecordError, match=r"no results\.duckdb") as caught:
        query(project, "SELECT 1")
    assert "expt run" in caught.value.hint
    assert not project.database.exists()


def test_a_mistake_in_sql_has_a_caret_and_no_traceback(project: Project, plan: object) -> None:
    with pytest.raises(UsageError) as caught:
        query(project, "SELECT valeu FROM metrics")
    assert "valeu" in str(caught.value)
    assert "^" in str(caught.value)
    with pytest.raises(UsageError, match="only be read"):
        query(project, "DELETE FROM metrics")
    with pytest.raises(UsageError):
        query(project, "SELECT ?", ())
    assert query(project, "").rows == ()


def test_parameters(project: Project, plan: object) -> None:
    assert query(project, "SELECT $a + $b AS c", {"a": 1, "b": 2}).dicts() == [{"c": 3}]
    assert query(project, "SELECT $1 || $2", ("x", "y")).rows == (("xy",),)


def test_formats(project: Project, plan: object, tmp_path: Path) -> None:
    rows = query(
        project,
        "SELECT 'é|\"' AS name, 1 AS n, 'nan'::DOUBLE AS x, [1, 2] AS l, NULL AS nothing, TIMESTAMP '2024-06-28 12:00:00' AS t",
    )
    out = io.StringIO()
    print_rows(rows, "csv", out)
    assert list(csv.reader(io.StringIO(out.getvalue()))) == [
        ["name", "n", "x", "l", "nothing", "t"], ['é|"', "1", "nan", "[1, 2]", "", "2024-06-28T12:00:00"]
    ]  # fmt: skip
    write(rows, "json", tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text()) == [
        {"name": 'é|"', "n": 1, "x": "NaN", "l": [1, 2], "nothing": None, "t": "2024-06-28T12:00:00"}
    ]
    table = as_table(rows)
    assert 'é|"' in table
    assert "1 row\n" in table
    typed = "SELECT 1::INTEGER AS n, 0.5::DOUBLE AS x, [1.5::FLOAT] AS l, MAP {'a': 1} AS m, true AS b, NULL::VARCHAR AS s"
    write_parquet(project, typed, str(tmp_path / "it's.parquet"))
    assert pq.read_table(tmp_path / "it's.parquet").to_pylist() == [
        {"n": 1, "x": 0.5, "l": [1.5], "m": [("a", 1)], "b": True, "s": None}
    ]
    assert write_parquet(project, "SELECT * FROM curves;", str(tmp_path / "curves.parquet")) == 12
    with pytest.raises(UsageError, match="can't be written"):
        write(rows, "csv", tmp_path / "nowhere" / "rows.csv")
    with pytest.raises(UsageError, match="can't be written"):
        write_parquet(project, "SELECT 1 AS a", str(tmp_path / "nowhere" / "rows.parquet"))


def test_a_wide_answer_is_not_cut(project: Project, plan: object) -> None:
    table = as_table(query(project, "SELECT * FROM provenance"))
    assert all(key in table for key in plan.stages)  # type: ignore[attr-defined]


def test_the_prompt(project: Project, plan: object) -> None:
    lines = io.StringIO("SELECT\n  1 AS one;\n.tables\n\n.schema metrics\nSELECT 2\n")
    assert list(statements(lines, ask=False)) == ["SELECT\n  1 AS one;", ".tables", ".schema metrics", "SELECT 2"]
    assert "one" in (reply(project, "SELECT 1 AS one;") or "")
    assert "leaderboard" in (reply(project, ".tables") or "")
    assert "Epochs finished" in (reply(project, ".schema metrics") or "")
    assert "history" in (reply(project, ".queries") or "")
    assert ".schema NAME" in (reply(project, ".help") or "")
    assert reply(project, ".quit") is None
    for wrong in (".schema nothing", ".nonsense"):
        with pytest.raises(UsageError):
            reply(project, wrong)


def test_a_prompt_left_open_blocks_nobody(project: Project, plan: object) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from interpreter.project import load_project
        from interpreter.results.prompt import prompt
        prompt(load_project(Path(sys.argv[1])))"""
    asked = subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(project.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert asked.stdin is not None
    assert asked.stdout is not None
    asked.stdin.write("SELECT count(*) AS n\nFROM metrics;\nSELECT oops;\n")
    asked.stdin.flush()
    while "1 row" not in asked.stdout.readline():
        pass
    put_judgements(project, judged(plan), wait_s=0.5)
    _, err = asked.communicate(".quit\n", timeout=30)
    assert asked.returncode == 0
    assert "oops" in err
    assert "Traceback" not in err


def test_verdicts_in_and_out(project: Project, plan: object, ask: Ask) -> None:
    put_judgements(project, judged(plan))
    put_judgements(project, judged(plan, -0.2))
    assert ask("SELECT arm, seed, value, epoch, complete FROM measures ORDER BY seed") == [
        ("naive", 0, 0.5, 3, True), ("naive", 1, None, None, False)
    ]  # fmt: skip
    assert ask('SELECT claim, "left", relation, "right", margin FROM claims') == [
        ("claim", "wide.accuracy", ">", "naive.accuracy", 0.01)
    ]
    assert ask("SELECT state, effect, dz, pairs[2].b, confounds[1].text, notes, seeds_to_settle_to FROM verdicts") == [
        ("undecided", -0.2, None, 0.5, "dropout: 0.2 -> 0.5", ["given one backbone"], 20)
    ]
    assert ask("SELECT registered, registered_at::VARCHAR FROM verdicts") == [(True, "2024-06-28 10:00:00.123")]
    ingest(project, [plan])  # type: ignore[list-item]
    assert ask("SELECT count(*) FROM verdicts JOIN entries USING (entry_id)") == [(1,)]
    renamed = make_plan({"naive": ["lba"]}, seeds=1, epochs=3, name="second")
    with pytest.raises(RecordError, match="not in the database"):
        put_judgements(project, judged(make_plan(name="third", claims=[make_claim("naive > 0.5")])))
    ingest(project, [renamed])
    assert ask("SELECT count(*) FROM verdicts") == [(0,)]


def test_judgements_without_numbers(project: Project, ask: Ask) -> None:
    made = make_plan(seeds=1, claims=[make_claim("naive > 0.5")])
    ingest(project, [made])
    (entry,) = made.entries
    verdict = Verdict(entry.entry.claims[0], "not-run", None, None, None, 0.95, 0, (), None, None, "", 1, False, "")
    put_judgements(project, (Judgement(entry, (), (verdict,)),))
    assert ask("SELECT state, effect, pairs, registered_at, notes FROM verdicts") == [("not-run", None, None, None, None)]


def test_made_anew_in_its_place(project: Project, plan: object, ask: Ask) -> None:
    assert compare_with_rebuilt(project, [plan]) == []  # type: ignore[list-item]
    put_judgements(project, judged(plan))
    assert compare_with_rebuilt(project, [plan]) == []  # type: ignore[list-item]
    Path(f"{project.database}.wal").write_bytes(b"left by a killed writer")
    project.database.write_bytes(b"broken" * 1000)
    rebuild(project, [plan])  # type: ignore[list-item]
    assert ask("SELECT count(*) FROM metrics") == [(12,)]
    assert sorted(p.name for p in project.root.iterdir() if "duckdb" in p.name) == ["results.duckdb"]


def test_not_made_anew_while_somebody_looks(project: Project, plan: object) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('held', flush=True); sys.stdin.read()"
    shell = subprocess.Popen(
        [sys.executable, "-c", code, str(project.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert shell.stdout is not None
        shell.stdout.readline()
        before = project.database.stat().st_ino
        with pytest.raises(DatabaseBusy, match=str(shell.pid)):
            rebuild(project, [plan], wait_s=0.2)  # type: ignore[list-item]
        assert project.database.stat().st_ino == before
        with connect_readonly(project) as connection:  # readers do not stand in each other's way
            assert connection.execute("SELECT count(*) FROM metrics").fetchall() == [(12,)]
        with pytest.raises(DatabaseBusy):
            put_judgements(project, judged(plan), wait_s=0.1)
    finally:
        shell.communicate("")
    rebuild(project, [plan])  # type: ignore[list-item]
    assert not [p.name for p in project.root.iterdir() if p.name.endswith(".new")]


def test_numbers_keep_their_digits(project: Project, ask: Ask) -> None:
    value = 0.1 + 0.2
    made = make_plan(seeds=1, epochs=1)
    write_records(project, made, lambda *_: {"val/loss": [value]})
    ingest(project, [made])
    assert ask("SELECT value FROM metrics") == [(value,)]
    assert math.isclose(ask("SELECT value FROM curves")[0][0], value, rel_tol=0)
