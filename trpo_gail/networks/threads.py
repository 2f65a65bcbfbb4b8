"""How many threads torch's products get."""

from __future__ import annotations

from torch import nn

# To wake a thread costs more than it saves in a small product. On two cores, with the default networks (100 x 100) and
# one rank, Hopper-v4 trained at 7,000 steps a second with one thread and at 5,500 with two, CartPole-v1 at 15,500 and
# 8,400; on a busy machine they were ten times apart.
LARGE = 100_000  # weights


def that_pay(net: nn.Module, most: int) -> int:
    """One for a small network; all of them for a large one, or for one with convolutions."""
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    if any(isinstance(part, convolutions) for part in net.modules()):
        return most
    return most if sum(p.numel() for p in net.parameters()) >= LARGE else 1
