"""Files of PyTorch (`.pt`, `.pth`) that hold demonstrations: Kostrikov's padded `states`, `actions`, `rewards` and `lengths`;
flat buffers of `state`, `action`, `reward`, `next_state` and `done`; and whatever else `trees` reads.

PyTorch itself does not open them (`torch_tensors`), and nothing in them is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import apart, torch_tensors, unpickling
from trpo_gail.experts.formats import trees

NAME = "PyTorch"

_CHECKPOINT = {"format", "iteration", "config", "spec", "learner"}  # what `runs.checkpoint` writes


def holds(path: Path) -> bool:
    """Whether it is a file of tensors that PyTorch wrote."""
    return not path.is_dir() and (torch_tensors.is_legacy(path) or torch_tensors.is_archive(path))


def read(path: Path) -> Demonstrations:
    """The demonstrations in it. Raises UserError, which says what is there, if there are none."""
    tree = torch_tensors.load(path)
    unpickling.check_size(tree, apart.most_bytes(path), str(path))
    if isinstance(tree, Mapping) and tree.keys() >= _CHECKPOINT:
        raise UserError(
            f"{path}: a checkpoint of trpo_gail, expected demonstrations; record some with: trpo-gail record ENV "
            "--policy RUN --episodes N --out FILE.h5"
        )
    held = trees.demonstrations(tree, path)
    if held is None:
        raise UserError(f"{path}: {torch_tensors.CALLED} with {trees.refused(tree, path)}")
    return held
