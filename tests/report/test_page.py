"""The written report: what is in it, that it opens without a network, and that its numbers are the database's."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interpreter.project import Project
from interpreter.results.read import query
from tests.plans import end_attempt, make_project, write_record
from tests.report.making import EPOCHS, MEASURES, SEEDS, history, made, plan_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--virtual-time-budget=8000"]  # fmt: skip

Made = tuple[Project, Path]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Made:
    project, (path,) = made(tmp_path_factory.mktemp("report"), plan_of())
    return project, path


def outside_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>", "", html, flags=re.S)


def data_of(html: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html, re.S)
    assert found is not None
    return json.loads(found.group(1))  # type: ignore[no-any-return]


def rows_of(page: dict[str, object], prefix: str) -> list[list[dict[str, object]]]:
    sets = page["datasets"]
    assert isinstance(sets, dict)
    return [[dict(zip(s["columns"], v, strict=True)) for v in s["values"]] for name, s in sets.items() if name.startswith(prefix)]


def test_the_order_of_sections(report: Made) -> None:
    html = outside_scripts(report[1].read_text())
    order = ["Data: ", "<h1>A first try</h1>", "Does a curriculum help?", "Verdicts", "Effects", "Learning curves</h2>",
             "Measures</h2>", "Tables", "Notes", "Updates", "Conclusion", "Assumed", "Provenance"]  # fmt: skip
    places = [html.find(text) for text in order]
    assert -1 not in places
    assert places == sorted(places)
    body = html.split("<body>")[1].lstrip()
    assert body.startswith('<p class="origin">Data: digits (real, embedded).')
    assert "stages.lba.schedule.batch_size</code>: 64" in html
    assert "profile" not in html.split("<header>")[1].split("</header>")[0]


def test_notes_are_escaped_and_links_resolved(report: Made) -> None:
    html, text = report[1].read_text(), report[1].with_suffix(".md").read_text()
    notes = outside_scripts(html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in notes
    assert 'href="../2024-05-21/first-try.html#top"' in notes
    assert "](../2024-05-21/first-try.md#top)" in text
    assert "<script" not in text
    assert '2024-07-05/again <span class="soft">· no report yet</span>' in notes


def test_nothing_is_fetched_and_the_bundle_is_there_once(report: Made) -> None:
    html = report[1].read_text()
    assert html.count('id="vega-bundle"') == 1
    assert html.count("window.vegaEmbed=") == 1
    bare = outside_scripts(html)
    assert "<img" not in bare
    assert "<link" not in bare
    assert not re.search(r"(src|srcset)\s*=", bare)
    assert "url(" not in bare
    hrefs = [h for h in re.findall(r'href="([^"]*)"', bare) if h.startswith("http")]
    assert hrefs == ["https://example.org/x.png"]  # the picture of the notes, as a link
    data = json.dumps(data_of(html))
    assert not re.search(r'"url"', data)


def test_curves_are_means_over_seeds(report: Made) -> None:
    page = data_of(report[1].read_text())
    wanted = np.array([[history("naive", s, "lba")["val/accuracy"] for s in range(SEEDS)],
                       [history("curriculum", s, "lba")["val/accuracy"] for s in range(SEEDS)]])  # fmt: skip
    (rows,) = [rows for rows in rows_of(page, "means") if len(rows) == 2 * EPOCHS and rows[0]["mean"] < 1]  # type: ignore[operator]
    for arm, values in zip(("naive", "curriculum"), wanted, strict=True):
        drawn = sorted((r for r in rows if r["arm"] == arm), key=lambda r: r["x"])  # type: ignore[arg-type, return-value]
        assert [r["x"] for r in drawn] == list(range(1, EPOCHS + 1))
        np.testing.assert_allclose([r["mean"] for r in drawn], values.mean(axis=0), rtol=2e-6)  # type: ignore[arg-type]
        half = 4.302652729749464 * values.std(axis=0, ddof=1) / np.sqrt(SEEDS)  # Student t, 2 degrees of freedom
        np.testing.assert_allclose([r["hi"] - r["mean"] for r in drawn], half, rtol=1e-3, atol=2e-6)  # type: ignore[operator, arg-type]


def test_table_equals_the_database(report: Made) -> None:
    project, path = report
    with (path.parent / "tables" / "first-measures.csv").open() as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    for arm in ("naive", "curriculum"):
        sql = """SELECT max(value) FROM curves
            WHERE arm = ? AND stage = 'lba' AND split = 'val' AND metric = 'accuracy' GROUP BY seed"""
        best = [row[0] for row in query(project, sql, (arm,)).rows]
        assert float(rows[arm]["accuracy.mean"]) == pytest.approx(np.mean(best), rel=1e-12)
        assert float(rows[arm]["accuracy.sd"]) == pytest.approx(np.std(best, ddof=1), rel=1e-9)
        assert float(rows[arm]["accuracy.max"]) == max(best)
        assert int(rows[arm]["accuracy.n"]) == SEEDS
    html = report[1].read_text()
    assert "trivial: ignores input" in html.split("<tfoot>")[1].split("</tfoot>")[0]


def test_figures_are_drawn(report: Made) -> None:
    for name in ("forest", "curves", "measures"):
        svg = (report[1].parent / "figures" / f"first-{name}.svg").read_text()
        assert svg.startswith("<svg")
        assert "var(--" not in svg
        with Image.open(report[1].parent / "figures" / f"first-{name}.png") as image:
            assert image.width > 600
            assert image.height > 200
            colours = image.convert("RGB").getcolors(1 << 24)
            assert colours is not None
            assert len(colours) > 20
            assert max(n for n, _ in colours) < 0.99 * image.width * image.height
        assert f"](figures/first-{name}.png)" in report[1].with_suffix(".md").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: the page can't be opened")
def test_opens_in_a_browser_without_a_network(report: Made, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    # Every name resolves to nowhere: what the page needs, it has.
    flags = [CHROMIUM, *FLAGS, "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"]
    address = report[1].as_uri()
    run = subprocess.run([*flags, "--dump-dom", address], capture_output=True, text=True, timeout=90, check=True)
    panels = re.findall(r'<div class="panel[^"]*" id="([^"]*)"[^>]*>(.*?)</svg>', run.stdout, re.S)
    assert {name for name, _ in panels} == set(data_of(report[1].read_text())["charts"])  # type: ignore[call-overload]
    assert all("<svg" in drawn and "<path" in drawn for _, drawn in panels)
    assert "could not be drawn" not in run.stdout.split('<script type="application/json"')[0]
    picture = tmp_path / "page.png"
    subprocess.run(
        [*flags, "--window-size=1200,2400", f"--screenshot={picture}", address], capture_output=True, timeout=90, check=True
    )
    with Image.open(picture) as image:
        colours = image.convert("RGB").getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 200


def test_a_half_finished_run(tmp_path: Path) -> None:
    plan = plan_of(arms={"naive": ["lba"], "curriculum": ["lba"]}, evaluate=[])
    project = make_project(tmp_path)
    for seed, trial in enumerate(plan.entries[0].arms[0].trials):
        stage = plan.stages[trial.key_of("lba")]
        whole = history("naive", seed, "lba")
        if seed < 2:
            write_record(project, stage, whole)
        else:
            folder = write_record(project, stage, {k: v[:5] for k, v in whole.items()}, done=False, how="failed")
            end_attempt(folder, 1, "failed", 5, error="out of memory")
    _, (path,) = made(tmp_path, plan, records=False)
    html = outside_scripts(path.read_text())
    assert "stage lba failed at epoch 5 of 12: out of memory" in html
    assert "No data yet: curriculum." in html
    assert "Some epochs have fewer seeds (from 2)" in html


def test_nothing_run_yet(tmp_path: Path) -> None:
    _, (path,) = made(tmp_path, plan_of(profile="laptop"), records=False)
    html = path.read_text()
    assert path.parent.name == "2024-06-28-laptop"
    assert "profile laptop: not full scale" in html
    assert "No data yet: stage lba not run." in html
    assert "vega-bundle" not in html
    assert "not run" in html
    assert 'href="../2024-05-21-laptop/first-try.html#top"' in html


def test_measures_by_default_are_all(report: Made) -> None:
    html = outside_scripts(report[1].read_text())
    head = html.split("<thead>")[1].split("</thead>")[0]
    assert re.findall(r">(\w+)</th>", head) == ["arm", "n", *MEASURES]
