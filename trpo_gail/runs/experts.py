"""Whose episodes may be recorded: a policy file, a run folder, or the greedy expert of a task."""

from __future__ import annotations

from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.experts import greedy, paper_policy
from trpo_gail.runs.evaluate import load_policy
from trpo_gail.sampling.rollout import Actor


def load_actor(path: str | Path, env_id: str) -> Actor:
    """The policy at `path`: a policy file of the paper, with `:iter0000500` for a snapshot, or a run folder; or `greedy`.

    Raises UserError if it is none of these, or the environment has no greedy expert.
    """
    if str(path) == greedy.NAME:
        return greedy.greedy(env_id)
    if Path(path).is_dir():
        return load_policy(path)
    if not Path(path).exists() and ".h5" not in Path(path).name:
        raise UserError(f"{path}: no such file or folder, expected a run folder or a policy file (HDF5)")
    return paper_policy.load_policy(path)
