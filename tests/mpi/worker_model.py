"""Under mpirun: rank 1 hangs in what a model is asked to do, or in a command that is not `train`.

usage: python worker_model.py learn|evaluate|callback|command|clone SECONDS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import faulty_envs  # noqa: F401

from trpo_gail import TRPO
from trpo_gail.cli import main
from trpo_gail.parallel import Workers

ENV = "faulty_envs:FaultyCartPole-v0"
EXPERT = Path(__file__).parents[2] / "expert_data" / "CartPole-v1.h5"


def hang() -> None:
    Path("trigger").write_text("1 hang")


def hang_after_one(model: TRPO, record: Any) -> None:
    hang()


def never_come_back(model: TRPO, record: Any) -> None:
    if model.workers.rank == 1:
        time.sleep(3600.0)


def run(what: str, limit: float) -> None:
    for method in ("guarded", "watched"):  # their limit is ten minutes where nobody sets another
        getattr(Workers, method).__wrapped__.__defaults__ = (limit,)
    kwargs = '{"trigger": "trigger"}'
    if what == "clone":
        hang()
        main(["clone", ENV, "--expert", str(EXPERT), "--env_kwargs", kwargs, "--iterations", "50", "--out", "run"])
        return
    if what == "command":
        small = ["--num_envs", "2", "--timesteps_per_batch", "64", "--eval_every", "0", "--final_episodes", "0"]
        train = ["train", ENV, "--adversary", "env_reward", "--env_kwargs", kwargs, "--iterations", "1", *small]
        assert main([*train, "--out", "run", "--quiet"]) == 0
        hang()
        main(["evaluate", "run", "--episodes", "4"])
        return
    model = TRPO("MlpPolicy", ENV, num_envs=2, timesteps_per_batch=64, env_kwargs={"trigger": "trigger"})
    if what == "evaluate":
        hang()
        model.evaluate(4)
    else:
        model.learn(10_000, callback=hang_after_one if what == "learn" else never_come_back, rank_timeout=limit)


run(sys.argv[1], float(sys.argv[2]))
