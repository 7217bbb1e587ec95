"""Where numbers stay as precise as parameters are, whatever a pass is computed in otherwise."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context in which nothing is cast to a shorter type by itself."""
    if not torch.amp.is_autocast_available(device.type):  # such as of the meta device
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
