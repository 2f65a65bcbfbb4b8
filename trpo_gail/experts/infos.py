"""Time limits that an environment's `info` says: `TimeLimit.truncated`, as gym and Stable-Baselines3 write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trpo_gail.experts.trajectories import INFOS, NAMES, TIME_LIMIT, are_set

_TIMEOUTS, _LIMITS = frozenset(NAMES["timeouts"]), frozenset(NAMES["limit"])


def with_limits(held: Sequence[Mapping[str, Any]], told_apart: bool = False) -> list[Mapping[str, Any]]:
    """Steps, episodes or arrays by their names, each with flags of time limits if one of them says some, in its `info` or
    beside it, and no other flags of time limits are there. Flags that are never set say how episodes end, but not where:
    they are left out unless these are `told_apart` without them."""
    beside = [not _LIMITS.isdisjoint(one) for one in held]
    if all(beside) or any(not _TIMEOUTS.isdisjoint(one) for one in held):
        return list(held)
    found = [limits(one) for one in held]
    own = [without(one) for one in held] if any(beside) else held  # else some would have flags that others lack
    if not any(map(_is_any, found)) and not (told_apart and any(map(are_said, held))):
        return list(own)
    ended = [next((one[name] for name in NAMES["ended"] if one.get(name) is not None), True) for one in held]
    if all(one is None or isinstance(one, (bool, int, float, np.generic)) for one in (*found, *ended)):  # steps
        at_ends = [bool(flag and end) for flag, end in zip(found, ended, strict=True)]
        found = at_ends if any(at_ends) else found  # else an `info` that is used again keeps its flag
    return [{**one, TIME_LIMIT: False if flags is None else flags} for one, flags in zip(own, found, strict=True)]


def are_said(held: Mapping[str, Any]) -> bool:
    """Whether a flag of a time limit is there, set or not, in an `info` or beside it."""
    return any(held.get(name) is not None for name in _LIMITS) or any(_is_said(held.get(name)) for name in INFOS)


def _is_said(info: Any) -> bool:
    if isinstance(info, np.ndarray) and info.dtype.kind == "O":
        info = info.tolist()
    if isinstance(info, (list, tuple)):
        return any(map(_is_said, info))
    return isinstance(info, Mapping) and info.get(TIME_LIMIT) is not None


def without(held: Mapping[str, Any]) -> dict[str, Any]:
    """The same without flags of time limits that `info` was to say."""
    return {name: value for name, value in held.items() if name not in _LIMITS}


def limits(held: Mapping[str, Any]) -> Any:
    """The flag of a step's `info`, or those of a list of them, which may stand beside it; None if there are none."""
    own = next((held[name] for name in NAMES["limit"] if held.get(name) is not None), None)
    if own is not None:
        return _of(own)
    info = next((held[name] for name in INFOS if held.get(name) is not None), None)
    acted = next((held[name] for name in NAMES["actions"] if held.get(name) is not None), None)
    if isinstance(info, (list, np.ndarray)) and isinstance(acted, (list, np.ndarray)) and len(info) == len(acted) + 1:
        info = info[1:]  # the first is of the reset
    return None if info is None else _flags(info)


def _flags(info: Any) -> Any:
    if isinstance(info, np.ndarray) and info.dtype.kind == "O":
        info = info.tolist()
    if isinstance(info, (list, tuple)):
        return [_flags(one) for one in info]
    return _of(info.get(TIME_LIMIT)) if isinstance(info, Mapping) else False


def _of(flag: Any) -> Any:
    """A flag, or an array of several; not set where it is no number, as None and NaN are none."""
    if flag is None or isinstance(flag, bool):
        return bool(flag)
    found = are_set(flag)
    if found is None:
        return False
    return found if isinstance(found, list) or found.size > 1 else bool(found.any())


def _is_any(flags: Any) -> bool:
    if isinstance(flags, bool):
        return flags
    return any(map(_is_any, flags)) if isinstance(flags, list) else flags is not None and bool(np.any(flags))
