"""Names of parameters in a model of several networks: "encoder.member2.conv1.weight" is "encoder.conv1.weight" of network 2."""

from __future__ import annotations

import re

_MEMBER = re.compile(r"^(encoder|head)\.member(\d+)(?=\.)")


def member_name(number: int) -> str:
    """What network `number`, counted from 0, is called inside a model of several."""
    return f"member{number}"


def network_of(name: str) -> int | None:
    """The number of the network that a parameter belongs to; None in a model of one."""
    found = _MEMBER.match(name)
    return int(found[2]) if found else None


def alone(name: str) -> str:
    """The name that a parameter of a member has where its network is alone; any other name as it is."""
    return _MEMBER.sub(r"\1", name)
