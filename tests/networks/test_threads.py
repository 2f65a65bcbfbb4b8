"""How many threads torch's products get: one for small networks, all that there are for large ones and images."""

from __future__ import annotations

import pytest
from torch import nn

from trpo_gail.networks.threads import that_pay


@pytest.mark.parametrize(
    ("net", "threads"),
    [
        (nn.Sequential(nn.Linear(376, 100), nn.Tanh(), nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 17)), 1),
        (nn.Sequential(nn.Linear(17, 512), nn.Tanh(), nn.Linear(512, 512), nn.Tanh(), nn.Linear(512, 6)), 4),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2)), 4),
    ],
)
def test_small_networks_get_one(net: nn.Module, threads: int) -> None:
    assert that_pay(net, 4) == threads
    assert that_pay(net, 1) == 1
