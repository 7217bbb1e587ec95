"""An entry as a whole: its texts, measures, references, claims, charts and tables, over the arms that were read."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from typing import TypeVar

from interpreter.check.claims import Claims, Scope, waivers
from interpreter.check.metrics import metric_of
from interpreter.check.types import CheckedArm
from interpreter.errors import Place, Problem, Problems, Severity
from interpreter.source.nodes import Mapping, Node, Scalar, Sequence, kind_of
from interpreter.spec.base import Config
from interpreter.spec.entry import Entry, Update
from interpreter.spec.measures import Measure, Reference
from interpreter.spec.names import DATE, did_you_mean
from interpreter.spec.page import check_names
from interpreter.spec.typed import read
from interpreter.spec.views import Chart, Table

C = TypeVar("C", bound=Config)
_REFERENCE_FACTS = ("source", "split", "data", "n", "sd")
STATES = ("supported", "equivalent", "contradicted", "undecided", "anecdotal", "unfair", "incomplete")


def read_entry(
    name: str, node: Mapping, place: Place, arms: MappingType[str, CheckedArm], foreign: dict[str, CheckedArm], problems: Problems
) -> Entry:
    """Entry `name`, typed; what is wrong goes to `problems`."""
    measures = _all(Measure, node, "measures", problems)
    references = _references(node.get("references"), problems)
    _check_measures(measures, node, arms, problems)
    scope = Scope(arms, measures, references, foreign)
    claims = Claims(scope, problems).all(node.get("expect"))
    charts = _all(Chart, node, "charts", problems)
    tables = _all(Table, node, "tables", problems)
    _check_views(charts, tables, node, scope, problems)
    _check_concludes(node.get("concludes"), [claim.name for claim in claims], problems)
    _single_seed(node, arms, bool(claims), problems)
    concludes = node.get("concludes")
    return Entry(
        name=name,
        title=_text(node, "title", problems) or name,
        place=place,
        notebook=_text(node, "notebook", problems),
        question=_text(node, "question", problems),
        notes=_text(node, "notes", problems),
        assumed=_assumed(node.get("assumed"), problems),
        measures=measures,
        references=references,
        claims=claims,
        waivers=waivers(node.get("allow"), problems),
        charts=charts,
        tables=tables,
        updates=_updates(node.get("updates"), problems),
        conclusion=_text(node, "conclusion", problems),
        concludes={k: v.text for k, v in concludes.items.items() if isinstance(v, Scalar)}
        if isinstance(concludes, Mapping)
        else {},
    )


def _text(node: Mapping, key: str, problems: Problems) -> str:
    below = node.get(key)
    if below is None or (isinstance(below, Scalar) and below.value is None):
        return ""
    if not isinstance(below, Scalar):
        problems.add(Problem("wrong-type", f"`{key}` must be text", below.place, key, "text", kind_of(below)))
        return ""
    return below.text


def _all(cls: type[C], node: Mapping, key: str, problems: Problems) -> dict[str, C]:
    below = node.get(key)
    if below is None:
        return {}
    if not isinstance(below, Mapping):
        problems.add(Problem("wrong-type", f"`{key}` must be a mapping of names", below.place, key, "a mapping", kind_of(below)))
        return {}
    check_names(below, key, problems)
    found = {}
    for name, item in below.items.items():
        if not isinstance(item, Mapping):
            problems.add(
                Problem("wrong-type", f"`{name}` must be a mapping", item.place, f"{key}.{name}", "a mapping", kind_of(item))
            )
            continue
        made = read(cls, item, problems, f"{key}.{name}")
        if made is not None:
            found[name] = made
    return found


def _references(node: Node | None, problems: Problems) -> dict[str, Reference]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        problems.add(
            Problem("wrong-type", "`references` must be a mapping of names", node.place, "references", "a mapping", kind_of(node))
        )
        return {}
    found = {}
    for name, item in node.items.items():
        path = f"references.{name}"
        if not isinstance(item, Mapping):
            problems.add(
                Problem(
                    "wrong-type",
                    f"`{name}` must be a mapping",
                    item.place,
                    path,
                    "{measure: value, source: where from}",
                    kind_of(item),
                )
            )
            continue
        values = {k: v for k, v in item.items.items() if k not in _REFERENCE_FACTS}
        numbers = {}
        for key, value in values.items():
            if isinstance(value, Scalar) and type(value.value) in (int, float):
                numbers[key] = float(value.value)  # type: ignore[arg-type]
            else:
                problems.add(
                    Problem("wrong-type", f"`{key}` must be a number", value.place, f"{path}.{key}", "a number", kind_of(value))
                )
        made = read(Reference, item.without(*values), problems, path, {"values": numbers})
        if made is not None:
            found[name] = made
    return found


def _check_measures(
    measures: MappingType[str, Measure], node: Mapping, arms: MappingType[str, CheckedArm], problems: Problems
) -> None:
    """A measure must exist in at least one arm; `at` must name a measure that reads for itself."""
    below = node.get("measures")
    for name, measure in measures.items():
        assert isinstance(below, Mapping)
        item = below.items[name]
        assert isinstance(item, Mapping)
        whys = [metric_of(arm, measure.metric) for arm in arms.values()]
        if whys and all(whys):
            problems.add(
                Problem("unknown-metric", whys[0], item.items["metric"].place, f"measures.{name}.metric", got=measure.metric)
            )
        if measure.at is not None:
            other = measures.get(measure.at)
            place = item.items["at"].place
            if other is None:
                problems.add(
                    Problem(
                        "unknown-measure",
                        f"there is no measure `{measure.at}`",
                        place,
                        f"measures.{name}.at",
                        got=measure.at,
                        hint=did_you_mean(measure.at, [m for m in measures if m != name]),
                    )
                )
            elif other.at is not None:
                problems.add(
                    Problem("bad-value", f"`{measure.at}` reads at another measure's epoch itself", place, f"measures.{name}.at")
                )


def _check_views(
    charts: MappingType[str, Chart], tables: MappingType[str, Table], node: Mapping, scope: Scope, problems: Problems
) -> None:
    for key, views in (("charts", charts), ("tables", tables)):
        for name, view in views.items():
            below = node.items[key]
            assert isinstance(below, Mapping)
            item = below.items[name]
            assert isinstance(item, Mapping)
            path = f"{key}.{name}"
            if isinstance(view, Chart):
                asked = [view.y] if isinstance(view.y, str) else view.y or []
                _known(asked, item.get("y"), scope, path, problems, metrics=view.kind == "curves")
                for arm in view.arms or ():
                    if arm not in scope.arms:
                        place = item.items["arms"].place
                        problems.add(
                            Problem(
                                "unknown-arm",
                                f"there is no arm `{arm}`",
                                place,
                                path,
                                got=arm,
                                hint=did_you_mean(arm, scope.arms),
                            )
                        )
            else:
                _known(view.columns, item.get("columns"), scope, path, problems, metrics=True)
                try:
                    view.format.format(mean=0.0, ci=0.0, sd=0.0, n=1, min=0.0, max=0.0)
                except (KeyError, ValueError, IndexError) as error:
                    problems.add(
                        Problem(
                            "bad-format",
                            f"this format can't be filled in: {error}",
                            item.items["format"].place,
                            path,
                            "fields mean, ci, sd, n, min, max",
                        )
                    )


def _known(asked: Iterable[str], node: Node | None, scope: Scope, path: str, problems: Problems, *, metrics: bool) -> None:
    """Tell each of `asked` that is neither a measure nor, where `metrics` may stand, a metric of any arm."""
    places = [item.place for item in node.items] if isinstance(node, Sequence) else [node.place] if node else []
    for text, place in zip(asked, places, strict=False):
        if text in scope.measures:
            continue
        if not metrics or "/" not in text:
            problems.add(
                Problem(
                    "unknown-measure",
                    f"there is no measure `{text}`",
                    place,
                    path,
                    got=text,
                    hint=did_you_mean(text, scope.measures),
                )
            )
            continue
        whys = [metric_of(arm, text) for arm in scope.arms.values()]
        if whys and all(whys):
            problems.add(Problem("unknown-metric", whys[0], place, path, got=text))


def _check_concludes(node: Node | None, claims: list[str], problems: Problems) -> None:
    if node is None:
        return
    if not isinstance(node, Mapping):
        problems.add(
            Problem("wrong-type", "`concludes` maps claims to states", node.place, "concludes", "{claim: state}", kind_of(node))
        )
        return
    for name, state in node.items.items():
        if name not in claims:
            problems.add(
                Problem(
                    "unknown-claim",
                    f"there is no claim `{name}`",
                    node.keys[name],
                    "concludes",
                    got=name,
                    hint=did_you_mean(name, claims),
                )
            )
        text = state.text if isinstance(state, Scalar) else kind_of(state)
        if text not in STATES:
            problems.add(
                Problem(
                    "bad-value", f"`{text}` is no state of a claim", state.place, f"concludes.{name}", ", ".join(STATES), text
                )
            )


def _assumed(node: Node | None, problems: Problems) -> tuple[str, ...]:
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        problems.add(
            Problem(
                "wrong-type",
                "`assumed` is a list of paths",
                node.place,
                "assumed",
                "[stages.tune.head.hidden, ...]",
                kind_of(node),
            )
        )
        return ()
    return tuple(item.text for item in node.items if isinstance(item, Scalar))


def _updates(node: Node | None, problems: Problems) -> tuple[Update, ...]:
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        problems.add(
            Problem("wrong-type", "`updates` is a list", node.place, "updates", "[{date: ..., text: ...}]", kind_of(node))
        )
        return ()
    found = []
    for item in node.items:
        fields = {k: v.text for k, v in item.items.items() if isinstance(v, Scalar)} if isinstance(item, Mapping) else {}
        unknown = set(fields) - {"date", "text", "entry"}
        if not DATE.fullmatch(fields.get("date", "")) or not fields.get("text") or unknown:
            problems.add(
                Problem(
                    "bad-update",
                    "an update is {date: YYYY-MM-DD, text: ..., entry: DATE/name}",
                    item.place,
                    "updates",
                    got=kind_of(item),
                )
            )
            continue
        found.append(Update(fields["date"], fields["text"], fields.get("entry", "")))
    return tuple(found)


def _single_seed(node: Mapping, arms: MappingType[str, CheckedArm], claims: bool, problems: Problems) -> None:
    """With one seed nothing can be decided, and the page should hear it before it is run."""
    if claims and arms and all(max(len(seeds) for seeds in arm.seeds.values()) == 1 for arm in arms.values()):
        place = node.keys.get("seeds", node.keys.get("expect", node.place))
        problems.add(
            Problem(
                "one-seed",
                "with one seed every claim stays anecdotal",
                place,
                "seeds",
                hint="five seeds decide an effect of about 1.5 sd",
                severity=Severity.NOTE,
            )
        )
