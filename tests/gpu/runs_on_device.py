"""Short trainings on a device, and what they leave behind as numpy arrays. Shared by the tests and by a worker script."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
import toys  # registers Walk-v0

from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import Config, CriticConfig, DiscriminatorConfig, PPOConfig
from trpo_gail.envs import vector
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.records import Record
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec

# Flags of a case over the default preset; `preset` and `env` are keywords of their own.
CASES: dict[str, dict[str, Any]] = {
    "trpo": {},
    "discrete": {"env": "CartPole-v1"},
    "ppo": {"generator": "ppo", "ppo": PPOConfig(normalise_advantages="minibatch", recompute_advantages=True)},
    "fem": {"adversary": "fem"},
    "gtal": {"adversary": "gtal"},
    "entropy": {"causal_entcoeff": 0.01},
    "airl": {"adversary": "airl"},
    "by autograd": {"discriminator": DiscriminatorConfig(spectral_norm=True, dropout=0.1, label_smoothing=0.1)},
    "replay": {"discriminator": DiscriminatorConfig(replay_iterations=2, mixup=0.5, reward_normalise="standardise")},
    "natural critic": {"critic": CriticConfig(fit="natural-gradient")},
    "paper": {"preset": "paper", "timesteps_per_batch": 512},
    "stable-baselines": {"preset": "stable-baselines"},
}
WALK = f"{toys.__name__}:Walk-v0"


def config(case: str, device: str, dtype: str) -> Config:
    """A small task with small batches."""
    flags: dict[str, Any] = {
        "num_envs": 4,
        "timesteps_per_batch": 256,
        "device": device,
        "dtype": dtype,
        "expert": "any",
    }
    flags |= CASES[case]
    base = preset(flags.pop("preset", "default"), flags.pop("env", WALK))
    return changed(base, flags)


def demonstrations(spec: EnvSpec) -> Transitions:
    """Random pairs: what is learned does not matter here."""
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((64, spec.observation_size)).astype(np.float32)
    actions = (
        rng.integers(0, spec.action_size, 64) if spec.actions.whole else rng.standard_normal((64, spec.action_size))
    )
    made = toys.pairs(observations, actions if spec.actions.whole else actions.astype(np.float32))
    return dataclasses.replace(made, successors=lambda: np.roll(observations, -1, 0))


def learner(cfg: Config, workers: Workers | None = None) -> Learner:
    workers = workers or Workers()
    env = vector.make(cfg.env, len(workers.block(cfg.num_envs)), "gymnasium")
    return make_learner(cfg, env, demonstrations(env.spec), workers)


def train(made: Learner, cfg: Config, epochs: int, workers: Workers | None = None) -> Record:
    """The last iteration's row, without the seconds."""
    for _ in range(epochs):
        row = iteration(made, cfg, workers or Workers())
    return {name: value for name, value in row.items() if not name.endswith("_s")}


def arrays(state: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """A nest of dictionaries, lists, tensors and numbers as flat names and arrays."""
    if isinstance(state, dict | list):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {k: v for name, value in items for k, v in arrays(value, f"{prefix}.{name}").items()}
    if isinstance(state, torch.Tensor):
        state = state.detach().cpu().numpy()
    return {} if state is None or isinstance(state, str) else {prefix: np.asarray(state)}


def learned(made: Learner) -> dict[str, np.ndarray]:
    """Everything that a checkpoint holds, but for the seconds."""
    return {name: value for name, value in arrays(made.state_dict()).items() if not name.endswith("_s")}
