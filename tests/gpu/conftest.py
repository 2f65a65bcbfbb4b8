"""Tests of the device: skipped, with the reason, on machines that have none.

TRPO_GAIL_TEST_DEVICE=cpu runs them without one, device against itself, to see that they are sound.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "mpi"))  # launch starts ranks here, too

DEVICE = os.environ.get("TRPO_GAIL_TEST_DEVICE", "cuda")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if DEVICE == "cuda" and not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


@pytest.fixture
def device() -> str:
    return DEVICE
