"""The expert's episode and the learner's from one start: what a person would look at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from trpo_gail.envs import vector
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.rows import as_rows
from trpo_gail.reports.run_data import RunData
from trpo_gail.reports.visits import demonstrations
from trpo_gail.runs.evaluate import load_in_env
from trpo_gail.sampling.rollout import Actor, Episodes, Noise, Rollout, collect_episodes, no_noise
from trpo_gail.seeding import RECORD_RESET, reset_seeds
from trpo_gail.spaces.alike import check_fits
from trpo_gail.success import Rule, rule_of
from trpo_gail.system import working_folder

MOST = 4  # pairs
LOOK = 16  # episodes whose starts are tried: some may have been left out of the file


@dataclass(frozen=True)
class Side:
    """One episode of T steps."""

    observations: np.ndarray  # [T + 1, O]; [T, O] if the file lacks what was seen last
    rewards: np.ndarray  # [T], the environment's own
    success: float  # 1 or 0, NaN if it is not known

    @property
    def ret(self) -> float:
        return float(self.rewards.sum())


@dataclass(frozen=True)
class Pair:
    """Two episodes that began alike; the learner's actions are the likeliest ones."""

    expert: Side
    learner: Side


@working_folder.kept()
def pairs(run: RunData) -> list[Pair]:
    """The first episodes of the run's demonstrations beside those of its policy from the same starts.

    A file that `trpo-gail record` has written says by which seeds its episodes began. Whether an expert's episode was a
    success is known by the run's rule, or if its actions, taken again, give the same return. Raises UserError if the file
    does not say enough, if the environment begins elsewhere, and for what `demonstrations` and `load_in_env` raise.
    """
    policy = load_in_env(run.path)
    config, spec = policy.config, policy.own_spec
    held = as_rows(demonstrations(run), spec)
    origin = held.provenance
    if origin.seed is None or held.rewards is None or held.subsample > 1 or not held.has_actions:
        raise UserError("the file of demonstrations does not hold whole episodes, and the seed that they began with")
    numbers = range(min(LOOK, held.finished))
    backend: vector.Backend = "envpool" if origin.backend == "envpool" else "gymnasium"
    env = vector.make(config.env, len(numbers), backend, **{**config.env_settings, "scale": False})
    try:
        check_fits(env.spec, spec, f"environment {config.env!r}")
        seeds = reset_seeds(origin.seed, RECORD_RESET, 0, numbers)
        alike = _alike(env.restart(seeds), held)
        if not alike.any():
            raise UserError("the environment does not begin where the expert's episodes began")
        experts = [_expert(held, n) for n in numbers]
        again = _rolled(env, _Recorded([_actions(held, n) for n in numbers]), seeds)[1]
        rollout, learned = _rolled(env, policy, seeds)
    finally:
        env.close()
    rule = rule_of(config.success)
    learned, known = learned.judged(rule), _successes(held, numbers, again, rule)
    found = [n for n in numbers if alike[n]][:MOST]
    return [Pair(replace(experts[n], success=known[n]), _learner(rollout, n, learned.successes[n])) for n in found]


def _rows(held: Demonstrations, n: int) -> slice:
    """Those of episode n."""
    begin = int(held.episode_lengths[:n].sum())
    return slice(begin, begin + int(held.episode_lengths[n]))


def _actions(held: Demonstrations, n: int) -> np.ndarray:
    return held.actions[_rows(held, n)]


def _alike(first: np.ndarray, held: Demonstrations) -> np.ndarray:
    """Which first observations [N, O] are those of the first N episodes, but for the digits of a file."""
    theirs = np.stack([held.observations[_rows(held, n).start] for n in range(len(first))])
    close = np.isclose(first.astype(np.float64), theirs.astype(np.float64), rtol=1e-5, atol=1e-6)
    return np.asarray(close.all(axis=1))


def _rolled(env: VectorEnv, actor: Actor, seeds: list[int]) -> tuple[Rollout, Episodes]:
    """One episode of each environment."""
    one = np.ones(len(seeds), np.int64)
    return collect_episodes(env, actor, seeds, no_noise(actor, len(seeds)), np.zeros_like(one), one)


def _expert(held: Demonstrations, n: int) -> Side:
    assert held.rewards is not None
    rows, final = _rows(held, n), held.final_observations
    seen = held.observations[rows]
    seen = seen if final is None else np.concatenate([seen, final[n : n + 1]])
    return Side(seen, held.rewards[rows].astype(np.float64), np.nan)


def _learner(rollout: Rollout, n: int, success: float) -> Side:
    length = int(rollout.valid[:, n].sum())
    return Side(rollout.observations[: length + 1, n], rollout.rewards[:length, n], success)


def _successes(held: Demonstrations, numbers: range, again: Episodes, rule: Rule | None) -> Mapping[int, float]:
    """Of the expert's episodes: by the rule, or by what the environment says as their actions are taken again."""
    lengths, last = held.episode_lengths[: len(numbers)], [_rows(held, n).stop - 1 for n in numbers]
    returns = np.array([_expert(held, n).ret for n in numbers])
    if rule is not None:
        found = rule.judge(returns, lengths, held.terminals[last])
    else:
        same = (again.lengths == lengths) & np.isclose(again.returns, returns, rtol=1e-3, atol=1e-3)
        found = np.where(same, again.successes, np.nan)
    return dict(zip(numbers, found.tolist(), strict=True))


class _Recorded:
    """An actor that takes recorded actions again, [T, ...] of each environment; after an episode's end the last of them."""

    noise_kind: Noise = "normal"
    noise_size = 0

    def __init__(self, actions: list[np.ndarray]) -> None:
        self._actions, self._step = actions, 0

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        now = [actions[min(self._step, len(actions) - 1)] for actions in self._actions]
        self._step += 1
        return np.stack(now)
