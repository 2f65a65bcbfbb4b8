"""Looks at the structure of HDF5 files in a process of its own, which `apart` starts, and which a broken file may kill.

A program and no module of the package: it imports h5py and numpy alone. A line of JSON on stdin names a file and the
limits; a line on stdout answers with what is refused, or null. What is merely damaged is no refusal, unless a limit may
be what ended it: whoever opens the file afterwards meets it again, and says it better.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

SECONDS = 3  # of computing that one object of a file may take
MEMORY = 512 << 20  # bytes that this process may grow by
SMALL = 4 << 20  # bytes of a dataset that is read here, as a whole; of a larger one the chunks are counted
ATTRIBUTE = 16 << 20  # bytes of an attribute
OBJECTS = 1_000_000  # in a file
DEEPEST = 50  # groups within groups

Address = tuple[int, int]  # of an object: its file, and its place there
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError)


class Refused(Exception):
    """What is refused, in words that follow the file's name."""


def main() -> None:
    """Answer until nobody asks any more."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = _refusal(asked["path"], asked["bytes"])
        except MemoryError:
            answer = f"takes more than {MEMORY >> 20} MB to open, expected HDF5 of a plainer structure"
        print(json.dumps(answer), flush=True)


def _refusal(path: str, most: int) -> str | None:
    _limit_memory()
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            for name, group in _groups(file.id):
                _look_at_members(name, group, most)
    except Refused as refused:
        return str(refused)
    except _DAMAGE:
        return None
    return None


def _limit_memory() -> None:
    """From what is mapped now."""
    try:
        with open("/proc/self/statm") as stream:
            mapped = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (OSError, ValueError):  # no Linux: the limit on what a file claims is there all the same
        return


def _give_time() -> None:
    """Another few seconds of computing, after which the kernel ends this process. They are counted from now: a limit on
    all that was computed so far would be met by rounding alone, since the kernel counts it by another clock."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)


# --- Groups and links ---------------------------------------------------------------------------------------------


def _groups(top: Any) -> Iterator[tuple[str, Any]]:
    """All groups by their names, each once. At the end, refuses those that hold themselves or lie too deep: what reads
    them goes down from group to group."""
    seen, waiting = {_address(top)}, [("", h5py.h5g.open(top, b"/"))]
    within: dict[Address, list[tuple[Address, str]]] = {}
    while waiting:
        name, group = waiting.pop()
        yield name, group
        inner = within.setdefault(_address(group), [])
        for member in _links(group):
            if len(seen) > OBJECTS:
                raise Refused(f"holds more than {OBJECTS:,} objects, expected fewer")
            _give_time()
            try:
                found = h5py.h5o.open(group, member)
                where = _address(found)
            except _DAMAGE:
                continue
            if isinstance(found, h5py.h5g.GroupID):
                inner.append((where, f"{name}/{_word(member)}"))
            if where not in seen:
                seen.add(where)
                if isinstance(found, h5py.h5g.GroupID):
                    waiting.append((f"{name}/{_word(member)}", found))
    _refuse_depth(_address(top), within)


def _refuse_depth(top: Address, within: dict[Address, list[tuple[Address, str]]]) -> None:
    """`within`: the groups in each group, and their names. Goes from the top down, a level at a time; a group that holds
    itself is on every level below its own."""
    level, deep = {top}, 0
    while level:
        _give_time()
        below = {where: name for group in level for where, name in within.get(group, [])}
        deep += 1
        if below and deep > DEEPEST:
            name = next(iter(below.values()))[:60]
            raise Refused(f"'{name}' is a group within more than {DEEPEST} others, or within itself, expected fewer")
        level = set(below)


def _address(found: Any) -> Address:
    info = h5py.h5o.get_info(found)
    return info.fileno, info.addr


def _links(group: Any) -> Iterator[bytes]:
    """Names in a group, of which none leads out of the file."""
    _give_time()
    try:
        names = list(group)
    except _DAMAGE:
        return
    for name in names:
        try:
            name.decode()
        except UnicodeDecodeError:
            raise Refused(f"'{_word(name)}' is a name that is no text (UTF-8), expected one that is") from None
        try:
            kind = group.links.get_info(name).type
        except _DAMAGE:
            continue
        if kind == h5py.h5l.TYPE_EXTERNAL:
            raise Refused(f"'{_word(name)}' is a link into another file{_target(group, name)}, which is not followed")
        if kind not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            raise Refused(f"'{_word(name)}' is a link of a kind of its own ({kind}), which is not followed")
        yield name


def _target(group: Any, name: bytes) -> str:
    try:
        file, path = group.links.get_val(name)
    except _DAMAGE:
        return ""
    return f", {_word(file)}:{_word(path)}"


def _word(name: bytes) -> str:
    return name.decode("utf-8", "replace")[:60]


# --- Datasets and attributes --------------------------------------------------------------------------------------


def _look_at_members(name: str, group: Any, most: int) -> None:
    _look_at_attributes(name or "/", group)
    for member in _links(group):
        _give_time()
        try:
            found = h5py.h5o.open(group, member)
        except _DAMAGE:
            continue
        if isinstance(found, h5py.h5d.DatasetID):
            where = f"{name}/{_word(member)}".lstrip("/")
            _look_at_attributes(where, found)
            try:
                _look_at(where, found, most)
            except _DAMAGE:
                continue


def _look_at_attributes(where: str, found: Any) -> None:
    try:
        for i in range(h5py.h5a.get_num_attrs(found)):
            _give_time()
            attribute = h5py.h5a.open(found, index=i)
            claimed = math.prod(attribute.shape) * max(attribute.get_type().get_size(), 1)
            if max(attribute.get_storage_size(), claimed) > ATTRIBUTE:
                raise Refused(f"an attribute of '{where}' claims {claimed:,} bytes, expected at most {ATTRIBUTE:,}")
            if attribute.get_type().detect_class(h5py.h5t.VLEN) or attribute.get_type().detect_class(h5py.h5t.STRING):
                _read(where, attribute)
    except _DAMAGE:
        return


def _read(where: str, attribute: Any) -> None:
    """Read a text, which may lie anywhere in the file; raise Refused if it cannot be.

    Without the limits of this process, the same failure may take seconds and gigabytes.
    """
    try:
        attribute.read(np.empty(attribute.shape, attribute.dtype))
    except _DAMAGE as error:
        raise Refused(f"the attribute '{_word(attribute.name)}' of '{where}' is damaged") from error


def _look_at(where: str, found: Any, most: int) -> None:
    """Raise Refused for a dataset that leads out of the file, or that a read of would take more than `most` bytes."""
    properties = found.get_create_plist()
    layout = properties.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        raise Refused(f"dataset '{where}' is a virtual one, put together from others, expected one of its own")
    if properties.get_external_count():
        raise Refused(f"dataset '{where}' keeps its values in another file, expected them in this one")
    size = max(found.get_type().get_size(), 1)
    if layout == h5py.h5d.CHUNKED:
        chunk = math.prod(properties.get_chunk()) * size
        if chunk > most:
            raise Refused(f"dataset '{where}' claims chunks of {chunk:,} bytes, expected at most {most:,}")
        found.get_num_chunks()
    numbers = found.get_type().get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)
    if numbers and 0 < math.prod(found.shape) * size <= SMALL:
        h5py.Dataset(found)[()]


if __name__ == "__main__":
    main()
