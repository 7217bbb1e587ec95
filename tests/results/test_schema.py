"""Tables and views are the contract: they are there, every column says what it is, and steps are done in order."""

from __future__ import annotations

import duckdb
import pytest

from interpreter.errors import RecordError
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.read import named, query, query_names
from interpreter.results.rebuild import rebuild
from interpreter.results.schema import migrate, steps
from tests.plans import make_plan, write_records
from tests.results.conftest import Ask

TABLES = {
    "pages", "entries", "arms", "trials", "trial_stages", "stages", "attempts", "metrics", "checkpoints", "measures", "claims",
    "verdicts", "findings", "phase_starts", "resources", "datasets", "environments", "finals",
}  # fmt: skip
VIEWS = {"predictions", "curves", "leaderboard", "phases", "schedule_trace", "provenance"}
MACROS = {
    "rmse", "mae", "pearson", "spearman", "accuracy", "classification_of", "regression_of", "predictions_of", "smooth",
    "smooth_ema", "stable_min",
}  # fmt: skip


def test_everything_is_there_and_says_what_it_is(project: Project, ask: Ask) -> None:
    ingest(project, [])
    tables = dict(ask("SELECT table_name, comment FROM duckdb_tables()"))
    views = dict(ask("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"))
    macros = dict(ask("SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal AND function_type LIKE '%macro'"))
    assert tables.keys() >= TABLES
    assert views.keys() >= VIEWS
    assert macros.keys() >= MACROS
    assert not [name for name, comment in {**tables, **views, **macros}.items() if not comment]
    assert ask("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''") == []
    assert ask("SELECT count(*) FROM duckdb_indexes()") == [(0,)]


def test_steps_are_done_once_and_in_order() -> None:
    with duckdb.connect() as connection:
        assert migrate(connection) == tuple(name for name, _ in steps())
        assert migrate(connection) == ()
    assert [name for name, _ in steps()] == sorted(name for name, _ in steps())


def test_a_newer_database_is_refused_and_can_be_made_anew(project: Project) -> None:
    plan = make_plan(seeds=1, epochs=2)
    write_records(project, plan, lambda *_: {"val/loss": [1.0, 0.5]})
    ingest(project, [plan])
    with duckdb.connect(str(project.database)) as connection:
        connection.execute("INSERT INTO migrations VALUES ('0099_from_the_future', now()::TIMESTAMP)").fetchall()
    with pytest.raises(RecordError, match="newer version") as caught:
        ingest(project, [plan])
    assert "expt rebuild" in caught.value.hint
    rebuild(project, [plan])
    assert ingest(project, [plan]).rows == 0


def test_what_is_no_database_is_refused_and_can_be_made_anew(project: Project) -> None:
    project.database.write_bytes(b"not a database " * 1000)
    with pytest.raises(RecordError, match="can't be opened") as caught:
        ingest(project, [])
    assert "expt rebuild" in caught.value.hint
    rebuild(project, [])
    assert not ingest(project, []).behind


def test_named_queries_answer(project: Project) -> None:
    plan = make_plan({"naive": ["lba"], "curriculum": ["easy", "lba"]}, seeds=2, epochs=2, evaluate=["final"])
    write_records(
        project, plan, lambda arm, seed, stage: {"final/accuracy": [0.5]} if stage == "final" else {"val/loss": [1.0, 0.5]}
    )
    ingest(project, [plan])
    assert set(query_names()) == {"history", "rates", "findings", "provenance", "phases", "datasets", "resources"}
    entry = ("2024-06-28/first", "")
    found = {name: query(project, named(name), entry) for name in query_names()}
    assert found["history"].columns == ("arm", "seed", "stage", "split", "metric", "epoch", "value")
    assert found["history"].rows[:2] == (("naive", 0, "lba", "val", "loss", 1, 1.0), ("naive", 0, "lba", "val", "loss", 2, 0.5))
    assert len(found["history"].rows) == 2 * (2 + 1) + 2 * (2 + 2 + 1)
    assert found["rates"].columns == ("arm", "seed", "stage", "epoch", "step", "phase", "group", "rate")
    assert {row[3] for row in found["provenance"].rows} <= set(plan.stages)
    assert len(found["provenance"].rows) == len(found["phases"].rows) == len(found["datasets"].rows) == 10
    assert found["findings"].rows == ()
    with pytest.raises(KeyError):
        named("nothing")
