"""`expt`: reads the command line, hands over to a verb, and turns every error into words and an exit code.

Exit codes: 0 fine, 2 the file or the command is wrong, 3 a stage failed, 4 a record or the database can't be read,
5 a report asks for what isn't there, 70 a bug of ours, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from interpreter import __version__
from interpreter.errors import ExptError, PageError

PAGE_HELP = "a page: its date (2024-06-28), its file's name, or a path"


def parser() -> argparse.ArgumentParser:
    """The whole command line; a test holds its flags."""
    top = argparse.ArgumentParser(prog="expt", description="Run dated pages of a lab notebook, and judge what they expected.")
    top.add_argument("--version", action="version", version=f"expt {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, summary: str, example: str, page: bool = False) -> argparse.ArgumentParser:
        made = verbs.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if page:
            made.add_argument("page", help=PAGE_HELP)
        return made

    check = verb("check", "tell everything that is wrong with pages, at line and column", "expt check specs/2024-06-28.yaml")
    check.add_argument("pages", nargs="*", help=f"{PAGE_HELP}; all pages when none is given")
    check.add_argument("--profile", default="", help="check the page as this profile changes it")
    check.add_argument("--format", choices=["text", "json"], default="text", help="json: one object a problem, one a line")

    new = verb("new", "write a small page that is right, to begin with", 'expt new today --title "Few labels"')
    new.add_argument("date", metavar="DATE", help="the day of the page, YYYY-MM-DD, or today")
    new.add_argument("--title", metavar="TEXT", help="the title of its entry")
    new.add_argument("--slug", metavar="NAME", help="the file is DATE-NAME.yaml: for several pages of one day")

    fmt = verb("fmt", "lay pages out: keys in order, comments kept", "expt fmt 2024-06-28")
    fmt.add_argument("pages", nargs="*", help=f"{PAGE_HELP}; all pages when none is given")
    fmt.add_argument("--check", action="store_true", help="only name the pages that would change; exit code 2 when there are any")

    migrate = verb("migrate", "lift pages to the present version of the language", "expt migrate specs/2023-01-30.yaml --write")
    migrate.add_argument("pages", nargs="*", help=f"{PAGE_HELP}; all pages when none is given")
    migrate.add_argument("--write", action="store_true", help="write the pages; without it, only show what would change")

    schema = verb("schema", "print the JSON Schema of pages, for editors", "expt schema --output docs/schema/expt-1.json")
    schema.add_argument("--output", metavar="FILE", help="write it here")

    plan = verb("plan", "show what a run would do, and why", "expt plan 2024-06-28 --profile laptop", page=True)
    run = verb(
        "run", "train what is not trained yet, then judge and draw", "expt run 2024-06-28 --arm naive --seeds 3", page=True
    )
    report = verb("report", "judge what there is and draw the report", "expt report 2024-06-28", page=True)
    show = verb("show", "print a page as it is understood", "expt show 2024-06-28 --resolved", page=True)
    for made in (plan, run, report, show):
        made.add_argument("--profile", default="", help="the page as this profile changes it")
        made.add_argument("--entry", action="append", default=[], metavar="NAME", help="only this entry (may be given again)")
    for made in (plan, run, show):
        made.add_argument("--arm", action="append", default=[], metavar="NAME", help="only this arm (may be given again)")
    for made in (plan, run):
        made.add_argument("--seeds", type=int, metavar="N", help="N seeds instead of those written")
    plan.add_argument("--format", choices=["text", "json"], default="text", help="json: one object a stage, one a line")
    run.add_argument("--jobs", type=int, metavar="N", help="stages at a time (default: cores over threads)")
    run.add_argument("--quiet", action="store_true", help="say nothing while it goes well")
    report.add_argument("--force", action="store_true", help="draw it even when nothing has changed")
    show.add_argument("--resolved", action="store_true", help="every setting of every stage of every arm")
    show.add_argument("--origin", action="store_true", help="with --resolved: where each value was written")
    for made in (check, plan):
        made.add_argument("--deep", action="store_true", help="build the models too: parameters, shapes, and what doesn't fit")

    diff = verb("diff", "show how the settings of two arms differ", "expt diff 2024-06-28/first/naive 2024-06-28/first/slow")
    diff.add_argument("a", metavar="A", help="an arm: DATE/entry/arm")
    diff.add_argument("b", metavar="B", help="the other arm")
    diff.add_argument("--profile", default="", metavar="NAME", help="the pages as this profile changes them")

    status = verb("status", "show what is running, done or failed", "expt status 2024-06-28")
    status.add_argument("page", nargs="?", help=f"{PAGE_HELP}; everything under runs/ when none is given")
    status.add_argument("--profile", default="", help="the page as this profile changes it")

    sql = verb("sql", "ask results.duckdb a question", 'expt sql "SELECT * FROM leaderboard" --format csv')
    sql.add_argument("query", nargs="?", help="SQL; a prompt when none is given, or standard input when that is no terminal")
    sql.add_argument("--format", choices=["table", "csv", "json", "parquet"], default="table", help="how rows are written")
    sql.add_argument("--output", "-o", metavar="FILE", help="write the rows here (needed for parquet)")

    data = verb(
        "data", "list the named data sources, lock their fingerprints, or fetch a public dataset", "expt data lock clothing"
    )
    data.add_argument("action", nargs="?", choices=["list", "lock", "fetch"], default="list")
    data.add_argument("sources", nargs="*", help="only these; fetch: one of the datasets that `expt data fetch` names")
    data.add_argument("--hash", action="store_true", help="list: hash what is here, to tell whether it is as locked")
    data.add_argument("--to", metavar="FOLDER", help="fetch: the new folder to put it in (default: data/NAME)")
    data.add_argument("--checksum", metavar="KIND:HEX", help="fetch: what the file must have, such as md5:... or sha256:...")

    rebuild = verb("rebuild", "make results.duckdb anew from runs/ and specs/", "expt rebuild --check")
    rebuild.add_argument("--check", action="store_true", help="compare with the present one instead of replacing it")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(arguments)
    try:
        code = import_module(f"interpreter.cli.{args.verb}").run(args)
        assert isinstance(code, int)
        return code
    except PageError as error:
        from interpreter.cli.session import show_problems  # needed only when something is wrong

        show_problems(error.problems)
        return error.exit_code
    except ExptError as error:
        print(f"expt: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("expt: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`expt sql ... | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        import traceback  # only for a bug of ours

        traceback.print_exc()
        print(
            f"expt {__version__}: this is a bug of ours, not of your page; please report it with the lines above", file=sys.stderr
        )
        return ExptError.exit_code


if __name__ == "__main__":
    sys.exit(main())
