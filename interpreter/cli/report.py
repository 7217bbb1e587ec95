"""`expt report`: judge what there is and draw it."""

from __future__ import annotations

import argparse

from interpreter.cli.publish import publish
from interpreter.cli.session import open_session
from interpreter.run.register import register


def run(args: argparse.Namespace) -> int:
    """Draw the page's reports."""
    session = open_session(args)
    register(session.project, session.checked)
    publish(session.project, session.plan, force=args.force)
    return 0
