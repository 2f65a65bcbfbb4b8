"""Pickles, whatever the name of the file, as plain data: nothing that they name is imported or called.

So are the arrays of objects that NumPy saves, in `.npy` or alone in `.npz`. `trees` says which containers are read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import apart, foreign, npz, torch_tensors, unpickling
from trpo_gail.experts.formats import trees

NAME = "pickle"

_OBJECTS = re.compile(rb"'descr': *'\|?O")


def holds(path: Path) -> bool:
    """Whether it begins as a pickle does, or is an array of objects."""
    if path.is_dir():
        return False
    with open(path, "rb") as stream:
        start = stream.read(200)
    if start.startswith(npz.MAGIC) and not _is_motion(path):
        return _OBJECTS.search(start) is not None
    if start.startswith(b"PK"):
        return _alone(path) is not None
    return unpickling.is_pickle(start) and not start.startswith(torch_tensors.LEGACY)


def _is_motion(path: Path) -> bool:
    with open(path, "rb") as stream:
        return foreign.motion(stream.read(1 << 16))


def read(path: Path) -> Demonstrations:
    """The demonstrations in it. Raises UserError, which says what is there, if there are none."""
    tree = _tree(path)
    unpickling.check_size(tree, apart.most_bytes(path), str(path))
    held = trees.demonstrations(tree, path)
    if held is None:
        raise UserError(f"{path}: a pickle of {trees.refused(tree, path)}")
    return held


def _tree(path: Path) -> Any:
    if (name := _alone(path)) is not None:
        with npz.reading(path) as archive:
            return archive.whole(name)
    with open(path, "rb") as stream:
        if stream.read(len(npz.MAGIC)) == npz.MAGIC:
            stream.seek(0)
            return npz.Column(stream, str(path), apart.most_bytes(path)).whole()
    return unpickling.load(path)


def _alone(path: Path) -> str | None:
    """The name of the array of objects that is the only one of a NumPy archive."""
    names = npz.names(path)
    if len(names) != 1:
        return None
    try:
        with npz.reading(path) as archive:
            start = archive.start(names[0])
    except UserError:
        return None
    return names[0] if _OBJECTS.search(start) else None
