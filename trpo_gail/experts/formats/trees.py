"""Demonstrations within containers of any kind: what pickles and files of PyTorch hold.

Read are mappings of arrays, flat or with an episode a row; lists of episodes; lists of steps; and lists of tuples, such as
(observation, action, reward, next observation, done). Episodes may be mappings, or objects with attributes (records).
Containers around them are looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts import arrays, batches, infos, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files.unpickling import Record, attributes
from trpo_gail.experts.formats import columns, in_turn, marks, sequences, tianshou, transitions
from trpo_gail.experts.formats.d4rl import differ

_DEEPEST = 4
_FUNCTION = "a function that uses them is recorded by trpo-gail record --policy module:function"
_ORDERS = {
    2: ("observations", "actions"),
    3: ("observations", "actions", "rewards"),
    4: ("observations", "actions", "rewards", "next_observations"),
    5: ("observations", "actions", "rewards", "next_observations", "terminals"),
    6: ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts"),
}
_NEXT_SECOND = ("observations", "next_observations", "actions", "rewards", "terminals")  # TD3's
_NEXT_THIRD = ("observations", "actions", "next_observations", "rewards", "terminals")


def demonstrations(tree: Any, path: str | Path) -> Demonstrations | None:
    """Those in a tree, whose size is checked; None if there are none. Raises UserError for malformed ones, and if there
    are several sets of them."""
    return _found(tree, path, 0)


def opened(value: Any) -> Any:
    """Mappings and lists in place of records and arrays of objects; everything else as it is, also what stands for an array
    that cannot be read."""
    if isinstance(value, Record) and not arrays.is_unread(value):
        held = attributes(value)
        if "_d" in held and value.name.endswith("DictObs"):  # `imitation`'s observations of several parts
            return held["_d"]
        return held or value.entries or value.items or list(value.arguments)
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return value.tolist()
    return value


def _found(tree: Any, path: str | Path, depth: int) -> Demonstrations | None:
    if isinstance(tree, Record) and tianshou.is_buffer(tree):
        return tianshou.of_record(tree, path)
    value, found = opened(tree), None
    if isinstance(value, Mapping):
        found = _of_mapping(
            value if _is_imitations(tree, value) else infos.with_limits([value], _names_episodes(value))[0], path, depth
        )
    elif isinstance(value, (list, tuple)) and value:
        found = _of_list(value, path, depth)
    return trajectories.of_unknown_kind(found) if found is not None and _is_imitations(tree, value) else found


def _is_imitations(tree: Any, value: Any) -> bool:
    """Whether `imitation` has made its trajectories or transitions, which call time limits terminal, too."""
    first = tree if isinstance(value, Mapping) or not value else value[0]
    return isinstance(first, Record) and first.name.startswith("imitation.")


# --- Mappings -----------------------------------------------------------------------------------------------------


def _of_mapping(held: Mapping[Any, Any], path: str | Path, depth: int) -> Demonstrations | None:
    if {"pos", "full", "observations", "buffer_size"} <= held.keys():
        raise UserError(
            f"{path}: a replay buffer of Stable-Baselines3, whose rows are of several environments in turn and may not be "
            "filled: expected episodes, which trpo-gail record ENV --policy FILE.zip makes of the model"
        )
    found = _named(held)
    if found.keys() >= {"observations", "actions"}:
        for name, value in found.items():
            arrays.check_read(value, f"{path}: {name}")
    if _is_data(found):
        trajectories.check_spelling(held, path)
        return _of_arrays(found, _marks(held, path, batches.length(found["actions"])), path)
    within = {str(key): opened(value) for key, value in held.items()}
    episodes = {key: value for key, value in within.items() if isinstance(value, Mapping) and _is_data(_named(value))}
    if len(episodes) > 1:
        episodes = dict(zip(episodes, infos.with_limits(list(episodes.values()), True), strict=True))
        for key, value in episodes.items():
            trajectories.check_spelling(value, f"{path}: '{key}'")
        return trajectories.joined([_named(value) for value in episodes.values()], path, list(episodes))
    if depth >= _DEEPEST:
        return None
    sets = {key: _found(value, path, depth + 1) for key, value in held.items()}
    there = {str(key): data for key, data in sets.items() if data is not None}
    if len(there) > 1:
        raise UserError(f"{path}: several sets of demonstrations: {listed(there)}; expected a file with one of them")
    return next(iter(there.values()), None)


def _marks(held: Mapping[Any, Any], path: str | Path, rows: int) -> dict[str, np.ndarray]:
    """What says where episodes end, or which episode or environment a row is of."""
    names = (*trajectories.MARKS, *trajectories.EPISODES, *trajectories.LOOSE, *columns.STEPS)
    said = {str(name).lower(): opened(value) for name, value in held.items() if str(name).lower() in names}
    found: dict[str, np.ndarray] = {}
    steps: dict[str, np.ndarray] = {}
    for name, value in said.items():
        if not isinstance(value, (list, tuple, np.ndarray)) or not batches.length(value):
            continue
        single = _one_each(value)
        if name in columns.STEPS:
            steps |= {} if single is None or len(single) != rows else {name: single}
        elif name not in trajectories.LOOSE:
            found[name] = arrays.array(value, f"{path}: {name}") if single is None else single
        elif single is not None and _tells(name, single, rows):
            found[name] = single
    named = not found.keys().isdisjoint(trajectories.EPISODES)
    return found | {name: step for name, step in steps.items() if named or columns.begins_again(step)[0] is not None}


def _names_episodes(held: Mapping[Any, Any]) -> bool:
    """Whether a name is among these that tells episodes apart, whatever flags say."""
    return any(str(name).lower() in (*trajectories.MARKS, *trajectories.EPISODES) for name in held)


def _one_each(value: Any) -> np.ndarray | None:
    """[N] of numbers or texts; None of anything else."""
    try:
        found = np.asarray(value)
    except ValueError:
        return None
    return found if found.ndim == 1 and found.dtype.kind in "biufU" else None


def _tells(name: str, values: np.ndarray, rows: int) -> bool:
    """Whether an array that may be something else tells episodes or environments apart."""
    if name in trajectories.BESIDE:
        return in_turn.names_several(values, rows)
    return marks.is_flagged(name, values, rows)


def _of_arrays(found: dict[str, Any], said: dict[str, np.ndarray], path: str | Path) -> Demonstrations:
    """Of values by the names of `Demonstrations`: a batch of episodes, one episode, or transitions."""
    if batches.is_batch(found) and (rows_of := batches.of_one_environment(found)) is not None:
        return transitions.demonstrations(rows_of, path)
    if batches.is_batch(found):
        lengths = next((said[name] for name in trajectories.LENGTHS if name in said), None)
        if sequences.are_here(found):
            steps = None if lengths is None else batches.lengths_of(lengths, len(found["actions"]), path)
            return sequences.read(found, steps, path)
        return trajectories.joined(batches.split(found, path, lengths), path)
    held = {name: arrays.array(values, f"{path}: {name}") for name, values in found.items()}
    rows = len(held["actions"]) if held["actions"].ndim else 0
    observations = held["observations"]
    one_end = any(not held[name].ndim for name in ("terminals", "timeouts") if name in held)
    if rows and (one_end or (observations.ndim and len(observations) == rows + 1)):
        if one_end or "next_observations" in held or not trajectories.are_several(held):
            return trajectories.joined([held], path, ["the episode"])
        held["observations"] = observations[:-1]
        return transitions.demonstrations(held, path, notes=(trajectories.ONE_MORE,))
    if rows and said:
        return marks.read(*marks.apart(said | held), path)
    return transitions.demonstrations(held, path)


# --- Lists --------------------------------------------------------------------------------------------------------


def _of_list(items: Sequence[Any], path: str | Path, depth: int) -> Demonstrations | None:
    first = opened(items[0])
    if isinstance(first, Mapping) and _is_data(step := _named(first)):
        values = [_opened_to(Mapping, item, i, path) for i, item in enumerate(items)]
        trajectories.check_spelling({key for value in values for key in value}, path)
        one_each = _is_step(step)
        if not _is_imitations(items, items):
            values = infos.with_limits(values, not one_each or _names_episodes(values[0]))
        if one_each:
            return _of_steps(values, path)
        return trajectories.joined([_named(value) for value in values], path)
    if not isinstance(first, (list, tuple)):
        found = _two_arrays(items)
        if found is not None:
            return transitions.demonstrations(found, path)
        return _found(first, path, depth + 1) if len(items) == 1 and depth < _DEEPEST else None
    if (order := _order(first, items)) is not None:
        return _of_tuples(items, order, path)
    return _of_lists(items, path, depth)


def _of_steps(steps: Sequence[Mapping[str, Any]], path: str | Path) -> Demonstrations:
    """Of steps one after the other, each of which may name its episode, its environment or its number."""
    rows = _columns(steps, path)
    names = [name for name in steps[0] if str(name).lower() in (*trajectories.NAMING, *columns.STEPS)]
    each = {name: [step.get(name) for step in steps] for name in names}
    if said := _marks({n: values for n, values in each.items() if _one_each(values) is not None}, path, len(steps)):
        return marks.read(*marks.apart(said | {n: arrays.array(v, f"{path}: {n}") for n, v in rows.items()}), path)
    return transitions.demonstrations(rows, path)


def _of_lists(items: Sequence[Any], path: str | Path, depth: int) -> Demonstrations | None:
    """Of episodes that are lists of steps, which are mappings or tuples."""
    episodes = [_opened_to((list, tuple), item, i, path) for i, item in enumerate(items)]
    first = opened(episodes[0][0]) if episodes[0] else None
    if isinstance(first, Mapping) and _is_data(_named(first)):
        steps = [_opened_to(Mapping, step, i, path) for episode in episodes for i, step in enumerate(episode)]
        trajectories.check_spelling(first, path)
        limited = iter(infos.with_limits(steps, True))  # of all: one episode's alone would have flags that others lack
        return trajectories.joined([_columns([*islice(limited, len(one))], path) for one in episodes], path)
    if isinstance(first, (list, tuple)) and (order := _order(first, episodes[0])) is not None:
        return trajectories.joined([_tuple_columns(episode, order, path) for episode in episodes], path)
    return _found(episodes[0], path, depth + 1) if len(episodes) == 1 and depth < _DEEPEST else None


def _opened_to(kind: Any, item: Any, i: int, path: str | Path) -> Any:
    value = opened(item)
    if not isinstance(value, kind) or not len(value):
        raise UserError(f"{path}: item {i}: expected one as item 0, found {type(value).__name__}")
    return value


def _columns(steps: Sequence[Mapping[str, Any]], path: str | Path) -> dict[str, Any]:
    """A list for each value of a step."""
    named = [_named(step) for step in steps]
    for i, step in enumerate(named):
        if step.keys() != named[0].keys():
            raise UserError(f"{path}: step {i}: expected {listed(named[0])} as step 0 has, found {listed(step)}")
    return {name: [step[name] for step in named] for name in (named[0] if named else ())}


# --- Tuples -------------------------------------------------------------------------------------------------------


def _order(item: Sequence[Any], steps: Sequence[Any]) -> tuple[str, ...] | None:
    """What the items of a tuple are, if it is one of an observation, an action and so on; `steps` are such tuples."""
    if len(item) not in _ORDERS or not all(_is_value(part) for part in item) or not np.ndim(item[0]):
        return None
    if len(item) == 5 and np.ndim(item[3]) == 0 and np.ndim(item[0]):
        second, third = (np.shape(item[k]) == np.shape(item[0]) for k in (1, 2))
        if second and third:
            return _NEXT_THIRD if _follow(steps, 2) > _follow(steps, 1) else _NEXT_SECOND
        if second or third:
            return _NEXT_SECOND if second else _NEXT_THIRD
    if len(item) >= 4 and np.shape(item[3]) != np.shape(item[0]):
        return None
    return _ORDERS[len(item)]


def _follow(steps: Sequence[Any], place: int) -> int:
    """In how many of the first steps this item is the next step's observation."""
    first = [opened(step) for step in steps[:100]]
    pairs = [(a, b) for a, b in pairwise(first) if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple))]
    return sum(len(a) == len(b) == 5 and np.array_equal(a[place], b[0]) for a, b in pairs)


def _is_value(part: Any) -> bool:
    """Whether it is a number, an array, or a list of numbers."""
    if isinstance(part, (list, tuple)):
        return bool(part) and all(isinstance(each, (int, float, np.number)) for each in part)
    return isinstance(part, (bool, int, float, np.generic)) or (isinstance(part, np.ndarray) and part.dtype.kind != "O")


def _of_tuples(items: Sequence[Any], order: tuple[str, ...], path: str | Path) -> Demonstrations:
    """Of steps, or of episodes if both the first's observations and its actions have a row each step."""
    first = dict(zip(order, opened(items[0]), strict=True))
    observations, actions = first["observations"], first["actions"]
    steps = len(np.atleast_1d(actions))
    rewards = first.get("rewards")
    one = rewards is not None and not np.ndim(rewards)  # a reward alone: a step, whatever the shapes are
    if not one and np.ndim(observations) >= 2 and np.ndim(actions) >= 1 and len(observations) - steps in (0, 1):
        episodes = [dict(zip(order, _opened_to((list, tuple), item, i, path))) for i, item in enumerate(items)]  # noqa: B905
        return trajectories.joined(episodes, path)
    made = _tuple_columns(items, order, path)
    done = arrays.array(made.get("terminals", False), f"{path}: terminals")
    most = done.mean() if done.dtype.kind in "biuf" else 0.0
    mostly = most > 0.5 and (most < 1.0 or done.dtype.kind == "f") and "timeouts" not in made
    if mostly and not _end_there(made, done.reshape(-1) != 0, path):
        note = "most of the last items of the steps are 1: taken for masks, which are 0 where an episode ends"
        return transitions.demonstrations({**made, "terminals": done == 0}, path, notes=(note,))
    return transitions.demonstrations(made, path)


def _end_there(made: Mapping[str, Any], flags: np.ndarray, path: str | Path) -> bool:
    """Whether next observations show that steps whose flag is set end an episode, and most others none: many episodes are
    of a step or two."""
    before, after = (arrays.array(made[name], f"{path}: {name}") for name in ("observations", "next_observations"))
    numbers = {before.dtype.kind, after.dtype.kind} <= {*"biuf"}
    if not numbers or before.shape != after.shape or len(flags) != len(before) or flags[:-1].all():
        return False
    goes_on, ends = ~differ(after[:-1], before[1:]), flags[:-1]
    return bool(2 * goes_on[~ends].sum() > (~ends).sum() and 2 * goes_on[ends].sum() < ends.sum())


def _tuple_columns(items: Sequence[Any], order: tuple[str, ...], path: str | Path) -> dict[str, Any]:
    made: dict[str, list[Any]] = {name: [] for name in order}
    for i, item in enumerate(items):
        value = _opened_to((list, tuple), item, i, path)
        if len(value) != len(order):
            raise UserError(f"{path}: step {i}: expected {len(order)} items as step 0 has, found {len(value)}")
        for name, part in zip(order, value, strict=True):
            made[name].append(part)
    return made


def _two_arrays(items: Sequence[Any]) -> dict[str, Any] | None:
    """Observations and actions of all rows, if that is what a pair of arrays may be."""
    plain = all(isinstance(item, np.ndarray) and item.ndim and item.dtype.kind != "O" for item in items)
    if not plain or len(items) != 2 or len(items[0]) != len(items[1]) or items[0].ndim < 2:
        return None
    return {"observations": items[0], "actions": items[1]}


# --- Steps and episodes -------------------------------------------------------------------------------------------


def _named(held: Mapping[Any, Any]) -> dict[str, Any]:
    """Values by the names of `Demonstrations`, opened."""
    if isinstance(held.get(trajectories.NEXT), Record):
        held = {**held, trajectories.NEXT: opened(held[trajectories.NEXT])}
    return {field: _deep(value) for field, value in trajectories.named(held).items()}


def _deep(value: Any, depth: int = 0) -> Any:
    """A value without records, of which only the containers that hold some are made anew."""
    value = opened(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {str(key): _deep(part, depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)) and depth < _DEEPEST:
        kinds = set(map(type, value))
        objects = np.ndarray in kinds and any(isinstance(v, np.ndarray) and v.dtype.kind == "O" for v in value)
        if Record in kinds or objects:
            return [_deep(part, depth + 1) for part in value]
    return value


def _is_data(found: Mapping[str, Any]) -> bool:
    """Whether observations and actions are there, and are numbers, or containers of some."""
    return all(
        isinstance(found.get(name), (np.ndarray, np.generic, list, tuple, int, float, Mapping))
        for name in ("observations", "actions")
    )


def is_step(held: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds the values of one step, as far as their shapes tell."""
    found = _named(held)
    return _is_data(found) and _is_step(found)


def _is_step(found: Mapping[str, Any]) -> bool:
    """Whether values are those of one step, and not of an episode, as far as their shapes tell."""
    observed, acted = batches.depth(found["observations"]), batches.depth(found["actions"])
    if "rewards" in found:
        rewards = found["rewards"]
        if batches.depth(rewards) == 0:
            return True
        if len(rewards) > 1:
            return False
    if observed == acted == 1 and _are_labels(found["observations"]) and _are_labels(found["actions"]):
        return len(found["observations"]) - len(found["actions"]) not in (0, 1)  # else labels, step after step
    if observed < 2 or not acted:
        return True
    return len(batches.part(found["observations"])) - len(found["actions"]) not in (0, 1)


def _are_labels(values: Any) -> bool:
    """Whether these are several whole numbers."""
    return not isinstance(values, Mapping) and len(values) > 1 and np.asarray(values).dtype.kind in "iu"


# --- What to say of a tree without demonstrations -----------------------------------------------------------------


def refused(tree: Any, path: str | Path) -> str:
    """What a tree without demonstrations is, and what to do with a policy."""
    do = f"if it is a policy, record some with: trpo-gail record ENV --policy {path} --episodes N --out FILE.h5"
    if _is_linear(opened(tree)):
        return f"a matrix and two vectors, as ARS writes its policies, expected demonstrations; {do}"
    names = list(tree) if isinstance(tree, Mapping) else [getattr(tree, "name", "")]
    if isinstance(tree, Mapping) and _are_weights(tree):
        return f"weights of a network ({listed(names, 2)}), expected demonstrations; {_FUNCTION}"
    if any("olicy" in str(name) for name in names):
        return f"{_described(tree)}, expected demonstrations; {do}"
    return f"{_described(tree)}, expected observations and actions by one of their names"


def _is_linear(value: Any) -> bool:
    three = isinstance(value, list) and len(value) == 3 and all(isinstance(part, np.ndarray) for part in value)
    return three and [part.ndim for part in value] == [2, 1, 1]


def _are_weights(tree: Mapping[Any, Any]) -> bool:
    """Whether arrays have the names that PyTorch gives to parameters, there or within."""
    names = [str(name) for name in tree]
    inner = [value for value in tree.values() if isinstance(value, Mapping) and value]
    return any(name.endswith((".weight", ".bias")) for name in names) or any(map(_are_weights, inner[:9]))


def _described(tree: Any) -> str:
    """What a tree is, in a few words."""
    if isinstance(tree, Record):
        return f"an object, {shortened(tree.name, 60)}"
    if isinstance(tree, Mapping):
        return f"a dict of {listed(tree)}"
    if isinstance(tree, (list, tuple)):
        return f"a {type(tree).__name__} of {len(tree)}" + (f", first {_described(tree[0])}" if tree else "")
    if isinstance(tree, np.ndarray):
        return f"an array, {tree.dtype} {list(tree.shape)}"
    return f"a {type(tree).__name__}"
