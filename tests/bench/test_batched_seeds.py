"""scripts/batched_seeds.py times the same work twice: run by run, and batched."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import batched_seeds

from trpo_gail.optim.adam import Adam


def test_both_give_the_same() -> None:
    parts = batched_seeds.pairs(3)  # which compares the parameters after some steps
    for name in ("a product of it", "actions"):
        mine, theirs = (compute() for compute in parts[name])
        assert isinstance(mine, list) and len(mine) == 3
        np.testing.assert_allclose(np.array([np.asarray(x) for x in mine]), np.asarray(theirs), rtol=1e-4, atol=1e-5)


def test_a_difference_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_seeds, "STEPSIZE", 0.0)
    monkeypatch.setattr(batched_seeds, "Adam", lambda vector, stepsize: Adam(vector, 1e-2))
    with pytest.raises(AssertionError, match="close"):
        batched_seeds.pairs(2)
