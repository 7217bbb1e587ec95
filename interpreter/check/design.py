"""What a design can't do: claims that so few seeds will not decide, and arms that nothing looks at."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingType

from interpreter.check.anytime import fewest, half_width
from interpreter.check.power import power
from interpreter.check.types import CheckedArm, Growth
from interpreter.errors import Place, Problem, Problems, Severity, errors_of
from interpreter.source.nodes import Mapping, Scalar, Sequence
from interpreter.spec.claims import Claim
from interpreter.spec.entry import Entry
from interpreter.spec.views import Chart, Table

_ENOUGH = 0.5  # chance of deciding an effect of one standard deviation below which a design is told


def design_notes(node: Mapping, entry: Entry, arms: MappingType[str, CheckedArm], problems: Problems) -> None:
    """Notes on what the entry's seeds can decide, and on arms that no claim or view uses."""
    if not arms:
        return
    _seeds(node, entry, arms, problems)
    _rates(node, entry, arms, problems)
    _idle(node, problems)
    _unused(node, entry, arms, problems)


def _seeds(node: Mapping, entry: Entry, arms: MappingType[str, CheckedArm], problems: Problems) -> None:
    growing = next((arm for arm in arms.values() if arm.growth is not None), None)
    if growing is not None and growing.growth is not None and _family(entry):
        _sequences(entry, growing.growth, _family(entry), growing.seeds_place or node.place, problems)
        return
    claims = [claim for claim in entry.claims if claim.kind != "finishes" and claim.over == "seeds"]
    if not claims:
        return
    place = node.keys.get("seeds", node.keys.get("expect", node.place))
    counts = {claim.name: n for claim in claims if (n := _replicates(claim, arms)) is not None}
    if not counts:
        return
    if any(problem.path.partition(".")[0] == "seeds" for problem in errors_of(problems.found)):
        return  # seeds that can't be read stand for one
    n, family = min(counts.values()), _family(entry)
    weakest = next(name for name, count in counts.items() if count == n)
    if n == 1:
        hint = "five seeds decide an effect of about 1.5 sd"
        every = max(counts.values()) == 1
        text = "with one seed every claim stays anecdotal" if every else f"`{weakest}` has one replicate, and stays anecdotal"
        problems.add(Problem("one-seed", text, place, "seeds", hint=hint, severity=Severity.NOTE))
        return
    chance = power(n, family)
    if chance < _ENOUGH:
        enough = next((m for m in range(n, 51) if power(m, family) >= 0.8), None)
        hint = f"{enough} seeds decide it in 80 %" if enough else "make the family smaller, or the margin larger"
        claimed = "this claim" if family == 1 else f"these {family} claims"
        who = f"{n} seeds decide" if len(set(counts.values())) == 1 else f"the {n} replicates of `{weakest}` decide"
        text = f"{who} an effect of 1 sd in {chance:.0%} of runs, with {claimed}"
        problems.add(Problem("weak-design", text, place, "seeds", hint=hint, severity=Severity.NOTE))


def _family(entry: Entry) -> int:
    """Claims that share an error."""
    return sum(claim.kind != "finishes" for claim in entry.claims)


def _sequences(entry: Entry, growth: Growth, family: int, place: Place, problems: Problems) -> None:
    """What seeds that are added as claims need them can't do: with how few there is no interval, and how narrow it gets."""
    level = 1 - growth.alpha / family
    least = fewest(level)
    shared = "" if family == 1 else f" with {family} claims"
    if growth.min < least and growth.min < growth.max:
        text = f"`min: {growth.min}` is too few: an interval that holds after any number of seeds begins at {least}{shared}"
        problems.add(Problem("bad-seeds", text, place, "seeds.min", f"{least} or more", str(growth.min)))
        return
    for claim in entry.claims:
        if claim.over == "both":
            text = f"`{claim.name}` is over both, seeds and examples, and has no interval that holds after any number of seeds"
            hint = "`over: seeds`, or a fixed number of seeds"
            problems.add(Problem("bad-seeds", text, claim.place or place, f"expect.{claim.name}", hint=hint))
    if any(claim.margin > 0 and claim.over == "seeds" for claim in entry.claims):
        text = (
            f"at {growth.max} seeds an interval reaches {half_width(growth.max, level):.2g} sd of the differences to either side"
            f"{shared}: no likeness within less is ever shown"
        )
        problems.add(Problem("weak-design", text, place, "seeds", hint="a wider range, or more seeds", severity=Severity.NOTE))


def _rates(node: Mapping, entry: Entry, arms: MappingType[str, CheckedArm], problems: Problems) -> None:
    """An arm whose batch size differs from the baseline's, and whose rate does not: what differs is more than the batch size."""
    baseline = next((arm for arm in arms.values() if arm.baseline), None)
    if baseline is None or any(waiver.rule == "unscaled-rate" for waiver in entry.waivers):
        return
    base = {stage.name: stage for stage in baseline.chain if stage.schedule is not None}
    told: set[tuple[str, str]] = set()
    for arm in arms.values():
        for stage in arm.chain:
            other = base.get(stage.name)
            if stage.schedule is None or other is None or other.schedule is None or (arm.base, stage.name) in told:
                continue
            mine, theirs = stage.schedule, other.schedule
            if mine.batch_size == theirs.batch_size or mine.peak_lr() != theirs.peak_lr():
                continue
            told.add((arm.base, stage.name))
            sizes = f"{mine.batch_size} in `{arm.base}` and of {theirs.batch_size} in `{baseline.base}`"
            text = f"`{stage.name}` has batches of {sizes}, and the same rate of {mine.peak_lr():g}"
            hint = "`lr: {base: ..., per: ...}` scales it; or allow it: {rule: unscaled-rate, why: ...}"
            problems.add(Problem("unscaled-rate", text, arm.place, f"arms.{arm.base}", hint=hint, severity=Severity.WARNING))


def _idle(node: Mapping, problems: Problems) -> None:
    """Changes below a stage that the arm's own chain hasn't got: nobody reads them."""
    below, stages = node.get("arms"), node.get("stages")
    known = stages.items if isinstance(stages, Mapping) else {}
    for base, arm in below.items.items() if isinstance(below, Mapping) else ():
        chain = arm.get("chain") if isinstance(arm, Mapping) else None
        if not isinstance(arm, Mapping) or not isinstance(chain, Sequence):
            continue
        own = {item.text for item in chain.items if isinstance(item, Scalar)} & set(known)
        for key, dotted, place in _changes(arm):
            steps = dotted.split(".")
            if steps[0] != "stages" or len(steps) < 2 or steps[1] in own or steps[1] not in known:
                continue
            text, hint = (
                f"`{dotted}` has no effect: `{steps[1]}` is no stage of this chain",
                f"its own are: {', '.join(sorted(own))}",
            )
            path = f"arms.{base}.{key}"
            problems.add(Problem("no-effect", text, place, path, got=dotted, hint=hint, severity=Severity.WARNING))


def _changes(arm: Mapping) -> Iterator[tuple[str, str, Place]]:
    """Each path that an arm changes: under which key, and where it is written."""
    for key in ("set", "vary", "zip", "one_at_a_time", "points"):
        below = arm.get(key)
        members = [below] if key != "points" else below.items.values() if isinstance(below, Mapping) else ()
        for member in members:
            if isinstance(member, Mapping):
                yield from ((key, dotted, place) for dotted, place in member.keys.items())


def _replicates(claim: Claim, arms: MappingType[str, CheckedArm]) -> int | None:
    """Seeds that a claim's arms have in common; None where another entry's arms are concerned."""
    sides = [name for side in (claim.left, claim.right) for name in side.names]
    if not sides or any(name not in arms for name in sides):
        return None
    return min(max(len(seeds) for seeds in arms[name].seeds.values()) for name in sides)


def _unused(node: Mapping, entry: Entry, arms: MappingType[str, CheckedArm], problems: Problems) -> None:
    """An arm that no claim names, on an entry that shows only chosen arms."""
    if not entry.claims:
        return
    used = {name for claim in entry.claims for side in (claim.left, claim.right) for name in side.names}
    used_bases = {arms[name].base for name in used if name in arms}
    views = [*entry.charts.values(), *entry.tables.values()]
    if not views or any(isinstance(v, Table) or (isinstance(v, Chart) and v.arms is None and v.kind != "forest") for v in views):
        shown = {arm.base for arm in arms.values()}  # the views that a report draws by itself show every arm
    else:
        shown = {text.partition("[")[0] for v in views if isinstance(v, Chart) for text in v.arms or ()}
    below = node.get("arms")
    for base in dict.fromkeys(arm.base for arm in arms.values()):
        chained = any(s.origin.arm.partition("[")[0] == base for arm in arms.values() for s in arm.chain)
        combined = any(
            s.combined is not None and s.combined.arm.partition("[")[0] == base for a in arms.values() for s in a.chain
        )
        if base in used_bases | shown or chained or combined or any(a.baseline and a.base == base for a in arms.values()):
            continue
        place = below.keys[base] if isinstance(below, Mapping) and base in below.keys else node.place
        text = f"no claim, chart or table uses the arm `{base}`"
        problems.add(Problem("unused-arm", text, place, f"arms.{base}", severity=Severity.NOTE))
