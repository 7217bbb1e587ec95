"""From version 0, the draft that pages were written in before the language had a version of its own, to version 1.

    version 0                                             version 1

    version: 0                                            expt: 1
    experiments:                                          entries:
    datasets and models: {kind: digits}                   {type: digits}
    schedules: {optimizer: adam, lr: 1e-3}                {optimizer: {type: adam, lr: 1e-3}}
    entry: description                                    notes
    entry: seed: 5              (five seeds, from 0)      seeds: 5
    arm: control: true                                    baseline: true
    stage: weights: random                                start: random
    stage: finetune_from: pretrain@best                   start: {from: pretrain@best}
    entry: hypotheses: [{name: helps,                     expect: {helps: {claim: a > b, on: test,
       text: a > b on test by 0.02, because: ...}]           margin: 0.02, why: ...}}
    set, profiles: schedules.tune.lr                      schedules.tune.optimizer.lr

Can't be lifted, and told: hypotheses that are no comparison in this form, names of hypotheses that can be none now, weights from
elsewhere than a stage, an optimizer without its rate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from interpreter.source.spans import Edit, Span, apply, spans
from interpreter.spec.migrations.draft import Draft, Step, named, parts
from interpreter.spec.names import NAME

# What stood beside `optimizer` and stands in it now.
RATES = ("lr", "momentum", "nesterov", "weight_decay", "betas", "eps")

_N = NAME.pattern
_HYPOTHESIS = re.compile(
    rf"(?P<claim>{_N}\s*(?P<relation>[<>~])\s*{_N})\s+on\s+(?P<on>{_N})\s+(?P<word>by|within)\s+(?P<number>[0-9.]+(e[-+]?[0-9]+)?%?)"
)
_RATE_PATH = re.compile(rf"((?:schedules\.{_N}|stages\.{_N}\.schedule)\.)({'|'.join(RATES)})")


def prepared(text: str) -> str:
    """`text` with lists of hypotheses deeper than their key, where a mapping must be, which they become. Lines stay lines."""
    root, edits = spans(text), []
    for _, entry in named(root.get("experiments")):
        for key, rows in entry.members:
            if key is None or key.text != "hypotheses" or not rows.is_block or rows.kind != "sequence":
                continue
            start, end = text.rfind("\n", 0, rows.start) + 1, rows.end
            if rows.start - start == key.start - (text.rfind("\n", 0, key.start) + 1):
                begins = [start, *(at + 1 for at in range(start, end) if text[at] == "\n")]
                edits += [Edit(at, at, "  ") for at in begins if text[at] != "\n"]
    return apply(text, edits)


def _entries(draft: Draft) -> Iterator[Span]:
    for _, entry in named(draft.root.get("experiments")):
        yield entry


def _version(draft: Draft) -> list[Edit]:
    ((key, value),) = [(key, value) for key, value in draft.root.members if key is not None and key.text == "version"]
    return [Edit(key.start, key.end, "expt"), Edit(value.start, value.end, "1")]


def _experiments(draft: Draft) -> list[Edit]:
    return draft.rename(draft.root, "experiments", "entries")


def _kinds(draft: Draft) -> list[Edit]:
    components = [node for plural in ("datasets", "models") for _, node in named(draft.root.get(plural))]
    return [edit for node in components for edit in draft.rename(node, "kind", "type")]


def _entry_keys(draft: Draft) -> list[Edit]:
    edits: list[Edit] = []
    for entry in _entries(draft):
        edits += draft.rename(entry, "description", "notes")
        edits += draft.rename(entry, "seed", "seeds")
        for arm in parts(entry, "arms"):
            edits += draft.rename(arm, "control", "baseline")
    return edits


def _optimizers(draft: Draft) -> list[Edit]:
    edits: list[Edit] = []
    for name, schedule in named(draft.root.get("schedules")):
        rates = [(key, value) for key, value in schedule.members if key is not None and key.text in RATES]
        optimizer = schedule.get("optimizer")
        if optimizer is not None and optimizer.kind == "scalar" and schedule.get("lr") is None:
            draft.refuse("no-rate", f"the optimizer of `{name.text}` has no learning rate", optimizer, "add `lr` to the schedule")
            continue
        if not rates:
            continue
        if optimizer is not None and optimizer.kind != "scalar":
            draft.refuse("both-spellings", f"`{rates[0][0].text}` belongs into the optimizer", rates[0][0], "move it there")
            continue
        if optimizer is None and schedule.get("extends") is None:
            draft.refuse(
                "no-optimizer", f"schedule `{name.text}` names no optimizer", name, "add `optimizer: adam`, or what it was"
            )
            continue
        if long := [key for key, value in rates if value.is_block or "\n" in draft.written(value)]:
            draft.refuse("too-long", f"`{long[0].text}` moves into the optimizer", long[0], "write its value on one line")
            continue
        regions = [draft.region(key, value) for key, value in rates] if schedule.is_block else []
        if any("#" in draft.text[start:end] for start, end in regions):
            edits += _with_comments(draft, schedule, regions)
            continue
        settings = [f"{key.text}: {draft.written(value)}" for key, value in rates]
        goes = {key.text for key, _ in rates}
        if optimizer is not None:
            edits.append(Edit(optimizer.start, optimizer.end, f"{{type: {draft.written(optimizer)}, {', '.join(settings)}}}"))
        else:  # it changes what it extends: the first of the settings makes room for all
            (key, value), *_ = rates
            goes.remove(key.text)
            edits.append(Edit(key.start, value.end, f"optimizer: {{{', '.join(settings)}}}"))
        edits += draft.without(schedule, goes)
    return edits


def _with_comments(draft: Draft, schedule: Span, regions: list[tuple[int, int]]) -> list[Edit]:
    """The lines of `regions` move below `optimizer`, one level deeper, so that each comment stays with its setting."""
    lines = [line for start, end in regions for line in draft.text[start : end - 1].split("\n")]
    moved = "".join(f"\n  {line}" for line in lines)
    column = " " * draft.column(schedule.start)
    gone = [Edit(start, end, "") for start, end in regions]
    optimizer = next(((key, value) for key, value in schedule.members if key is not None and key.text == "optimizer"), None)
    if optimizer is None:
        gone[0] = Edit(*regions[0], f"{column}optimizer:{moved}\n")
        return gone
    key, value = optimizer
    stop = draft.end_of_line(value.end)
    return [Edit(key.end, value.start, f":\n{column}  type: "), Edit(stop, stop, moved), *gone]


def _starts(draft: Draft) -> list[Edit]:
    edits: list[Edit] = []
    for entry in _entries(draft):
        for stage in parts(entry, "stages"):
            weights, source = stage.get("weights"), stage.get("finetune_from")
            if weights is not None and source is not None:
                draft.refuse("both-spellings", "`weights` and `finetune_from` say where weights come from", weights, "keep one")
            elif weights is not None and weights.text != "random":
                hint = (
                    "write `random`, or `finetune_from: stage@best`; weights that come with a model are `pretrained: true` in it"
                )
                draft.refuse("weights", "`weights` can only be lifted where it is `random`", weights, hint)
            elif source is not None and (source.kind != "scalar" or "\n" in draft.written(source)):
                draft.refuse("weights", "`finetune_from` names one checkpoint", source, "write `finetune_from: stage@best`")
            elif source is not None:
                edits += draft.rename(stage, "finetune_from", "start")
                quoted = source.style or not re.search(r"[\[\]{},]", source.text)
                text = draft.written(source) if quoted else f'"{source.text}"'
                edits.append(Edit(source.start, source.end, f"{{from: {text}}}"))
            else:
                edits += draft.rename(stage, "weights", "start")
    return edits


def _paths(draft: Draft) -> list[Edit]:
    edits: list[Edit] = []
    for entry in _entries(draft):
        changes = [arm.get("set") for arm in parts(entry, "arms")] + list(parts(entry, "profiles"))
        for key in [key for change in changes if change is not None for key, _ in change.members if key is not None]:
            new = _RATE_PATH.sub(r"\1optimizer.\2", key.text)
            new = re.sub(rf"((?:schedules\.{_N}|stages\.{_N}\.schedule)\.optimizer)", r"\1.type", new) if new == key.text else new
            new = {"seed": "seeds"}.get(new, re.sub(rf"(stages\.{_N}\.)weights", r"\1start", new))
            if new != key.text:
                edits.append(Edit(key.start, key.end, new))
    return edits


def _hypotheses(draft: Draft) -> list[Edit]:
    edits: list[Edit] = []
    for entry in _entries(draft):
        rows = entry.get("hypotheses")
        if rows is None:
            continue
        if rows.kind != "sequence":
            draft.refuse("hypotheses", "`hypotheses` is a list", rows, "write `- name: ...` and `text: ...` for each")
            continue
        edits += draft.rename(entry, "hypotheses", "expect")
        if not rows.is_block:
            edits += [Edit(rows.start, rows.start + 1, "{"), Edit(rows.end - 1, rows.end, "}")]
        seen: set[str] = set()
        for _, row in rows.members:
            name = row.get("name")
            if name is not None and name.text in seen:
                draft.refuse("hypotheses", "two hypotheses have this name", name, "rename one")
                continue
            seen.add(name.text if name is not None else "")
            edits += _hypothesis(draft, row, in_block=rows.is_block)
    return edits


def _hypothesis(draft: Draft, row: Span, *, in_block: bool) -> list[Edit]:
    """One of the list: its name becomes its key, its text a claim with `on` and `margin` or `within`."""
    name, text = row.get("name"), row.get("text")
    if name is None or text is None or name.kind != "scalar" or text.kind != "scalar":
        draft.refuse("hypotheses", "a hypothesis has a name and a text", row, "write `- name: ...` and `text: ...`")
        return []
    if not NAME.fullmatch(name.text):
        slug = re.sub("[^a-z0-9]+", "-", name.text.lower()).strip("-")
        draft.refuse(
            "bad-name", "a claim's name is a small letter, then letters, digits, _ or -", name, f"`{slug}`, for instance"
        )
        return []
    said = _HYPOTHESIS.fullmatch(text.text.strip())
    if said is None or (said["relation"] == "~") != (said["word"] == "within"):
        hint = "write `A > B on MEASURE by 0.01`, or `A ~ B on MEASURE within 0.05`"
        draft.refuse("hypotheses", "this text can't be read as a comparison", text, hint)
        return []
    settings = [f"on: {said['on']}", f"{'margin' if said['word'] == 'by' else 'within'}: {said['number']}"]
    (key,) = [key for key, value in row.members if value is text]
    assert key is not None
    edits = draft.rename(row, "because", "why")
    edits += [Edit(key.start, key.end, "claim"), Edit(text.start, text.end, said["claim"])]
    dash = draft.text.rindex("-", 0, row.start) if in_block else row.start
    if row.is_block:
        column = " " * draft.column(key.start)
        stop = draft.end_of_line(text.end)
        edits.append(Edit(stop, stop, "".join(f"\n{column}{setting}" for setting in settings)))
        if row.members[0][1] is name:
            edits.append(Edit(dash, name.end, f"{name.text}:"))
        else:
            edits += [Edit(dash, row.start, f"{name.text}:\n{column}"), *draft.without(row, {"name"})]
    else:
        edits.append(Edit(text.end, text.end, "".join(f", {setting}" for setting in settings)))
        edits += [Edit(dash, row.start, f"{name.text}: "), *draft.without(row, {"name"})]
    return edits


STEPS = (
    Step("version: 0 is expt: 1", _version),
    Step("experiments are entries", _experiments),
    Step("kind is type", _kinds),
    Step("an optimizer has its settings in it", _optimizers),
    Step("description, seed, control are notes, seeds, baseline", _entry_keys),
    Step("weights and finetune_from are start", _starts),
    Step("hypotheses are claims", _hypotheses),
    Step("paths of set and profiles", _paths),
)
