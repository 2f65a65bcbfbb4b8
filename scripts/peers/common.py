"""What the peers' programs share: their job, a clock that stops for evaluations, and how they report.

Needs numpy and gymnasium only, since it runs in the peers' own environments.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

UPDATES = 5  # that are timed
Act = Callable[[np.ndarray], np.ndarray]  # a deterministic policy: one observation [O] -> one action


@dataclass(frozen=True)
class Job:
    """What to train, and for how long. `cores` 1: all in one process; 2: environments in processes of their own, and torch
    with so many `threads`."""

    kind: str  # the algorithm
    env: str
    pairs: str  # an .npz file with observations [M, O] and actions [M, A]
    seed: int
    cores: int
    threads: int
    seconds: float  # of training, evaluations left out
    bar: float | None  # stop at this return; None only measures the rate
    eval_every: int  # steps
    eval_episodes: int
    num_envs: int
    batch: int  # steps between two updates, over all environments
    d_step: int
    d_batch: int  # expert rows of a discriminator update
    vf_iters: int
    vf_batch: int
    gamma: float
    lam: float
    units: int  # of both hidden layers of policy and critic
    d_units: int
    rows: int = 0  # of the update that is timed
    rows_file: str = (
        ""  # an .npz file of these rows, and of the actor that they are sampled by: theirs writes, ours reads
    )

    @classmethod
    def given(cls) -> Job:
        """From the command line."""
        return cls(**json.loads(sys.argv[1]))

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The expert's observations and actions."""
        with np.load(self.pairs) as file:
            return file["observations"], file["actions"]


class Done(Exception):
    """The time is over, or the bar is reached."""


def settle(cores: int, threads: int) -> None:
    """As many cores and torch threads as a job has."""
    import torch

    warnings.simplefilter("ignore")
    mine = sorted(os.sched_getaffinity(0))[:cores]
    os.sched_setaffinity(0, set(mine))
    torch.set_num_threads(threads)


@dataclass
class Watch:
    """Counts steps and seconds of training. The first batch is not counted in the rate: it loads and compiles."""

    job: Job
    act: Act
    seconds: float = 0.0
    steps: int = 0
    evaluations: list[dict[str, float]] = field(default_factory=list)
    _first: tuple[int, float] | None = None
    _since: float = field(default_factory=lambda: time.perf_counter())

    def batch(self, steps: int) -> None:
        """So many steps in all are done and learned from. Raises Done."""
        self.seconds += time.perf_counter() - self._since
        self.steps = steps
        if self._first is None:
            self._first = steps, self.seconds
        reached = self._evaluate() if self._due() else False
        if reached or (self.seconds >= self.job.seconds and steps > self._first[0]):
            raise Done
        self._since = time.perf_counter()

    def _due(self) -> bool:
        last = self.evaluations[-1]["steps"] if self.evaluations else 0
        return self.job.bar is not None and self.steps - last >= self.job.eval_every

    def _evaluate(self) -> bool:
        returned = evaluate(self.act, self.job.env, self.job.eval_episodes)
        self.evaluations.append({"steps": self.steps, "seconds": self.seconds, "return": returned})
        return self.job.bar is not None and returned >= self.job.bar

    def report(self) -> None:
        """Print what was found, as the last line."""
        steps, seconds = self._first or (0, 0.0)
        more, taken = self.steps - steps, self.seconds - seconds
        found: dict[str, Any] = {"steps": self.steps, "seconds": self.seconds, "evaluations": self.evaluations}
        found["steps_s"] = more / taken if taken > 0 else None
        reached = [e for e in self.evaluations if self.job.bar is not None and e["return"] >= self.job.bar]
        found["to_expert_s"] = reached[0]["seconds"] if reached else None
        found["to_expert_steps"] = reached[0]["steps"] if reached else None
        print(json.dumps(found))


def evaluate(act: Act, env_id: str, episodes: int) -> float:
    """Mean return of whole episodes, from starts that are the same for all."""
    env, returns = gymnasium.make(env_id), []
    for number in range(episodes):
        observation, _ = env.reset(seed=1_000_000 + number)
        over, total = False, 0.0
        while not over:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            total += float(reward)
            over = terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns))
