"""What surrounds an entry: the others it names, its notebook, and what of it can't run yet."""

from __future__ import annotations

from collections.abc import Mapping

from interpreter.plan.types import EntryPlan, Plan
from interpreter.project import Project
from interpreter.report.conclusion import counted
from interpreter.report.content import Link
from interpreter.report.read import Reader
from interpreter.report.stamps import named_entries, notebook_entries, place_of
from interpreter.report.words import count, names


def links(project: Project, plan: Plan, entry: EntryPlan, reader: Reader) -> Mapping[str, Link]:
    """The entries that updates and the outcome name, each with how it stands as far as the database knows."""
    wanted = named_entries(entry)
    known = {row["entry"]: row for row in reader.entries(wanted)}
    found = {}
    for id_ in wanted:
        row = known.get(id_)
        state = ""
        if row is not None:
            state = counted(row["states"]) if row["states"] else _progress(row["done"], row["stages"])
        there = id_ in plan.ids() or place_of(project, id_, plan.profile).is_file()
        found[id_] = Link(id_, row["title"] if row else "", id_[:10], id_ == entry.id, there, state)
    return found


def siblings(project: Project, plan: Plan, entry: EntryPlan) -> tuple[Link, ...]:
    """The notebook's entries in its order, this one among them; () without a file of the notebook."""
    return tuple(
        Link(id_, title, id_[:10], id_ == entry.id, id_ in plan.ids() or place_of(project, id_, plan.profile).is_file())
        for id_, title in notebook_entries(project, plan, entry).items()
    )


def unbuilt(entry: EntryPlan, plan: Plan) -> str:
    """Why the entry, or part of it, is planned and can't run; "" when all of it can."""
    keys = dict.fromkeys(key for arm in entry.arms for trial in arm.trials for _, key in trial.stages)
    why: dict[str, None] = {}
    stuck: set[str] = set()
    for key, stage in plan.stages.items():  # inputs come before what reads them
        if stage.unbuilt or any(i.key in stuck for i in stage.inputs):
            stuck.add(key)
            if key in keys:
                why |= dict.fromkeys(stage.unbuilt)
    if not stuck & keys.keys():
        return ""
    # A stage of this entry may be stuck for what a stage of another entry needs: then that is why.
    why = why or dict.fromkeys(word for key in stuck for word in plan.stages[key].unbuilt)
    words = f"{names(list(why))} {'is' if len(why) == 1 else 'are'} not built yet"
    if keys.keys() <= stuck:
        return f"Planned, not run: {words}."
    waiting = dict.fromkeys(arm.name for arm in entry.arms if any(k in stuck for t in arm.trials for _, k in t.stages))
    return f"Planned, and not run as a whole: {words}. Waiting for it: {names(list(waiting))}."


def _progress(done: int, stages: int) -> str:
    return f"{done} of {count(stages, 'stage')} done" if stages else "nothing to run"
