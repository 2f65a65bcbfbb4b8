"""Stable-Baselines' part of what the programs with its algorithms do: environments, models, one timed update."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from common import Job
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
from torch import nn

UPDATES = 5  # that are timed


def environments(job: Job) -> Any:
    """In this process with one core; with more, each in a process of its own."""
    kind = DummyVecEnv if job.cores == 1 else SubprocVecEnv
    return make_vec_env(job.env, job.num_envs, seed=job.seed, vec_env_cls=kind)


def model(job: Job, envs: Any, generator: str) -> Any:
    """TRPO or PPO with the job's network and numbers; what these leave open is the library's default."""
    common: dict[str, Any] = {
        "n_steps": job.batch // job.num_envs, "batch_size": job.vf_batch, "gamma": job.gamma, "gae_lambda": job.lam,
        "seed": job.seed, "device": "cpu",
        "policy_kwargs": {"net_arch": {"pi": [job.units] * 2, "vf": [job.units] * 2}, "activation_fn": nn.Tanh},
    }  # fmt: skip
    if generator == "ppo":
        return PPO("MlpPolicy", envs, n_epochs=job.vf_iters, **common)
    return TRPO("MlpPolicy", envs, cg_max_steps=10, cg_damping=0.1, n_critic_updates=job.vf_iters, **common)


def act_of(model_: Any) -> Any:
    """The deterministic policy."""
    return lambda observation: model_.predict(observation, deterministic=True)[0]


def milliseconds_of_update(job: Job) -> float:
    """Median of the time of TRPO's policy update alone, on `rows` rows that the policy itself has sampled."""
    envs = environments(job)
    trpo = TRPO(
        "MlpPolicy", envs, n_steps=job.rows // job.num_envs, batch_size=job.rows, n_critic_updates=0, cg_max_steps=10,
        device="cpu", seed=job.seed,
        policy_kwargs={"net_arch": {"pi": [job.units] * 2, "vf": [job.units] * 2}, "activation_fn": nn.Tanh},
    )  # fmt: skip
    before = {name: value.clone() for name, value in trpo.policy.state_dict().items()}
    trpo.learn(job.rows)  # one batch, and one update of it
    times = []
    for _ in range(UPDATES):
        trpo.policy.load_state_dict(before)
        start = time.perf_counter()
        trpo.train()
        times.append(time.perf_counter() - start)
    envs.close()
    return 1e3 * median(times)
