"""The worst linear reward, and the shift of what it pays, are of all ranks' rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from launch import work
from worker_apprenticeship import meet

from trpo_gail.parallel import Workers


def test_ranks_together_pay_as_one(tmp_path: Path) -> None:
    """Three ranks hold 1, 2 and 2 of the environments, the last of which has no transition at all."""
    alone = meet(Workers())
    work(tmp_path, 3, "worker_apprenticeship.py", "out.npz")
    with np.load(tmp_path / "out.npz") as shared:
        assert shared["ranks"] == 3
        for case, expected in alone.items():
            np.testing.assert_allclose(shared[case], expected, rtol=1e-9, atol=1e-12, err_msg=case)
