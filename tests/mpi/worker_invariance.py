"""Under mpirun: train each case for three epochs from a fresh policy; rank 0 writes every tensor to an npz file.

usage: python worker_invariance.py OUT.npz CASE...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import Config, PPOConfig
from trpo_gail.envs import vector
from trpo_gail.experts.load import load
from trpo_gail.parallel import Workers

EXPERTS = Path(__file__).parents[2] / "expert_data"
EPOCHS = 3


def config(case: str) -> Config:
    """[paper:]ENVIRONMENT/dtype/steps/envs/mode[/ppo], for instance Hopper-v4/float32/256/8/steps; steps of each one.
    A number in place of ppo is TRPO's g_step."""
    env, dtype, horizon, num_envs, mode, last = (*case.split("/"), "1")[:6]
    name, _, env = env.rpartition(":")
    batch, g_step = int(horizon) * int(num_envs), int(last) if last.isdecimal() else 1
    made = preset(
        name or "default", env,  # type: ignore[arg-type]
        dtype=dtype, timesteps_per_batch=batch, num_envs=int(num_envs), sampling=mode, g_step=g_step, expert="any",
    )  # fmt: skip
    if last.isdecimal():
        return made
    # With the options that add anything up over ranks, and stopped early in one of the first epochs.
    options = PPOConfig(batch_size=32, normalise_advantages="minibatch", recompute_advantages=True, target_kl=0.003)
    return changed(made, {"generator": "ppo", "ppo": options})


def tensors(prefix: str, state: Any) -> dict[str, np.ndarray]:
    """A nest of dictionaries and tensors as flat names and arrays."""
    if isinstance(state, dict):
        return {k: v for name, value in state.items() for k, v in tensors(f"{prefix}.{name}", value).items()}
    return {prefix: np.asarray(state)}


def run(case: str, workers: Workers) -> dict[str, np.ndarray]:
    """Names begin with the case."""
    cfg = config(case)
    torch.set_num_threads(workers.threads())
    env = vector.make(cfg.env, len(workers.block(cfg.num_envs)), "auto")
    expert = load(EXPERTS / f"{cfg.env}.h5", 4, 20)
    learner = make_learner(cfg, env, expert.transitions(), workers)
    for _ in range(EPOCHS):
        row = iteration(learner, cfg, workers)
    env.close()
    networks = {
        "policy": learner.policy.state_dict(),
        "critic": learner.critic.state_dict()["network"],
        "discriminator": learner.adversary.state_dict()["network"],
        "row": {name: value for name, value in row.items() if not name.endswith("_s") and value is not None},
    }
    return tensors(case, networks)


def main() -> None:
    """All cases in one start."""
    workers = Workers.world()
    found: dict[str, np.ndarray] = {}
    for case in sys.argv[2:]:
        found |= run(case, workers)
    if workers.main:
        np.savez(sys.argv[1], allow_pickle=False, ranks=workers.size, **found)


if __name__ == "__main__":
    main()
