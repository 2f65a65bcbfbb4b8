"""Adversaries, and a policy from outside the package, are the same on any number of ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from launch import work
from worker_adversaries import meet, train

from trpo_gail.parallel import Workers


def test_ranks_together_are_as_one(tmp_path: Path) -> None:
    """Three ranks hold 1, 2 and 2 of the environments, the last of which has no transition at all.

    And where a convolution is trained against an adversary that sees next states, they hold 1, 1 and 2.
    """
    alone = meet(Workers()) | train(Workers())
    work(tmp_path, 3, "worker_adversaries.py", "out.npz")
    with np.load(tmp_path / "out.npz") as shared:
        assert shared["ranks"] == 3
        for case, expected in alone.items():
            np.testing.assert_allclose(shared[case], expected, rtol=1e-9, atol=1e-12, err_msg=case)
