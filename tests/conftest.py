"""What every test starts from: one thread, and generators of its own."""

from __future__ import annotations

import signal

import numpy as np
import pictures
import pytest
import torch

# Whoever starts the tests in the background may have made them deaf to these, and so would be the programs they start.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


# The folders whose tests are of pictures. Elsewhere, where each run draws its learning curve, they stay blank.
PAINTED = ("bench", "comparison", "reports", "reproduction", "studies")


@pytest.fixture(autouse=True)
def _blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.parent.name not in PAINTED:
        pictures.blank_from_here(monkeypatch)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def torch_rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)
