"""Algorithm 1 of Ho & Ermon (2016), in the order of their code: the policy steps first, on the previous
discriminator."""

from __future__ import annotations

import copy
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from trpo_gail import finite, success
from trpo_gail.config.tree import Config
from trpo_gail.errors import RunError
from trpo_gail.finite import NotFinite, checked, likely_cause
from trpo_gail.learner import Learner, Progress
from trpo_gail.parallel import Workers
from trpo_gail.records import SUCCESS, Record
from trpo_gail.sampling import transitions
from trpo_gail.sampling.batch import Batch, Rows, number_rows
from trpo_gail.sampling.rollout import Episodes, GivenUp, Rollout
from trpo_gail.sampling.transitions import Transitions, to_rollout
from trpo_gail.schedules import RunLength
from trpo_gail.scores import rank_correlation
from trpo_gail.seeding import MINIBATCH, stream
from trpo_gail.system import torch_settings
from trpo_gail.system.memory import give_back_pages

# A phase that takes longer leaves many free pages; next to it, the milliseconds to give them back are few.
LONG_S = 0.5


class Clock:
    """Seconds per phase of one iteration, on this rank."""

    def __init__(self, workers: Workers) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._pulse = workers.pulse

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        with self._pulse.during(phase):
            yield
        if time.perf_counter() - start > LONG_S:
            give_back_pages()
        self.seconds[f"{phase}_s"] += time.perf_counter() - start

    @contextmanager
    def learning(self, phase: str) -> Iterator[None]:
        """Time a phase. Numpy's warnings are off in it, since our own errors name non-finite numbers."""
        with self(phase), np.errstate(over="ignore", invalid="ignore"):
            yield


@dataclass
class _Step:
    """One generator step."""

    rollout: Rollout
    seen: Transitions
    batch: Batch
    task_weight: float
    ended: np.ndarray  # [4, E] of the episodes that ended: learned and true return, length, success
    sampled: _Sampled
    row: Record


@dataclass
class _Sampled:
    """What is known of a batch, over all ranks. Of episodes, those that ended in it."""

    rows: int  # that are transitions
    reward_mean: float  # of the adversary, per step
    reward_variance: float
    episodes: int
    returns: float  # their sum
    squared_returns: float
    lengths: float


def iteration(learner: Learner, config: Config, workers: Workers) -> Record:
    """g_step generator steps, each on a fresh batch, then d_step discriminator updates on all their rows. In the warm-up
    the policy rests, with its observation statistics: nothing of it changes.

    Raises RunError for the first non-finite number.
    """
    learner.hold()
    progress, clock = learner.progress, Clock(workers)
    rng = stream(config.seed, MINIBATCH, progress.iteration)
    learner.sampler.begin_iteration(progress.iteration)
    rests = progress.iteration < config.warmup_iterations or config.generator == "none"
    steps = [_generator_step(learner, config, workers, clock, rng, rests) for _ in range(config.g_step)]

    with clock.learning("adversary"):  # w -> w'
        stats = learner.adversary.fit(_together(steps, workers), rng)
        adversary_stats = checked("adversary", stats, learner.adversary)

    if config.critic.after_adversary:  # the original's order; targets are of the new reward, without the entropy bonus
        again = getattr(learner.adversary, "reward_again", learner.adversary.reward)
        with clock.learning("critic"):
            for step in steps:
                reward = _paid(step.rollout, step.seen, again(step.seen), step.task_weight, 0.0)
                retargeted = learner.critic.retarget(step.batch, step.rollout, reward)
                step.row |= checked("critic", learner.critic.fit(retargeted, rng), learner.critic)

    progress.iteration += 1
    progress.wall_s += sum(clock.seconds.values())
    learner.ended = _of_all([step.ended for step in steps], workers)
    counters = _counters(progress) | ({"warmup": int(rests)} if config.warmup_iterations else {})
    sampled = _of_batches([step.sampled for step in steps])
    mean = _mean([step.row for step in steps])
    return {**counters, **sampled, **mean, **_of_episodes(learner.ended), **adversary_stats, **clock.seconds}


def _generator_step(
    learner: Learner, config: Config, workers: Workers, clock: Clock, rng: np.random.Generator, rests: bool
) -> _Step:
    """Sample a batch, pay for it, and improve the policy, and the critic if its turn is now."""
    with clock("sample"), torch_settings.kept():
        rollout, episodes = learner.sampler.collect(learner.policy.actor())  # tau ~ pi_theta
    with clock.learning("reward"):
        rows = number_rows(int(rollout.valid.sum()), workers)
        seen = _seen(learner, config, rollout, rows)
        weight = task_weight(config, learner.progress)
        of_adversary = learner.adversary.reward(seen)  # r(s, a) from D_w
        reward = _paid(rollout, seen, of_adversary, weight, config.causal_entcoeff)
        batch = learner.critic.batch(rollout, reward, rows)  # A by GAE(gamma, lambda)
    with clock.learning("generator"):  # theta -> theta'
        stats = learner.generator.rest(batch) if rests else learner.generator.step(batch, rng)
        stats = checked("policy", stats, learner.policy, learner.generator)
    if not config.critic.after_adversary:
        with clock.learning("critic"):
            stats |= checked("critic", learner.critic.fit(batch, rng), learner.critic)
    if not rests:
        # Not before the step: there the ratio must be 1 and the KL 0.
        learner.policy.normaliser.add(workers.sum_tensor(learner.policy.normaliser.sums(batch.observations)))
        checked("normaliser of the policy", {}, learner.policy.normaliser)
    if config.fixed_horizon:
        _refuse_other_lengths(episodes, learner, workers)
    # Of the adversary alone: with the environment's reward in it, any adversary would agree with the true return.
    learned = to_rollout(rollout, of_adversary)
    paid = learner.sampler.paid.finish(rollout, learned)
    ended = np.stack([paid, episodes.returns, episodes.lengths, episodes.successes])
    sampled = _sampled(learner, rollout, episodes, learned, batch, workers)
    return _Step(rollout, seen, batch, weight, ended, sampled, {**stats})


def _counters(progress: Progress) -> Record:
    return {
        "iteration": progress.iteration,
        "steps": progress.steps,
        "episodes": progress.episodes,
        "idle_rows": progress.idle_rows,
        "cut_episodes": progress.cut_episodes,
    }


def _of_episodes(ended: np.ndarray) -> Record:
    """What is known of the episodes [4, E] that ended on all ranks."""
    found: Record = {"reward_rank_correlation": _agreement(ended[:2])}
    if (share := success.rate(ended[3])) is not None:
        found[SUCCESS] = share
    return found


def _seen(learner: Learner, config: Config, rollout: Rollout, rows: Rows) -> Transitions:
    """The adversary's view of a rollout; called while the policy is still the one that acted."""
    adversary = learner.adversary
    plain = bool(config.causal_entcoeff) or adversary.needs_log_prob
    clipped = getattr(adversary, "needs_clipped_log_prob", adversary.needs_log_prob)  # it came later than the other
    seen, bounds = transitions.of([rollout], rows), learner.sampler.env.spec.clipped_to if clipped else None
    return learner.policy.judged(seen, plain, bounds)


def _paid(
    rollout: Rollout, seen: Transitions, reward: np.ndarray, task_weight: float, causal_entcoeff: float
) -> np.ndarray:
    """The adversary's reward [B] as [T, N], with the environment's own if that has a weight; 0 in rows that are no
    transitions."""
    if not isinstance(reward, np.ndarray) or reward.shape != (len(seen.observations),):  # of an adversary from outside
        found = f"shape {reward.shape}" if isinstance(reward, np.ndarray) else type(reward).__name__
        raise RunError(f"--adversary: reward gave {found}, an array of shape ({len(seen.observations)},) expected")
    finite.numbers("reward of the adversary", reward)
    if task_weight:
        assert seen.env_rewards is not None
        reward = reward + task_weight * seen.env_rewards
    if causal_entcoeff:  # the gradient of the causal entropy is that of a reward -log pi (lemma A.1)
        assert seen.log_prob is not None
        reward = reward - causal_entcoeff * seen.log_prob
    return to_rollout(rollout, reward)


def _refuse_other_lengths(episodes: Episodes, learner: Learner, workers: Workers) -> None:
    """Raise RunError, on all ranks, for an episode that is not as long as those before. A collective."""
    found = [int(length) for lengths in workers.gather(episodes.lengths) for length in lengths]
    learner.horizon = learner.horizon or (found[0] if found else None)
    if other := [length for length in found if length != learner.horizon]:
        raise RunError(
            f"--fixed_horizon: an episode ended after {other[0]} steps, and another after {learner.horizon}: expected an "
            "environment whose episodes are all of one length"
        )


def task_weight(config: Config, progress: Progress) -> float:
    """Weight of the environment's reward now: on the line from its first to its last value."""
    end = config.task_weight if config.task_weight_end is None else config.task_weight_end
    run = RunLength.of(config, 1)
    run.load_state_dict({"steps": progress.steps, "batches": progress.iteration})
    return config.task_weight + (end - config.task_weight) * run.over


def _together(steps: list[_Step], workers: Workers) -> Transitions:
    """All transitions of an iteration, those of each environment in order of time. A collective."""
    if len(steps) == 1:
        return steps[0].seen
    parts = [step.seen for step in steps]
    rows = number_rows(sum(map(len, parts)), workers)
    log_probs, clipped = [seen.log_prob for seen in parts], [seen.clipped_log_prob for seen in parts]
    return transitions.of([step.rollout for step in steps], rows, log_probs, clipped)


def _sampled(
    learner: Learner, rollout: Rollout, episodes: Episodes, reward: np.ndarray, batch: Batch, workers: Workers
) -> _Sampled:
    """Count rows and episodes over all ranks. A collective."""
    returns, rows = episodes.returns, rollout.valid.size
    local = [len(returns), returns.sum(), (returns**2).sum(), episodes.lengths.sum(), rows, reward.sum()]
    local += [learner.sampler.cut_episodes]
    n, total, square, length, rows, paid, cut = workers.sum(np.array(local, np.float64))
    progress, valid = learner.progress, batch.rows.total
    progress.steps += valid
    progress.idle_rows += int(rows) - valid
    progress.episodes += int(n)
    progress.cut_episodes = int(cut)
    mean = paid / valid
    variance = _variance(reward[rollout.valid], mean, valid, workers)
    found = _Sampled(valid, mean, variance, int(n), total, square, length)
    checked("batch", _of_batches([found]))
    return found


def _of_batches(batches: list[_Sampled]) -> Record:
    """Of all rows, and of all episodes that ended, whichever batch they are of; None of episodes if none ended."""
    n = sum(batch.episodes for batch in batches)
    mean = sum(batch.returns for batch in batches) / n if n else None
    rows = sum(batch.rows for batch in batches)
    reward = sum(batch.rows / rows * batch.reward_mean for batch in batches)
    within = [batch.reward_variance + (batch.reward_mean - reward) ** 2 for batch in batches]
    square = sum(batch.squared_returns for batch in batches)
    return {
        "return_mean": mean,
        "return_std": float(np.sqrt(max(square / n - mean**2, 0.0))) if mean is not None else None,
        "length_mean": sum(batch.lengths for batch in batches) / n if n else None,
        "reward_mean": reward,
        "reward_std": float(np.sqrt(sum(b.rows / rows * v for b, v in zip(batches, within, strict=True)))),
    }


def _variance(reward: np.ndarray, mean: float, count: int, workers: Workers) -> float:
    """Of rewards [B] over all ranks. Differences are squared, since equal rewards must give 0."""
    return float(workers.sum(np.array([((reward - mean) ** 2).sum()]))[0] / count)


def _of_all(ended: list[np.ndarray], workers: Workers) -> np.ndarray:
    """What is known of the episodes that ended on any rank: of [4, E] for each generator step of a rank, the [4, E] of all.
    A collective."""
    return np.concatenate([part for parts in workers.gather(ended) for part in parts], axis=1)


def _agreement(returns: np.ndarray) -> float | None:
    """Rank correlation of learned and true return, [2, E].

    An episode of which a part was paid before a resume from an old checkpoint does not count.
    """
    return rank_correlation(*returns[:, ~np.isnan(returns).any(0)])


def _mean(rows: list[Record]) -> Record:
    """Mean of each column over those generator steps of an iteration that have it."""
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in rows[0]}
    return {name: float(np.mean(values)) if values else None for name, values in columns.items()}  # type: ignore[arg-type]


def train(learner: Learner, config: Config, workers: Workers, after: Callable[[Record], str | None]) -> str:
    """Iterate until steps or iterations are done, or until `after`, called with each record, returns a reason to stop.

    If the sampler gives up, GivenUp is raised on all ranks, and the learner is as the last iteration left it.
    """
    while (done := finished(learner.progress, config)) is None:
        # An environment that runs a torch model may have switched gradients off.
        with _told(learner, config), _whole_iterations(learner, config), torch.enable_grad():
            row = iteration(learner, config, workers)
        with torch_settings.kept():
            if reason := after(row):
                return reason
    return done


@contextmanager
def _told(learner: Learner, config: Config) -> Iterator[None]:
    """Add the iteration and the likely cause to an error that ends the run."""
    iteration = learner.progress.iteration + 1
    try:
        yield
    except torch.OutOfMemoryError as error:
        device = next(learner.policy.parameters()).device
        raise RunError(
            f"iteration {iteration}: {device} is out of memory; resume with fewer ranks on a device or with --device "
            "cpu, or begin a new run with a smaller --timesteps_per_batch or smaller networks"
        ) from error
    except RunError as error:
        cause = likely_cause(config, learner.sampler.reach if isinstance(error, NotFinite) else None)
        error.args = (f"iteration {iteration}: {error}{cause}",)
        raise


@contextmanager
def _whole_iterations(learner: Learner, config: Config) -> Iterator[None]:
    """Undo an iteration's generator steps if its next batch is given up."""
    several = config.sampling == "episodes" and config.g_step > 1
    before = copy.deepcopy(learner.state_dict()) if several else None
    try:
        yield
    except GivenUp:
        if before:
            learner.load_state_dict(before)
        raise


def finished(progress: Progress, config: Config) -> str | None:
    """The limit that the run has reached; None if it has reached no limit."""
    if progress.steps >= config.steps:
        return "steps"
    return "iterations" if config.iterations is not None and progress.iteration >= config.iterations else None
