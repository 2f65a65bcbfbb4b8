"""Stable-Baselines' part of what the programs with its algorithms do: environments, models, one timed update."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np
from common import UPDATES, Job
from sb3_contrib import TRPO
from sb3_contrib.trpo import trpo as module
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
from torch import nn


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


def timed_update(job: Job) -> dict[str, Any]:
    """Median milliseconds of TRPO's policy update alone, on `rows` rows that the policy itself has sampled. They and the
    actor are kept in the job's file. The first update is not counted."""
    envs = environments(job)
    trpo = TRPO(
        "MlpPolicy", envs, n_steps=job.rows // job.num_envs, batch_size=job.rows, n_critic_updates=0, cg_max_steps=10,
        device="cpu", seed=job.seed,
        policy_kwargs={"net_arch": {"pi": [job.units] * 2, "vf": [job.units] * 2}, "activation_fn": nn.Tanh},
    )  # fmt: skip
    before = {name: value.clone() for name, value in trpo.policy.state_dict().items()}
    trpo.learn(job.rows)  # one batch, and one update of it
    trpo.policy.load_state_dict(before)
    _keep(trpo, job.rows_file)
    times, found = [], _counted(trpo)
    for _ in range(UPDATES):
        trpo.policy.load_state_dict(before)
        start = time.perf_counter()
        trpo.train()
        times.append(time.perf_counter() - start)
    envs.close()
    return {"update_ms": 1e3 * median(times), "rows": len(trpo.rollout_buffer.observations), **found}


def _keep(trpo: TRPO, path: str) -> None:
    """The rows of the last batch, and the actor's parameters in its own order."""
    buffer = trpo.rollout_buffer
    advantages = buffer.advantages.reshape(-1)
    np.savez(
        path,
        observations=buffer.observations.astype(np.float32),
        actions=buffer.actions.astype(np.float32),
        advantages=((advantages - advantages.mean()) / (advantages.std() + 1e-8)).astype(np.float32),
        actor=np.concatenate([
            value.detach().numpy().reshape(-1) for name, value in trpo.policy.named_parameters() if "value" not in name
        ]),
    )  # fmt: skip


def _counted(trpo: TRPO) -> dict[str, Any]:
    """What an update takes: Fisher-vector products, and lengths that the line search refused. It asks for the KL once before,
    and once for each length."""
    calls = {"products": 0, "lengths": -1}
    product, kl = trpo.hessian_vector_product, module.kl_divergence

    def counted(name: str, call: Any) -> Any:
        def one(*arguments: Any, **more: Any) -> Any:
            calls[name] += 1
            return call(*arguments, **more)

        return one

    trpo.hessian_vector_product, module.kl_divergence = counted("products", product), counted("lengths", kl)
    try:
        trpo.train()
    finally:
        trpo.hessian_vector_product, module.kl_divergence = product, kl
    said = trpo.logger.name_to_value
    accepted = float(said["train/is_line_search_success"])
    backtracks = calls["lengths"] - accepted
    return {
        "products": calls["products"], "backtracks": backtracks, "step_accepted": accepted,
        "kl": float(said["train/kl_divergence_loss"]),
    }  # fmt: skip
