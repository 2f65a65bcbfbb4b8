"""JSON: RLlib's lines, a batch of rows each; a step a line; or episodes, as lines or as one document.

RLlib packs columns as pickles unless it is told not to; such are refused. Columns are named as those of any table
(`columns`). What is read at a time is a line, or the document, of bounded length.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts import arrays, infos, structured, trajectories
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import foreign
from trpo_gail.experts.formats import array_files, columns, marks, numbered

NAME = "JSON (RLlib's lines and others)"

_START = 64 << 10  # bytes that a file is told by
_LONGEST = 256 << 20  # characters of a line or a document
_TOGETHER = 10_000  # steps that are made arrays at a time
_LISTS = ("episodes", "trajectories", "demonstrations", "demos", "data", "transitions", "samples")
_BATCHES = ("SampleBatch", "MultiAgentBatch")
_WANTED = {"observations", "actions"}
_ASIDE = (*trajectories.LOOSE, *trajectories.MARKS)  # which steps may hold for something else
_OTHERS = (*trajectories.EPISODES, *columns.STEPS, *_ASIDE)

Columns = Mapping[str, np.ndarray]


def holds(path: Path) -> bool:
    """Whether it is JSON in which observations or actions are named near its beginning; of a folder the first such file."""
    if path.is_dir():
        return foreign.folder(path) is None and any(holds(file) for file in _files(path)[:1])
    try:
        with open(path, "rb") as stream:
            text = stream.read(_START).decode("utf-8-sig", "replace").lstrip()
    except OSError:
        return False
    if not text.startswith(("{", "[")) or "\0" in text:
        return False
    keys = re.findall(r'"([^"\\]{1,60})"\s*:', text)
    return any(columns.field(key) in _WANTED or key == "policy_batches" for key in keys)


def read(path: Path) -> Demonstrations:
    """All episodes, of a folder file after file.

    Raises UserError for text that is no JSON, for packed columns, and as `columns.read` does.
    """
    files = _files(path) if path.is_dir() else [path]
    try:
        return _of(itertools.chain.from_iterable(map(_values, files)), path)
    except RecursionError:
        raise UserError(f"{path}: expected lists of numbers, found lists within lists without an end") from None


def _files(folder: Path) -> list[Path]:
    """As RLlib writes them, in the order of their numbers."""
    return numbered.ordered(file for end in (".json", ".jsonl") for file in folder.glob(f"*{end}") if file.is_file())


def _values(path: Path) -> Iterable[Any]:
    return _documents(path) if _is_lines(path) else _unwrapped(list(_documents(path)))


# --- Text ---------------------------------------------------------------------------------------------------------


def _is_lines(path: Path) -> bool:
    """Whether the first line is a value, and further lines follow."""
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        first = _next_line(stream, _LONGEST)
        second = _next_line(stream, 200)
    return bool(second) and first.rstrip().endswith(("}", "]")) and _parsed(first) is not None


def _next_line(stream: IO[str], longest: int) -> str:
    """The next line that is not empty; "" if none is."""
    return next((line for line in iter(lambda: stream.readline(longest), "") if line.strip()), "")


def _parsed(text: str) -> Any:
    """None if it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _documents(path: Path) -> Iterator[Any]:
    """The values of the lines, or the one of the file."""
    lines = _is_lines(path)
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        number = 0
        while text := stream.readline(_LONGEST) if lines else stream.read(_LONGEST):
            number += 1
            if len(text) == _LONGEST:
                what = "lines" if lines else "a document"
                raise UserError(f"{path}: expected {what} of less than {_LONGEST >> 20} MB; write a line an episode")
            if not text.strip():
                continue
            where = f"{path}: line {number}" if lines else f"{path}"
            try:
                yield json.loads(text)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where}: expected JSON: {shortened(str(error), 100)}") from None


def _unwrapped(found: Sequence[Any]) -> Sequence[Any]:
    """What a document of one value holds: its list, or the list under a known name, or episodes by their names."""
    value = found[0] if found else []
    for _ in range(3):
        if not isinstance(value, dict) or _fields(value) & _WANTED:
            break
        inside = next((value[name] for name in _LISTS if isinstance(value.get(name), (list, dict))), None)
        if inside is None:
            episodes = [inner for inner in value.values() if isinstance(inner, (dict, list))]
            inside = episodes if episodes and all(_is_episode(inner) for inner in episodes) else None
        if inside is None:
            break
        value = inside
    return value if isinstance(value, list) else [value]


def _is_episode(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and bool(_fields(first) & _WANTED)


def _fields(value: Mapping[str, Any]) -> set[str | None]:
    return {columns.field(name) for name in value}


# --- Values -------------------------------------------------------------------------------------------------------


def _of(values: Iterable[Any], path: Path) -> Demonstrations:
    """Demonstrations of steps, batches of steps, or episodes: all values of one kind, as the first tells."""
    steps = _Steps(path)
    parts: list[Columns] = []
    kinds: set[str] = set()
    said = False  # whether anything says of an end that it is a time limit, or none
    for number, value in enumerate(values):
        where = f"{path}: value {number}"
        if number == 0:  # the others have the same keys
            first = value[0] if isinstance(value, list) and value else value
            columns.check_names(first if isinstance(first, dict) else (), where)
            told = not isinstance(value, dict) or _fields(value) & _WANTED or "policy_batches" in value
            bare = None if told else value
        elif number == 1 and bare is not None:
            raise UserError(f"{path}: value 0: no observations and no actions, but {listed(bare)}: leave this line out")
        if isinstance(value, list):  # steps of an episode
            inner = _Steps(path)
            for step in value:
                said = said or infos.are_said(_mapping(step, where))
                inner.add(_mapping(step, where), where)
            parts.append(inner.columns(where))
            kinds.add("episode")
            continue
        for batch in _batches(_mapping(value, where), where):
            kinds.add(kind := _kind(batch))
            said = said or infos.are_said(batch)
            if kind == "step":
                steps.add(batch, where)
            else:
                parts.append(_columns(_with_limits(batch), where))
    if len(kinds) != 1:
        found = listed(sorted(kinds)) if kinds else "nothing"
        raise UserError(f"{path}: expected steps, batches of rows or episodes, found {found}")
    if kinds == {"step"}:
        parts = [steps.columns(f"{path}: steps")]
    flags = [part[name] for part in parts for name in part if name == trajectories.TIME_LIMIT]
    if not any(map(np.any, flags)) and not (said and _are_told_apart(parts, kinds)):
        parts = [{n: v for n, v in part.items() if n != trajectories.TIME_LIMIT} for part in parts]
    if kinds == {"episode"} and len(parts) == 1:
        return array_files.of_arrays(_without_counts(parts[0]), path)
    if kinds <= {"step", "batch"}:
        return marks.table(_joined(parts, path), path)
    return trajectories.joined([columns.grouped(part, path).fields for part in parts], path)


def _are_told_apart(parts: Sequence[Columns], kinds: set[str]) -> bool:
    """Whether episodes are, by whatever is no flag: only then flags that are never set say something."""
    return (kinds == {"episode"} and len(parts) > 1) or marks.are_in(parts[0])


def _without_counts(held: Columns) -> Columns:
    """The same without what is called `length` or the like, but has a number for each row, and so marks no episodes, unless
    all are of one step; of batches of episodes it may have one for each of these."""
    seen = [values for name, values in held.items() if columns.field(name) == "observations"]
    rows = max((len(values) for values in seen if 0 < values.ndim < 3), default=0)
    counts = [
        name
        for name, values in held.items()
        if name.lower() in trajectories.MARKS
        and values.shape == (rows,)
        and not marks.is_flagged(name, values, rows)
        and (values != 1).any()
    ]
    return {name: values for name, values in held.items() if name not in counts}


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected an object such as {{obs, action}}, found {type(value).__name__}")
    return dict(trajectories.flat(value))


def _batches(value: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """The batches of the one policy that a line of several agents holds; others as they are."""
    held = value.get("policy_batches")
    if not isinstance(held, dict):
        return [value]
    if len(held) != 1:
        raise UserError(f"{where}: expected one policy, found {listed(held)}")
    return [_mapping(batch, where) | {"type": "SampleBatch"} for batch in held.values()]


def _kind(value: Mapping[str, Any]) -> str:
    """`batch` of RLlib; `step`, if what is one number a step is a number; else `episode`."""
    if value.get("type") in _BATCHES:
        return "batch"
    named = {columns.field(name): held for name, held in value.items()}
    if "rewards" not in named and _are_rows(named.get("observations"), named.get("actions")):
        return "episode"  # though a flag be one value, of its last step
    for name in ("rewards", *trajectories.ENDS):
        if name in named and not (name != "rewards" and isinstance(named.get("rewards"), list)):
            return "episode" if isinstance(named[name], list) else "step"
    acted, seen = named.get("actions"), named.get("observations")
    if not isinstance(acted, list) or not isinstance(seen, list):
        return "episode" if isinstance(acted, list) and isinstance(seen, dict) and _depth(acted) > 1 else "step"
    return "episode" if _depth(seen) > 1 and len(seen) - len(acted) in (0, 1) else "step"


def _are_rows(seen: Any, acted: Any) -> bool:
    """Whether observations and actions are lists of lists of as many steps."""
    return _depth(acted) > 1 and _depth(seen) > 1 and len(seen) - len(acted) in (0, 1)


def _with_limits(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a flag of a time limit for each row, as its `info` says, or not set."""
    acted = next((batch[name] for name in batch if columns.field(name) == "actions"), None)
    flags, rows = infos.limits(batch), len(acted) if isinstance(acted, list) else 0
    if np.ndim(flags) and len(flags) == rows:
        flags = list(flags)
    else:  # one value is of the last step
        flags = [False] * (rows - 1) + [flags is True] * (rows > 0)
    return {trajectories.TIME_LIMIT: flags, **infos.without(batch)}


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list) and depth < 10:
        depth, value = depth + 1, value[0] if value else None
    return depth


def _is_wanted(name: str) -> bool:
    return columns.field(name) is not None or name.lower() in _OTHERS


def _columns(batch: Mapping[str, Any], where: str) -> Columns:
    """Arrays of the columns that say something."""
    found = {}
    for name, values in batch.items():
        if not _is_wanted(name) or values is None or (name.lower() in _ASIDE and not _are_single(name, values)):
            continue
        if isinstance(values, str):
            packed = "packed as a pickle" if len(values) > 100 else "a text"
            hint = "; write it with RLlib's output_config {'compress_columns': []}" if len(values) > 100 else ""
            raise UserError(f"{where}: '{name:.60}': expected a list of numbers, found {packed}{hint}")
        if name.lower() in trajectories.NAMING and isinstance(values, list) and any(isinstance(v, str) for v in values):
            found[name] = np.array([_number(value) for value in values])
        else:
            found[name] = arrays.array(values, f"{where}, '{name:.60}'")
    return found


def _are_single(name: str, values: Any) -> bool:
    """Whether these may name the environment or agent of each row, or mark rows or episodes."""
    kinds = (str, int) if name.lower() in trajectories.NAMING else int
    return isinstance(values, list) and all(isinstance(value, kinds) for value in values)


def _number(text: object) -> int:
    """The same number for the same text: arrays of texts take the room of the longest for each."""
    return int.from_bytes(hashlib.sha256(str(text).encode("utf-8", "replace")).digest()[:7], "big")


def _of_all(parts: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The same without names of environments or agents, and marks, that not all have."""
    every = set[str]().union(*parts)
    some = {name for name in every.difference(every.intersection(*parts)) if name.lower() in _ASIDE}
    return [{n: v for n, v in part.items() if n not in some} for part in parts] if some else parts


def _shown(names: Iterable[str]) -> list[str]:
    """Those of the file: the flags of time limits are put beside them here."""
    return [name for name in names if name != trajectories.TIME_LIMIT]


def _joined(parts: Sequence[Columns], path: Path) -> Columns:
    parts = _of_all(parts)
    for i, part in enumerate(parts):
        if part.keys() != parts[0].keys():
            expected, found = listed(_shown(parts[0])), listed(_shown(part))
            raise UserError(f"{path}: value {i}: expected {expected} as in the first, found {found}")
        for name, values in part.items():
            if not values.ndim or not structured.alike(values, parts[0][name]):
                expected, found = structured.row(parts[0][name]), structured.row(values)
                raise UserError(f"{path}: value {i}: '{name:.60}': expected rows of {expected}, found {found}")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


class _Steps:
    """Collects steps, which are made arrays some at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: list[dict[str, Any]] = []
        self.parts: list[Columns] = []

    def add(self, step: Mapping[str, Any], where: str) -> None:
        limit = {trajectories.TIME_LIMIT: infos.limits(step) is True}
        wanted = {name: value for name, value in infos.without(step).items() if _is_wanted(name)}
        self.waiting.append(limit | wanted)
        if len(self.waiting) == _TOGETHER:
            self._make(where)

    def columns(self, where: str) -> Columns:
        if self.waiting:
            self._make(where)
        return _joined(self.parts, self.path)

    def _make(self, where: str) -> None:
        self.waiting = [dict(step) for step in _of_all(self.waiting)]
        names = self.waiting[0].keys()
        for step in self.waiting:
            if step.keys() != names:
                expected, found = listed(_shown(names)), listed(_shown(step))
                raise UserError(f"{where}: expected {expected} in each step, found {found}")
        self.parts.append(_columns({name: [step[name] for step in self.waiting] for name in names}, where))
        self.waiting = []
