"""Time limits that an environment's `info` says: `TimeLimit.truncated`, as gym and Stable-Baselines3 write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trpo_gail.experts.trajectories import INFOS, NAMES, TIME_LIMIT

_SAID = {*NAMES["limit"], *NAMES["timeouts"]}


def with_limits(held: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Steps, episodes or arrays by their names, each with flags of time limits if the `info` of one of them sets some, and
    no flags of its own are there."""
    found = [limits(one) for one in held]
    if any(not _SAID.isdisjoint(one) for one in held) or not any(map(_is_any, found)):
        return list(held)
    return [{**one, TIME_LIMIT: False if flags is None else flags} for one, flags in zip(held, found, strict=True)]


def limits(held: Mapping[str, Any]) -> Any:
    """The flag of a step's `info`, or those of a list of them; None if there is no `info`."""
    info = next((held[name] for name in INFOS if held.get(name) is not None), None)
    return None if info is None else _flags(info)


def _flags(info: Any) -> Any:
    if isinstance(info, np.ndarray) and info.dtype.kind == "O":
        info = info.tolist()
    if isinstance(info, (list, tuple)):
        return [_flags(one) for one in info]
    flag = info.get(TIME_LIMIT) if isinstance(info, Mapping) else None
    return flag if isinstance(flag, np.ndarray) and flag.size > 1 else bool(flag)


def _is_any(flags: Any) -> bool:
    return any(map(_is_any, flags)) if isinstance(flags, list) else bool(np.any(flags))
