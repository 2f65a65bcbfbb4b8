"""Checks the numbers that pass between a policy and its environments; errors name a non-finite one and its place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trpo_gail.errors import RunError
from trpo_gail.finite import NotFinite, Reach
from trpo_gail.magnitudes import largest
from trpo_gail.parallel import Workers
from trpo_gail.sampling.rollout import Actor, Rollout

MOST_REWARD = largest("float64")  # rewards are float64, whatever the networks' dtype


class Watched:
    """An actor whose actions are checked before an environment gets them; `check` checks the environments' answers."""

    def __init__(
        self, actor: Actor, env_id: str, envs: Sequence[int], dtype: str, where: str, workers: Workers
    ) -> None:
        """`envs`: global indices; `dtype`: of the networks that take the observations; `where`: in words."""
        self.noise_kind, self.noise_size, self._actor = actor.noise_kind, actor.noise_size, actor
        self._env_id, self._envs, self._dtype, self._where = env_id, envs, dtype, where
        self._rank = f" (rank {workers.rank})" if workers.size > 1 else ""
        self._step, self._pulse = 0, workers.pulse

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """The actor's actions. Raises NotFinite for one that is not finite, RunError if its observation is the
        cause."""
        actions = self._actor.act(observations, noise)
        if not np.isfinite(actions).all():
            self._refuse_observations(observations[None], self._step)
            n, k = np.argwhere(~np.isfinite(actions))[0]
            raise NotFinite(
                f"the policy's action is {actions[n, k]} in dimension {k} for {self._number(n)} at step {self._step} "
                f"of {self._where}"
            )
        self._step += 1
        self._pulse.move()
        return actions

    def check(self, rollout: Rollout) -> Reach:
        """The largest observation and reward. Raises RunError for a number that is not finite, or too large to compute
        with."""
        reach = Reach(_reach(rollout.observations), _reach(rollout.rewards))
        if not (reach.observation <= largest(self._dtype) and reach.reward <= MOST_REWARD):
            rewards = ~(np.abs(rollout.rewards) <= MOST_REWARD)
            t = int(np.argmax(rewards.any(1))) if rewards.any() else len(rewards)
            self._refuse_observations(
                rollout.observations[: t + 2], 0
            )  # up to the observation that came with the reward
            n = int(np.argmax(rewards[t]))
            raise RunError(self._gave("a reward", rollout.rewards[t, n], "float64", n, t + 1))
        return reach

    def _refuse_observations(self, observations: np.ndarray, step: int) -> None:
        """Raise RunError for the first of [T, N, O], from this step on, that is not finite or too large."""
        bad = ~(np.abs(observations.astype(np.float64)) <= largest(self._dtype))
        if bad.any():
            t, n, k = (int(i) for i in np.argwhere(bad)[0])
            raise RunError(
                self._gave("an observation", observations[t, n, k], self._dtype, n, step + t, f"feature {k} is ")
            )

    def _gave(self, what: str, value: float, dtype: str, n: int, step: int, feature: str = "") -> str:
        value = float(value)
        wrong = f"that is too large to compute with in {dtype}" if np.isfinite(value) else "that is not finite"
        remedy = "; --dtype float64 holds it" if dtype == "float32" and abs(value) <= largest("float64") else ""
        return f"{self._number(n)} gave {what} {wrong}: {feature}{value:g} at step {step} of {self._where}{remedy}"

    def _number(self, n: int) -> str:
        return f"environment {self._env_id!r} number {self._envs[n]}{self._rank}"


def _reach(values: np.ndarray) -> float:
    """Largest magnitude; NaN if there is a NaN."""
    return max(-float(values.min()), float(values.max()))
