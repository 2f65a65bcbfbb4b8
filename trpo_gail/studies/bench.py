"""How fast this machine trains, against how fast it steps the same environments.

Rates, in environment steps per second, each measured in a process of its own and in turn, so that a machine whose speed
drifts does not favour one: random actions alone, full training on one core, and both on several ranks, with the work per rank
kept (weak scaling) or, for training, the work in total (strong scaling). Medians and the medians of paired ratios count.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.presets import preset
from trpo_gail.config.tree import Config, PresetName
from trpo_gail.errors import UserError
from trpo_gail.experts import catalogue
from trpo_gail.parallel import Workers, cores
from trpo_gail.studies.launch import ONE_THREAD, mpirun


def bench(
    env: str, expert: str | None, seconds: float, repeats: int, ranks: int, name: PresetName = "default"
) -> dict[str, Any]:
    """Run all measurements; prints nothing. Raises UserError if a file or `mpirun` is missing, or a child fails."""
    path = _demonstrations(env, expert)
    if seconds <= 0 or repeats < 1 or ranks < 1:
        raise UserError(f"--seconds {seconds}, --repeats {repeats}, --ranks {ranks}: each must be more than 0")
    if ranks > len(cores()):
        raise UserError(f"--ranks: {ranks} given, but this process may use {len(cores())} core(s) only")
    one = dataclasses.replace(preset(name, env), expert=path, trajectories=4, subsample=20)
    rates: dict[str, list[float]] = {"random": [], "training": []}
    if ranks > 1:
        rates |= {"random on all": [], "weak": [], "strong": []}
    for _ in range(repeats):
        rates["random"].append(measure("random", one, 1, seconds))
        rates["training"].append(measure("training", one, 1, seconds))
        if ranks > 1:
            rates["random on all"].append(measure("random", _grown(one, ranks), ranks, seconds))
            rates["weak"].append(measure("training", _grown(one, ranks), ranks, seconds))
            rates["strong"].append(measure("training", one, ranks, seconds))
    return _result(env, one, ranks, rates)


def _demonstrations(env: str, expert: str | None) -> str:
    """The file to train on. Raises UserError if there is none."""
    named = Path(expert or f"expert_data/{env.replace('Paper/', 'paper/')}.h5")
    found = named if named.exists() else catalogue.located(expert or env)
    if not found.exists():
        raise UserError(f"--expert: {named} does not exist; bench trains on a file of demonstrations")
    return str(found)


def _result(env: str, one: Config, ranks: int, rates: dict[str, list[float]]) -> dict[str, Any]:
    def ratio(a: str, b: str) -> float:
        return median(x / y for x, y in zip(rates[a], rates[b], strict=True))

    result: dict[str, Any] = {
        "env": env,
        "preset": one.preset,
        "num_envs": one.num_envs,
        "timesteps_per_batch": one.timesteps_per_batch,
        "repeats": len(rates["random"]),
        "random actions, one core, steps/s": median(rates["random"]),
        "training, one core, steps/s": median(rates["training"]),
        "training / random": ratio("training", "random"),
    }
    if ranks > 1:
        result |= {
            "ranks": ranks,
            "random actions on all ranks / one core": ratio(
                "random on all", "random"
            ),  # what the machine itself allows
            "training, weak scaling, steps/s": median(rates["weak"]),
            "weak scaling / one core": ratio("weak", "training"),
            "training, strong scaling, steps/s": median(rates["strong"]),
            "strong scaling / one core": ratio("strong", "training"),
        }
    return result | {"all rates": {name: [round(rate) for rate in values] for name, values in rates.items()}}


def _grown(config: Config, ranks: int) -> Config:
    """The work of one rank on each of several: totals times their number."""
    critic = dataclasses.replace(config.critic, vf_batch_size=config.critic.vf_batch_size * ranks)
    return dataclasses.replace(
        config,
        num_envs=config.num_envs * ranks,
        timesteps_per_batch=config.timesteps_per_batch * ranks,
        critic=critic,
    )


def measure(what: str, config: Config, ranks: int, seconds: float) -> float:
    """One rate, from a fresh process (or `ranks` of them), each on a core of its own."""
    command = [sys.executable, "-m", "trpo_gail.studies.bench", what, str(seconds), json.dumps(to_dict(config))]
    done = subprocess.run([*mpirun(ranks), *command], capture_output=True, text=True, env=os.environ | ONE_THREAD)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"bench: the {what} measurement failed: {said[-1]}")
    return float(done.stdout.strip().splitlines()[-1])


# ---- in the measured process -----------------------------------------------------------------------------------------


def _child(what: str, seconds: float, config: Config) -> None:
    import torch

    workers = Workers.world()
    mine = sorted(cores())
    if hasattr(os, "sched_setaffinity"):  # on Linux
        os.sched_setaffinity(0, {mine[workers.local_rank % len(mine)]})
    torch.set_num_threads(1)
    rate = _random_rate(config, seconds, workers) if what == "random" else _training_rate(config, seconds, workers)
    if workers.main:
        print(rate)


def _random_rate(config: Config, seconds: float, workers: Any) -> float:
    """Of all ranks together; they do not wait for each other but at the start."""
    import numpy as np

    from trpo_gail.runs.evaluate import RandomActor

    num_envs = len(workers.block(config.num_envs))
    env = _environments(config, num_envs)
    observations = env.restart(range(num_envs))
    actor, rng, steps = RandomActor(env.spec.actions), np.random.default_rng(0), 0
    block = rng.random((1024, num_envs, actor.noise_size))
    actions = [actor.act(observations, noise) for noise in block]
    for t in range(64):
        env.step(actions[t])
    workers.gather(None)
    start = time.perf_counter()
    valid = np.ones(num_envs, bool)
    while (passed := time.perf_counter() - start) < seconds:
        for t in range(64):
            _, _, terminated, truncated = env.step(actions[(steps + t) % 1024])
            steps += int(valid.sum())
            valid = ~(terminated | truncated)
    return float(workers.sum(np.array([steps / passed]))[0])


def _training_rate(config: Config, seconds: float, workers: Any) -> float:
    from trpo_gail.algorithm import iteration
    from trpo_gail.build import make_learner
    from trpo_gail.experts.load import load

    expert = load(config.expert or "", config.trajectories, config.subsample)
    env = _environments(config, len(workers.block(config.num_envs)))
    scaling = env.spec.action_scaling
    actions = scaling.normalised(expert.actions) if scaling else expert.actions
    learner = make_learner(config, env, dataclasses.replace(expert, actions=actions).transitions(), workers)
    iteration(learner, config, workers)  # caches and lazy imports
    before, start = learner.progress.steps, time.perf_counter()
    while workers.share((passed := time.perf_counter() - start) < seconds):
        iteration(learner, config, workers)
    return (learner.progress.steps - before) / passed


def _environments(config: Config, num_envs: int) -> Any:
    """As a training has them."""
    from trpo_gail.envs import vector

    return vector.make(config.env, num_envs, **config.env_settings)


if __name__ == "__main__":
    _child(sys.argv[1], float(sys.argv[2]), from_dict(Config, json.loads(sys.argv[3]), "bench"))
