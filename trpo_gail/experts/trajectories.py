"""Demonstrations from episodes one by one: what many formats hold, and what a caller may give as a list.

T steps of an episode; N rows and E episodes of all.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import arrays, blanks, structured, time_first
from trpo_gail.experts.data import Demonstrations

# What the values of an episode may be called; the first name that is there counts.
CALLED: dict[str, tuple[str, ...]] = {
    "observations": ("observations", "observation", "obs", "states", "state", "ob"),
    "actions": ("actions", "action", "acts", "act", "acs", "ac"),
    "rewards": ("rewards", "reward", "rews", "rew"),
    "terminals": ("terminals", "terminal", "terminations", "terminated", "terminateds", "dones", "done"),
    "timeouts": ("timeouts", "timeout", "truncations", "truncated", "truncateds"),
    "next_observations": (
        "next_observations",
        "next_observation",
        "next_obs",
        "next_states",
        "next_state",
        "obs_next",
        "new_obs",
    ),
}
NEXT = "next"  # TorchRL's group of what a step led to
LED_TO = f"{NEXT}."  # LeRobot and TorchRL write it before the name of what a step led to
# gym's flag in `info` of a time limit that was no termination; Stable-Baselines3 passes it on.
TIME_LIMIT = "TimeLimit.truncated"
INFOS = ("info", "infos", "env_infos")
OPPOSITE = ("not_done", "not_dones")  # 0 where an episode ends
# All names of each field. Of rewards and flags, next.done is the step's own, whatever done is.
_SPELT: dict[str, tuple[str, ...]] = CALLED | {
    field: (*(f"{NEXT}{mark}{name}" for mark in "./" for name in CALLED[of]), *CALLED[field])
    for field, of in (
        ("rewards", "rewards"),
        ("terminals", "terminals"),
        ("timeouts", "timeouts"),
        ("next_observations", "observations"),
    )
}
_EITHER = (*(name for name in _SPELT["terminals"] if name.endswith(("done", "dones"))), "episode_terminals")
ENDS = ("terminals", "timeouts", "ended", "going_on", "limit")
# The same, but `ended` is what says of either kind of end that it is one, `going_on` its opposite, and `limit` that it is
# a time limit and nothing else: see `with_ends`.
NAMES: dict[str, tuple[str, ...]] = _SPELT | {
    "terminals": tuple(name for name in _SPELT["terminals"] if name not in _EITHER),
    "ended": _EITHER,
    "going_on": OPPOSITE,
    "limit": tuple(
        f"{before}{name}"
        for name in (TIME_LIMIT, TIME_LIMIT.lower())
        for before in ("", *(f"{info}{mark}" for info in INFOS for mark in "./"))
    ),
}
# What arrays beside flat rows may be called that say where episodes end, and what names the episode of a row.
LENGTHS = ("episode_lengths", "lengths", "lens", "traj_lengths", "traj_lens", "path_lengths", "len")
BEHIND = ("episode_ends", "ends", "traj_ends", "episode_end", "traj_end")
STARTS = ("episode_starts", "starts", "traj_starts", "episode_start", "traj_start")
FLAGGED_ENDS, FLAGGED_STARTS = (
    ("last",),
    ("reset", "resets"),
)  # the same, if they are flags of rows; else they say nothing
MARKS = (*LENGTHS, *BEHIND, *STARTS)
EPISODES = (
    "episode", "episodes", "episode_id", "episode_index", "episode_idx", "episode_number", "episode_num", "eps_id", "ep",
    "traj", "traj_id", "trajectory", "trajectory_id", "trajectory_index", "episode_ids", "traj_ids", "trajectory_ids",
)  # fmt: skip
# What names the environment or the agent of a row, whose rows may come in turn with others'.
BESIDE = (
    "env_id", "env", "env_index", "env_idx", "env_num", "environment", "environment_id", "worker_id", "worker_index",
    "agent", "agent_id", "agent_index", "agent_idx", "robot", "robot_id",
)  # fmt: skip
# What a reader says if nothing tells episodes apart.
NO_ENDS = "where its episodes end is not said: all rows are taken for one episode"
NO_BREAK = "no column marks the episodes (episode, step or done), and no break shows: taken for one, unfinished"
NEVER_CUT = "the file has flags of time limits alone, and none is set at an end: all ends are taken for terminations"
NO_LIMIT = (
    "the file has flags of time limits alone, and none is set in its last row: an end of another kind is not told from "
    "going on"
)
ONE_MORE = "flags end several episodes, so that the one observation more than actions is left out"
STEP_MARKS = ("is_first", "is_last", "is_terminal")  # of RLDS and Dreamer
NAMING = (*EPISODES, *BESIDE)  # which may be texts
# Which a file may use for something else.
LOOSE = (*BESIDE, *FLAGGED_ENDS, *FLAGGED_STARTS)
_REQUIRED = ("observations", "actions")
_FLAGS = ("terminals", "timeouts")
_ALIKE = 0.82  # a key this similar to a field's name was meant for it; next_acts and next_states are 0.8


def named(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an episode, or of one step, by the names of `Demonstrations`; other keys are left out."""
    return with_ends(picked(given))


def picked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are given, by the fields of `NAMES`."""
    given = flat(given)
    found = {}
    for field, names in NAMES.items():
        name = next((name for name in names if given.get(name) is not None), None)
        if name is not None:
            found[field] = given[name]
    return found


def flat(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with what a step led to beside the others, if it is a mapping of its own."""
    inner = given.get(NEXT)
    return (
        {**given, **{f"{LED_TO}{name}": value for name, value in inner.items()}}
        if isinstance(inner, Mapping)
        else given
    )


def with_ends(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with `terminals` and `timeouts` in place of `ended`, `going_on` and `limit`.

    `ended` alone is taken for a termination, since nothing tells it from a time limit. Beside time limits it is a
    termination where it is not one of them, and beside terminations a time limit where it is not one of them. `limit` is
    never set at a termination.
    """
    found = dict(given)
    ended, going_on = found.pop("ended", None), found.pop("going_on", None)
    if ended is None and going_on is not None:
        ended = np.asarray(going_on) == 0
    _take_limits(found, ended)
    if ended is None:
        return found
    terminals, timeouts = found.get("terminals"), found.get("timeouts")
    if terminals is None:
        found["terminals"] = ended if timeouts is None else _unless(ended, timeouts)
    else:
        limits = _unless(ended, terminals)
        found["timeouts"] = limits if timeouts is None else _unless(limits, timeouts, either=True)
    return found


def _take_limits(found: dict[str, Any], ended: Any) -> None:
    """Put `limit` into `timeouts`, and out of `terminals`. Where it is empty, as in a table of every `info`, none is set.
    If an end is one of them, all are ends: an `info` that its environment uses again keeps its flag in later rows."""
    limit = are_set(found.pop("limit", None))
    if limit is None:
        return
    if ended is not None and np.any(at_ends := _both(limit, ended)):
        limit = at_ends
    timeouts = found.get("timeouts")
    found["timeouts"] = limit if timeouts is None else _unless(limit, timeouts, either=True)
    if "terminals" in found:
        found["terminals"] = _unless(found["terminals"], limit)


def _both(limit: Any, ended: Any) -> Any:
    """Where both are set; False unless they are flags of as many rows."""
    if isinstance(limit, list) or not isinstance(ended, np.ndarray) or ended.dtype.kind not in "biuf":
        return False
    return limit & (ended.reshape(limit.shape) != 0) if limit.size == ended.size else False


def are_set(flags: Any) -> Any:
    """Booleans of flags, a list of them for episodes of several lengths; None of what is no number."""
    if flags is None:
        return None
    try:
        return np.nan_to_num(np.asarray(flags, np.float64)) == 1
    except (TypeError, ValueError):
        several = isinstance(flags, (list, tuple)) and all(isinstance(one, (list, np.ndarray)) for one in flags)
        return [are_set(one) for one in flags] if several else None


def _unless(flags: Any, others: Any, either: bool = False) -> Any:
    """Flags that are set where the others are not, or where one of the two is. An episode's one value is of its last step.
    Flags that are malformed stay as they are, and are refused later."""
    try:
        a, b = np.asarray(flags), np.asarray(others)
    except ValueError:  # episodes of several lengths
        a, b = np.zeros(0, object), np.zeros(0, object)
    if isinstance(flags, (list, tuple)) and isinstance(others, (list, tuple)) and "O" in (a.dtype.kind, b.dtype.kind):
        alike = len(flags) == len(others)
        return [_unless(*pair, either) for pair in zip(flags, others, strict=True)] if alike else flags
    if not _are_flags(a) or not _are_flags(b):
        return flags
    if not a.ndim or not b.ndim:
        a, b = a.reshape(-1)[-1], b.reshape(-1)[-1]
    if a.size != b.size:
        return flags
    a, b = a != 0, b.reshape(a.shape) != 0
    return a | b if either else a & ~b


def _are_flags(values: np.ndarray) -> bool:
    return values.dtype.kind in "biuf" and bool(values.size) and bool(((values == 0) | (values == 1)).all())


def at_last(fields: Container[str], held: Demonstrations) -> tuple[str, ...]:
    """What to say of rows whose flags, of these fields, are of time limits alone, and leave the last episode open."""
    return (NO_LIMIT,) if held.unfinished and "timeouts" in fields and "terminals" not in fields else ()


def check_spelling(keys: Iterable[Any], where: str | Path) -> None:
    """Raise UserError, which begins with `where`, for a key that seems to be a misspelt name of a field.

    Other keys are welcome, such as reward_std beside rewards: only a field that no key names can have been meant.
    """
    given = {key for key in keys if isinstance(key, str)}
    check_step_marks(given, where)
    lacking = [name for field, names in _SPELT.items() if not given & set(names) for name in CALLED[field]]
    longer = tuple(f"{name}_" for name in lacking)
    for key in sorted(given.difference(*NAMES.values())):
        near = get_close_matches(key.lower(), lacking, 1, _ALIKE)
        if near and not key.startswith(longer):
            raise UserError(f"{where}: '{key}': unexpected here, did you mean {near[0]}?")


def check_step_marks(keys: Iterable[str], where: str | Path) -> None:
    """Raise UserError, which begins with `where`, for marks of RLDS's and Dreamer's steps, unless other keys say where
    episodes end; these may be fields, too."""
    given = set(keys)
    marks, ends = sorted(given.intersection(STEP_MARKS)), {*ENDS, *(name for field in ENDS for name in NAMES[field])}
    if marks and not given & ends:
        raise UserError(
            f"{where}: '{marks[0]}': steps as of RLDS or Dreamer, where an action may belong to the observation before: put "
            "each action beside the observation on which it was taken, and call the ends terminated and truncated"
        )


def of(episode: Any, where: str) -> dict[str, Any]:
    """The values of a mapping, or of an object by its attributes, by the names of `Demonstrations`.

    A container of observations may be a wrapper with a method `unwrap`, as that of `imitation` is. Raises UserError, which
    begins with `where`, for what has no field at all, such as a list of steps, and for a key that is misspelt.
    """
    names = [name for called in CALLED.values() for name in called]
    if isinstance(episode, Mapping):
        held = episode
        check_spelling(held, where)
    elif not (held := {name: getattr(episode, name) for name in names if hasattr(episode, name)}):
        found = type(episode).__name__ + (f" of {len(episode)}" if isinstance(episode, (list, tuple)) else "")
        raise UserError(
            f"{where}: expected a mapping or an object of observations and actions [steps, ...], found {found}"
        )
    return {field: value.unwrap() if hasattr(value, "unwrap") else value for field, value in named(held).items()}


def joined(
    episodes: Sequence[Mapping[str, Any]],
    path: str | Path,
    names: Sequence[str] | None = None,
    known: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    kept: Sequence[int] | None = None,
) -> Demonstrations:
    """Episodes as demonstrations, one after the other.

    An episode has `observations` [T or T + 1] (an array, or a mapping of arrays), `actions` [T], and, if they are known,
    `rewards` [T], `next_observations` [T], `terminals` and `timeouts` ([T], or one value for the end). An observation
    more than actions is what was observed after the last action. Flags count in the last row alone, since a
    demonstration may go on after its success. An end that is not terminal is a time limit; if time limits alone are
    said, one that is none is terminal; without flags it is not known. Rows behind the last flags are left out if they are
    zero throughout in all episodes that go on there. `names` are what messages call the episodes, `known` further facts by
    the names of `Provenance`. If these are some episodes of more, `kept` [E] says how many steps of each are taken, and what
    is to be judged of all together, padding, the order of the axes and `of_flags`, is not judged here.

    Raises UserError, naming `path` and the episode, for what is missing, for lengths that disagree, and for rows of
    another shape than the first episode's.
    """
    names = names or [f"episode {i}" for i in range(len(episodes))]
    if not episodes:
        raise UserError(f"{path}: expected at least 1 episode, found 0")
    read = [_episode(episode, f"{path}: '{name}'") for name, episode in zip(names, episodes, strict=True)]
    some = kept is not None
    if kept is None and (kept := blanks.lengths(read)) is not None:
        notes += (blanks.note([len(episode["actions"]) for episode in read], kept),)
    if kept is not None:
        read = [blanks.shortened(episode, steps) for episode, steps in zip(read, kept, strict=True)]
    held = {field: [episode[field] for episode in read if field in episode] for field in (*CALLED, "final")}
    for field, parts in held.items():
        if parts and len(parts) < len(read):
            without = next(name for name, episode in zip(names, read, strict=True) if field not in episode)
            what = "observation after its last action" if field == "final" else field
            raise UserError(f"{path}: '{without}' has no {what}, expected it of each episode or of no episode")
    lengths = np.array([len(episode["actions"]) for episode in read])
    whole: dict[str, Any] = {
        field: _concatenated(parts, names, field, path)
        for field, parts in held.items()
        if parts and field not in _FLAGS
    }
    if not some:
        notes = tuple(dict.fromkeys((*notes, *_of_one_length(whole, lengths, path))))
    finals = whole.pop("final", None)
    ends, within = _ends(held, lengths, [f"{path}: '{name}'" for name in names])
    if not some:
        notes += of_flags(within, len(lengths), _never_cut(held, ends))
    steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    facts = {**whole, **ends, "final_observations": finals, "steps": steps, "episode_lengths": lengths}
    return replace(arrays.demonstrations(facts | dict(known or {}), path), notes=notes, says_ends=bool(ends))


def _episode(given: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    """Arrays with T elements; `final` [1, ...] what was observed after the last action, if it is there."""
    for field in _REQUIRED:
        if given.get(field) is None:
            raise UserError(
                f"{where} has no {field}, expected one of {', '.join(CALLED[field])}; it has {listed(given)}"
            )
    found = {field: arrays.array(given[field], f"{where}, {field}") for field in CALLED if given.get(field) is not None}
    for field, values in found.items():
        if not values.ndim and field not in _FLAGS:
            raise UserError(f"{where}: expected {field} [steps, ...], found one value")
    rows = len(found["actions"])
    if not rows:
        raise UserError(f"{where}: expected at least 1 step, found 0")
    if len(found["observations"]) == rows + 1:
        whole = found["observations"]
        found["observations"], found["final"] = whole[:-1], whole[-1:]
    for field, values in found.items():
        if field != "final" and values.ndim and len(values) != rows:
            raise UserError(f"{where}: expected {rows} {field} as actions, found {len(values)}")
    return found


def are_several(fields: Mapping[str, np.ndarray]) -> bool:
    """Whether flags [N] end several episodes, with rows that none ends between them."""
    flags = [fields[name] for name in _FLAGS if name in fields]
    if not flags or any(values.size != len(fields["actions"]) or values.dtype.kind not in "biuf" for values in flags):
        return False
    ended = np.any([values.reshape(-1) != 0 for values in flags], axis=0)
    return int((np.diff(ended, prepend=False) & ended).sum()) > 1


def _of_one_length(whole: Mapping[str, np.ndarray], lengths: np.ndarray, path: str | Path) -> list[str]:
    """What to say of rows [N, ...] of episodes of one length, whose steps may be a vector of environments."""
    if len(lengths) < 2 or (lengths != lengths[0]).any():
        return []
    names = [name for name in ("observations", "next_observations") if name in whole]
    seen = {name: whole[name].reshape(len(lengths), lengths[0], *whole[name].shape[1:]) for name in names}
    time_first.check(seen["observations"], seen.get("next_observations"), path)
    found = time_first.note(seen["observations"])
    return [] if found is None else [found]


def of_flags(within: int, episodes: int, never_cut: bool) -> tuple[str, ...]:
    """What to say of flags: of how many episodes some are set before their last rows, and whether flags of time limits are
    the only ones and are set at no end."""
    of_all = f"within {within} of {episodes} episodes" if episodes > 1 else "within the episode"
    notes = (f"flags end something {of_all}, where rows go on: such flags are left out",) if within else ()
    return (*notes, NEVER_CUT) if never_cut else notes


def _never_cut(held: Mapping[str, list[np.ndarray]], ends: Mapping[str, np.ndarray]) -> bool:
    """Whether flags of time limits, a row each, are the only ones, and are set at no end."""
    if held["terminals"] or not held["timeouts"] or ends["timeouts"].any():
        return False
    return all(flags.ndim for flags in held["timeouts"])


def _concatenated(parts: list[np.ndarray], names: Sequence[str], field: str, path: str | Path) -> np.ndarray:
    for name, part in zip(names, parts, strict=True):
        if not structured.alike(part, parts[0]):
            expected, found = structured.row(parts[0]), structured.row(part)
            raise UserError(f"{path}: '{name}': expected {field} of {expected} as '{names[0]}', found {found}")
    return structured.concatenated(parts)


def _ends(
    held: Mapping[str, list[np.ndarray]], lengths: np.ndarray, where: Sequence[str]
) -> tuple[dict[str, np.ndarray], int]:
    """`terminals` and `timeouts` [N], set in the last rows alone, nothing if the episodes say nothing of their ends; and of
    how many episodes flags are set in other rows."""
    if not any(held[field] for field in _FLAGS):
        return {}, 0
    within = np.zeros(len(lengths), bool)
    for field in _FLAGS:
        for i, flags in enumerate(held[field]):
            within[i] |= bool((flags.reshape(-1)[:-1] != 0).any())
    last = np.zeros(int(lengths.sum()), bool)
    last[np.cumsum(lengths) - 1] = True
    said = "terminals" if held["terminals"] else "timeouts"
    rows = [flags.reshape(-1) for flags in held[said]]
    found = [arrays.flags(flags, len(flags), f"{place}, {said}") for flags, place in zip(rows, where, strict=True)]
    of_this_kind = np.zeros_like(last)
    of_this_kind[last] = [bool(flags[-1:].any()) for flags in found]
    others = last & ~of_this_kind
    terminals, timeouts = (of_this_kind, others) if said == "terminals" else (others, of_this_kind)
    return {"terminals": terminals, "timeouts": timeouts}, int(within.sum())


D = TypeVar("D", bound=Demonstrations)


def of_unknown_kind(held: D) -> D:
    """The same, as `imitation` means its flags: how an episode ends is not known if it says that it is terminal, since it
    says so of time limits, too (`Trajectory.terminal`: "Episodes are always terminal"); lengths judge then. One that is not
    terminal is a part of an episode, whose end stays a time limit."""
    if not held.terminals.any():
        return held
    notes = held.notes
    if parts := int(held.timeouts.sum()):
        of_all = f"parts that went on: {parts} of {held.trajectories} episodes"
        notes += (f"{of_all}; how the others end is not said, so that their lengths judge",)
    return replace(held, terminals=np.zeros_like(held.terminals), says_ends=False, notes=notes)
