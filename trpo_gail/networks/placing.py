"""How a network is set up: its random stream, its device, and equal numbers on every rank."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from trpo_gail.parallel import Workers
from trpo_gail.seeding import INITIAL, stream_seed

M = TypeVar("M", bound=nn.Module)


def initial(seed: int, which: int) -> torch.Generator:
    """The stream of the first weights of the policy (0), the critic (1) or the adversary (2), or of the first directions
    of its spectral norms (3)."""
    return torch.Generator().manual_seed(stream_seed(seed, INITIAL, which))


def place(module: M, device: torch.device, dtype: torch.dtype) -> M:
    """Move a module to a device and a dtype; statistics, which are float64, stay so."""
    statistics = {name: buffer.clone() for name, buffer in module.named_buffers() if buffer.dtype == torch.float64}
    module.to(device=device, dtype=dtype)
    for name, buffer in module.named_buffers():
        if name in statistics:
            buffer.data = statistics[name].to(device)
    return module


def share(workers: Workers, *modules: nn.Module) -> None:
    """Copy rank 0's parameters and buffers to all ranks. A collective."""
    for module in modules:
        for tensor in module.state_dict().values():
            workers.share_tensor(tensor)
