"""What runs in a measured process, which may be one of several ranks: python -m trpo_gail.bench.child JOB.

Rank 0 prints what it found as its last line, in JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from trpo_gail.bench.collectives import TimedWorkers, spent
from trpo_gail.bench.jobs import MARK
from trpo_gail.bench.resident import resident
from trpo_gail.config.files import from_dict
from trpo_gail.config.tree import Config
from trpo_gail.parallel import Workers
from trpo_gail.system.cores import cores
from trpo_gail.system.launcher import speaks
from trpo_gail.system.memory import share_one_heap

Found = dict[str, Any]
BLOCK = 64  # steps between two looks at the clock, if they are fast
LOOK_S = 0.02  # the least between two looks
DRAWN = 1024  # steps of random actions, which are drawn before the clock starts
SUMS = {1: 200, 1 << 10: 200, 1 << 14: 60, 1 << 17: 20}  # how many, by the numbers in a message


def main(job: Found) -> None:
    """Do a job, and print."""
    share_one_heap()  # as the command line does
    import torch

    workers = TimedWorkers.world()
    assert isinstance(workers, TimedWorkers)
    mine = sorted(cores())
    if hasattr(os, "sched_setaffinity"):  # on Linux
        os.sched_setaffinity(0, {mine[workers.local_rank % len(mine)]})
    torch.set_num_threads(1)
    config = from_dict(Config, job["config"], "bench")
    if job["what"] == "raw":
        found = raw(config, job["seconds"], workers)
    elif job["what"] == "messages":
        found = messages(workers)
    else:
        found = training(config, job["seconds"], job["iterations"], workers)
    if workers.main:
        print(f"\n{MARK}{json.dumps(found)}", flush=True)


def end_with(process: int, look_s: float = 1.0) -> None:
    """End this process, and so all ranks, when the one that measures is gone: it may be killed."""

    def wait() -> None:
        while _is_there(process):
            time.sleep(look_s)
        os._exit(1)

    if _is_there(process):  # else this rank is on another host
        threading.Thread(target=wait, daemon=True).start()


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def raw(config: Config, seconds: float, workers: Workers) -> Found:
    """Steps a second of all ranks together, by random actions in the environment's own units; they do not wait for each
    other but at the start."""
    from trpo_gail.envs import vector
    from trpo_gail.runs.evaluate import RandomActor

    num_envs = len(workers.block(config.num_envs))
    env = vector.make(config.env, num_envs, config.backend, **{**config.env_settings, "scale": False})
    observations = env.restart(range(num_envs))
    actor, rng, steps = RandomActor(env.spec.actions), np.random.default_rng(0), 0
    actions = [actor.act(observations, noise) for noise in rng.random((DRAWN, num_envs, actor.noise_size))]
    block = _warm(lambda t: env.step(actions[t]), seconds)
    workers.gather(None)
    start, rows = time.perf_counter(), 0
    valid = np.ones(num_envs, bool)
    while (passed := time.perf_counter() - start) < seconds or not rows:
        for t in range(rows, rows + block):
            _, _, terminated, truncated = env.step(actions[t % DRAWN])
            steps += int(valid.sum())
            valid = ~(terminated | truncated)
        rows += block
    env.close()
    return {"steps_s": float(workers.sum(np.array([steps / passed]))[0])}


def _warm(step: Callable[[int], Any], seconds: float) -> int:
    """Step until the simulator is warm, `seconds` at most if it is slow; how many steps to take between two looks at the
    clock."""
    start = time.perf_counter()
    for t in range(BLOCK):
        step(t)
        if (passed := time.perf_counter() - start) > seconds:
            break
    return max(1, min(BLOCK, round(LOOK_S * (t + 1) / passed)))


def training(config: Config, seconds: float, iterations: int, workers: TimedWorkers) -> Found:
    """Train by the loop of `trpo-gail train`, for so many seconds and iterations at least, after one iteration that is not
    counted (caches and lazy imports). Nothing is evaluated or written."""
    from trpo_gail.algorithm import train
    from trpo_gail.build import make_learner
    from trpo_gail.runs.preparing import prepare

    _, expert, env = prepare(config, None, workers, _random_demonstrations(config))
    learner = make_learner(config, env, None if expert is None else expert.transitions(), workers)
    at_start, aside = resident(), Workers.world()  # whose collectives are not noted
    train(learner, config, workers, lambda row: "warm")
    workers.forget()
    workers.pulse.take_seconds()
    wall: dict[str, float] = defaultdict(float)
    before, done = learner.progress.steps, 0
    aside.gather(None)
    start = time.perf_counter()

    def after(row: Any) -> str | None:
        nonlocal done
        done += 1
        for name, value in row.items():
            if name.endswith("_s"):
                wall[name[:-2]] += value or 0.0
        enough = done >= iterations and time.perf_counter() - start >= seconds
        return "enough" if aside.share(enough) else None

    train(learner, config, workers, after)
    passed = time.perf_counter() - start
    env.close()
    times = aside.gather(workers.times)
    mine = {
        "wall_s": dict(wall),
        "own_s": workers.pulse.take_seconds(),
        "resident_mib": resident(),
        "at_start_mib": at_start,
        **dataclasses.asdict(spent(times, workers.rank, workers.summed_bytes)),
    }
    steps = learner.progress.steps - before
    return {
        "steps": steps,
        "seconds": passed,
        "steps_s": steps / passed,
        "iterations": done,
        "ranks": aside.gather(mine),
    }


def _random_demonstrations(config: Config) -> Any:
    """Four episodes of random actions, if the run needs demonstrations and no file is given: how good they are changes
    nothing in the work."""
    if config.expert is not None or not config.imitates:
        return None
    from trpo_gail.envs import vector
    from trpo_gail.runs.evaluate import RandomActor
    from trpo_gail.runs.record import episodes_of

    env = vector.make(config.env, 4, config.backend, **{**config.env_settings, "scale": False})
    try:
        return episodes_of(
            env, RandomActor(env.spec.actions), 4, seed=0, deterministic=False, action_view="executed",
            policy="random actions",
        )  # fmt: skip
    finally:
        env.close()


def messages(workers: Workers) -> Found:
    """Median microseconds of a sum over ranks, by its size in bytes."""
    found = []
    for size, count in SUMS.items():
        values, times = np.zeros(size), list[float]()
        for _ in range(count):
            start = time.perf_counter()
            workers.sum(values)
            times.append(time.perf_counter() - start)
        found.append({"bytes": 8 * size, "us": 1e6 * float(np.median(times[count // 10 :]))})
    return {"messages": found}


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if speaks():
        end_with(given["by"])
    main(given)
