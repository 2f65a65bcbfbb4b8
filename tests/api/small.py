"""Models small enough for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from trpo_gail import GAIL

EXPERT = Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5"
CARTPOLE: dict[str, Any] = {
    "num_envs": 4,
    "timesteps_per_batch": 256,
    "backend": "gymnasium",
    "vf_iters": 2,
    "d_step": 4,
}


def gail(**more: Any) -> GAIL:
    """A GAIL of CartPole."""
    return GAIL("MlpPolicy", more.pop("env", "CartPole-v0"), more.pop("expert", EXPERT), **CARTPOLE | more)


def differing(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two states differ, to the last bit; times do not count."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), path
        return [d for key in ours for d in differing(ours[key], theirs[key], f"{path}/{key}")]
    if isinstance(ours, (list, tuple)):
        return [d for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) for d in differing(a, b, f"{path}/{i}")]
    if path.endswith("_s"):
        return []
    if isinstance(ours, torch.Tensor):
        return [] if torch.equal(ours, theirs) else [path]
    if isinstance(ours, np.ndarray):
        return [] if np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f") else [path]
    return [] if ours == theirs else [path]
