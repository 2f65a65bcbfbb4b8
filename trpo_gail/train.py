"""Algorithm 1 of Ho & Ermon (2016), in the order of their code: policy first, on the previous discriminator."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from trpo_gail.config import Config
from trpo_gail.learner import Learner
from trpo_gail.networks.normaliser import sums
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Batch
from trpo_gail.sampling.rollout import Episodes, Rollout
from trpo_gail.seeding import MINIBATCH, generator

Row = dict[str, float | int | None]


class Clock:
    """Seconds per phase of one iteration, on this rank."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[f"{phase}_s"] += time.perf_counter() - start


def epoch(learner: Learner, config: Config, workers: Workers) -> Row:
    """g_step generator steps, each on a fresh batch, then d_step discriminator updates on all their rows."""
    progress, clock, rollouts, steps = learner.progress, Clock(), [], []
    rng = generator(config.seed, MINIBATCH, progress.iteration)
    learner.sampler.begin_epoch(progress.iteration)

    for _ in range(config.g_step):
        with clock("sample"):
            rollout, episodes = learner.sampler.collect(learner.policy.actor())  # tau ~ pi_theta
        with clock("reward"):
            reward = learner.adversary.reward(rollout)  # r(s, a) from D_w, frozen while it is sampled
            batch = learner.critic.batch(rollout, reward)  # A by GAE(gamma, lambda)
        with clock("generator"):
            generator_stats = learner.generator.step(batch)  # theta -> theta'
        with clock("critic"):
            critic_stats = learner.critic.fit(batch, rng)
        # Only now: before the step the ratio is 1 and the KL 0, whatever the statistics.
        learner.policy.normaliser.add(workers.sum_tensor(sums(batch.observations)))
        rollouts.append(rollout)
        sampling_stats = _sampling_stats(learner, rollout, episodes, reward, batch, workers)
        steps.append({**sampling_stats, **generator_stats, **critic_stats})

    with clock("adversary"):
        adversary_stats = learner.adversary.fit(rollouts, rng)  # w -> w'

    progress.iteration += 1
    progress.wall_s += sum(clock.seconds.values())
    counters: Row = {
        "iteration": progress.iteration,
        "steps": progress.steps,
        "episodes": progress.episodes,
        "idle_rows": progress.idle_rows,
        "cut_episodes": progress.cut_episodes,
    }
    return {**counters, **_mean(steps), **adversary_stats, **clock.seconds}


def _sampling_stats(
    learner: Learner, rollout: Rollout, episodes: Episodes, reward: np.ndarray, batch: Batch, workers: Workers
) -> Row:
    """Count rows and episodes over all ranks; true returns and lengths of the episodes that finished, None without."""
    returns, rows = episodes.returns, rollout.valid.size
    local = [len(returns), returns.sum(), (returns**2).sum(), episodes.lengths.sum(), rows, reward.sum()]
    n, total, square, length, rows, paid = workers.sum(np.array([*local], np.float64))
    progress = learner.progress
    progress.steps += batch.rows.total
    progress.idle_rows += int(rows) - batch.rows.total
    progress.episodes += int(n)
    progress.cut_episodes = int(workers.sum(np.array([learner.sampler.cut_episodes]))[0])
    mean = total / n if n else None
    return {
        "return_mean": mean,
        "return_std": float(np.sqrt(max(square / n - mean**2, 0.0))) if mean is not None else None,
        "length_mean": length / n if n else None,
        "reward_mean": paid / batch.rows.total,
    }


def _mean(rows: list[Row]) -> Row:
    """Mean of each column over the generator steps of an epoch, over those that have it."""
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in rows[0]}
    return {name: float(np.mean(values)) if values else None for name, values in columns.items()}  # type: ignore[arg-type]


def train(learner: Learner, config: Config, workers: Workers, after: Callable[[Row], str | None]) -> str:
    """Iterate until the steps are done or `after`, called with each iteration's row, gives a reason to stop."""
    while learner.progress.steps < config.steps:
        reason = after(epoch(learner, config, workers))
        if reason:
            return reason
    return "steps"
