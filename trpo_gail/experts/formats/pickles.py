"""Pickles, whatever the name of the file, as plain data: nothing that they name is imported or called.

`trees` says which containers are read.
"""

from __future__ import annotations

from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.experts import apart, torch_tensors, unpickling
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import trees

NAME = "pickle"


def holds(path: Path) -> bool:
    """Whether it begins as a pickle does."""
    if path.is_dir():
        return False
    with open(path, "rb") as stream:
        start = stream.read(200)
    return unpickling.is_pickle(start) and not start.startswith(torch_tensors.LEGACY)


def read(path: Path) -> Demonstrations:
    """The demonstrations in it. Raises UserError, which says what is there, if there are none."""
    tree = unpickling.load(path)
    unpickling.check_size(tree, apart.most_bytes(path), str(path))
    held = trees.demonstrations(tree, path)
    if held is None:
        raise UserError(f"{path}: a pickle of {trees.refused(tree, path)}")
    return held
