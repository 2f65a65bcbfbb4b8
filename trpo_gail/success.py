"""When an episode is a success: by what its environment says at its last step, or by a rule.

Only the last step counts, as in Stable-Baselines: an episode that was at its goal and left it again is no success. What
environments say is in their `info`, as `success` (EnvPool, Meta-World) or `is_success` (gymnasium's robots).

Shapes: E episodes, N environments.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

KEYS = ("success", "is_success")  # of `info`; the first that is there counts
FORM = "expected return>=200, length<50, terminated or truncated, or several such clauses joined by 'and'"

_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_CLAUSE = re.compile(rf"(terminated|truncated)|(return|length)\s*(>=|<=|>|<)\s*({_NUMBER})")


@dataclass(frozen=True)
class Rule:
    """What an episode must be, in all of its clauses, to be a success."""

    clauses: tuple[re.Match[str], ...]

    @classmethod
    def read(cls, text: str) -> Rule:
        """The rule `return>=200 and length<50`, for example. Raises ValueError, which names the wrong clause."""
        found = [(part, _CLAUSE.fullmatch(part.strip())) for part in re.split(r"\band\b", text)]
        for part, match in found:
            if match is None:
                raise ValueError(f"{part.strip() or text!r} given, {FORM}")
        return cls(tuple(match for _, match in found if match))

    def judge(self, returns: np.ndarray, lengths: np.ndarray, terminated: np.ndarray) -> np.ndarray:
        """1 for each success and 0 for each other episode, [E] float64."""
        good = np.ones(len(returns), bool)
        for clause in self.clauses:
            end, quantity, sign, number = clause.groups()
            if end:
                good &= terminated if end == "terminated" else ~terminated
            else:
                good &= _COMPARED[sign](returns if quantity == "return" else lengths, float(number))
        return good.astype(np.float64)


def rule_of(text: str | None) -> Rule | None:
    """The rule of a config, which has been checked."""
    return None if text is None else Rule.read(text)


def said(info: Any) -> float:
    """What one environment's `info` says of a success: 1 or 0, NaN if it says nothing that can be understood."""
    value = _value(info)
    try:
        if np.size(value) == 1 and (number := float(np.ravel(value)[0])) in (0.0, 1.0):
            return number
    except Exception:  # of any library's object, such as a tensor that requires gradients
        pass
    return math.nan


def said_by_each(info: Any, num_envs: int) -> np.ndarray | None:
    """What a vector environment's `info` says, [N] float64 as `said`; None if it has no such entry."""
    value = _value(info)
    if value is None or np.size(value) != num_envs or np.asarray(value).dtype.kind not in "biuf":
        return None
    found = np.array(value, np.float64).reshape(num_envs)
    known = np.isin(found, (0.0, 1.0))
    for key in KEYS:
        if key in info:  # gymnasium's vector environments say of which environments an entry is
            known &= np.asarray(info.get(f"_{key}", True), bool)
            break
    return np.where(known, found, math.nan)


def _value(info: Any) -> Any:
    if not isinstance(info, Mapping):
        return None
    return next((info[key] for key in KEYS if key in info), None)


def rate(successes: np.ndarray) -> float | None:
    """Share of the successes among those episodes [E] of which it is known; None if it is known of no episode."""
    known = successes[np.isfinite(successes)]
    return float(known.mean()) if len(known) else None
