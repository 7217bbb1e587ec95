"""`make docs`: the generated parts of the documentation, from the code itself.

README.md: the file tree, each file with the first line of its docstring. docs/database.md: every table, column, view and
macro with its comment, from an empty database. docs/language.md: everything a page can say, and docs/schema/: the same for
editors, from the models that read pages. A test holds that all are current.
"""

from __future__ import annotations

import ast
import runpy
import sys
import tempfile
from pathlib import Path

from interpreter.cli.schema import as_text, built_in, offers
from interpreter.project import Project
from interpreter.results.ingest import ingest
from interpreter.results.read import query
from interpreter.spec.schema import notebook_schema, page_schema

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- files: made by `make docs` -->", "<!-- end of files -->"
OTHERS = {
    "specs/": "pages of the notebook",
    "tests/": "mirrors the rooms; golden files for error texts and keys",
    "bench/": "timings, side by side with the usual ways; `bench/spikes/`: the experiments behind decisions",
    "docs/": "language, errors, schedules, volumes, verdicts, database; the house as built, decisions; `schema/`: for editors",
    "examples/": "a plug-in: a package with a dataset and a model of its own, and a page that uses them",
    "runs/": "the record: made, git-ignored",
    "results.duckdb": "the index over the record: made, git-ignored",
    "reports/": "what is drawn: made, git-ignored",
}


def purpose(path: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.splitlines()[0].rstrip(".") if text else ""


def tree() -> str:
    """The files of the program with their purposes, as a text block."""
    rows: list[tuple[str, str]] = [(f"{name}", words) for name, words in OTHERS.items() if name in ("specs/",)]
    rows.append(("interpreter/", purpose(ROOT / "interpreter" / "__init__.py")))
    package = ROOT / "interpreter"
    for path in sorted(package.glob("*.py")):
        if path.name != "__init__.py":
            rows.append((f"  {path.name}", purpose(path)))
    for folder in sorted(p for p in package.iterdir() if p.is_dir() and (p / "__init__.py").is_file()):
        rows += _room(folder, 1)
    rows += [(name, words) for name, words in OTHERS.items() if name != "specs/"]
    width = max(len(name) for name, _ in rows)
    return "\n".join(["```", *(f"{name:<{width}}  {words}".rstrip() for name, words in rows), "```"])


def _room(folder: Path, depth: int) -> list[tuple[str, str]]:
    pad = "  " * depth
    rows = [(f"{pad}{folder.name}/", purpose(folder / "__init__.py"))]
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            rows.append((f"{pad}  {path.name}", purpose(path)))
    for below in sorted(p for p in folder.iterdir() if p.is_dir()):
        if (below / "__init__.py").is_file():
            rows += _room(below, depth + 1)
        elif below.name != "__pycache__" and any(below.glob("*.*")):
            kinds = ", ".join(sorted({path.suffix for path in below.glob("*.*")}))
            rows.append((f"{pad}  {below.name}/", f"{len(list(below.glob('*.*')))} files {kinds}"))
    return rows


def database() -> str:
    """docs/database.md: what the database says of itself."""
    with tempfile.TemporaryDirectory() as name:
        project = Project(Path(name).resolve())
        ingest(project, [])
        tables = query(project, "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal ORDER BY table_name").rows
        views = query(project, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY view_name").rows
        columns = query(
            project, "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        ).rows
        macros = query(
            project,
            "SELECT DISTINCT function_name, parameters, comment FROM duckdb_functions() "
            "WHERE function_type LIKE '%macro%' AND NOT internal ORDER BY ALL",
        ).rows
    lines = [
        "# The database",
        "",
        "Made by `make docs` from the comments in the database itself. `results.duckdb` is an index over `runs/`: `expt rebuild`",
        "makes it anew. Epochs count from 1 here. Ask with `expt sql`, or with any DuckDB (read-only while a run trains).",
        "",
    ]
    for title, found in (("Views", views), ("Tables", tables)):
        lines += [f"## {title}", ""]
        for table, comment in found:
            lines += [f"### {table}", "", f"{comment or ''}", "", "| column | type | what |", "|---|---|---|"]
            lines += [f"| {c} | {kind} | {_cell(words)} |" for t, c, kind, words in columns if t == table]
            lines.append("")
    lines += ["## Macros", "", "| macro | what |", "|---|---|"]
    lines += [f"| `{name}({', '.join(parameters or [])})` | {_cell(words)} |" for name, parameters, words in macros]
    return "\n".join(lines) + "\n"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def made() -> dict[Path, str]:
    """Every generated text by its file."""
    readme = (ROOT / "README.md").read_text("utf-8")
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    docs = ROOT / "docs"
    return {
        ROOT / "README.md": f"{before}{BEGIN}\n{tree()}\n{END}{after}",
        docs / "database.md": database(),
        docs / "language.md": runpy.run_path(str(docs / "language.py"))["language"](),
        docs / "schema" / "expt-1.json": as_text(page_schema(offers(built_in()))),
        docs / "schema" / "expt-notebook-1.json": as_text(notebook_schema()),
    }


def main() -> None:
    """Write what has changed."""
    for path, text in made().items():
        if not path.is_file() or path.read_text("utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"made {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
