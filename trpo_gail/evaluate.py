"""Returns of whole episodes: a fixed number per environment, so that short ones are not favoured."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from trpo_gail import checkpoint
from trpo_gail.config import Config
from trpo_gail.envs import vector
from trpo_gail.envs.vector import EnvSpec
from trpo_gail.errors import UserError
from trpo_gail.learner import make_policy
from trpo_gail.parallel import Workers
from trpo_gail.policy import PolicyActor
from trpo_gail.sampling.rollout import (
    Actor,
    BlockedNoise,
    Episodes,
    GivenUp,
    Noise,
    Rollout,
    collect_episodes,
    never,
    no_noise,
)
from trpo_gail.scores import scaled_score
from trpo_gail.seeding import EVAL_NOISE, EVAL_RESET, generator, reset_seeds

MOST_ENVS = 64  # of one evaluation, over all ranks
PERIODIC, FINAL, RANDOM = range(3)  # streams: an evaluation meets the same starts as the others of its kind


class Evaluator:
    """Runs episodes split over ranks; which episodes depends on the seed and their number alone."""

    def __init__(self, config: Config, backend: vector.Backend, clip: bool, workers: Workers) -> None:
        self.config, self.backend, self.clip, self.workers = config, backend, clip, workers
        self.give_up: Callable[[], bool] = never  # asked at every step

    def run(self, actor: Actor, episodes: int, stream: int, *, stochastic: bool = False) -> Episodes:
        """`episodes` episodes, those of all ranks on every rank. A collective.

        Raises GivenUp, on all ranks, where one of them gave up.
        """
        mine: Episodes | None = Episodes(np.zeros(0), np.zeros(0, np.int64))
        if self.workers.block(min(episodes, MOST_ENVS)):
            mine = None
            with contextlib.suppress(GivenUp):
                mine = self.rollout(actor, episodes, stream, stochastic=stochastic)[1]
        shares = self.workers.gather(mine)
        parts = [share for share in shares if share is not None]
        if len(parts) < len(shares):
            raise GivenUp
        return Episodes(np.concatenate([p.returns for p in parts]), np.concatenate([p.lengths for p in parts]))

    def rollout(
        self, actor: Actor, episodes: int, stream: int, *, stochastic: bool = False
    ) -> tuple[Rollout, Episodes]:
        """This rank's share of the same episodes, of which there must be one, with all their rows."""
        cfg, total = self.config, min(episodes, MOST_ENVS)
        envs = self.workers.block(total)
        env = vector.make(cfg.env, len(envs), self.backend, cfg.env_arguments, self.workers.threads(), self.clip)
        each = np.array([episodes // total + (index < episodes % total) for index in envs])
        noise = BlockedNoise(actor, cfg.seed, EVAL_NOISE, stream, envs) if stochastic else no_noise(actor, len(envs))
        seeds = reset_seeds(cfg.seed, EVAL_RESET, stream, envs)
        try:
            return collect_episodes(env, actor, seeds, noise, np.zeros_like(each), each, self.give_up)
        finally:
            env.close()

    def random(self, spec: EnvSpec, episodes: int) -> Episodes:
        """Episodes of uniformly random actions."""
        return self.run(RandomActor(spec), episodes, RANDOM, stochastic=True)


class RandomActor:
    """Uniform over the action space; unbounded dimensions are taken as [-1, 1]."""

    noise_kind: Noise = "uniform"

    def __init__(self, spec: EnvSpec) -> None:
        self._spec = spec
        self.noise_size = 1 if spec.discrete else spec.action_size
        if not spec.discrete:
            low, high = spec.action_space.low, spec.action_space.high  # type: ignore[union-attr]
            self._low, self._high = np.where(np.isfinite(low), low, -1.0), np.where(np.isfinite(high), high, 1.0)

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        if self._spec.discrete:
            return (noise[:, 0] * self._spec.action_size).astype(np.int64)
        return self._low + noise * (self._high - self._low)


class LoadedPolicy:
    """A trained policy: `predict` for use outside the package, `act` for our own sampler."""

    def __init__(self, actor: PolicyActor, config: Config, spec: EnvSpec, bounds: tuple | None, path: Path) -> None:
        self._actor, self._bounds = actor, bounds
        self.config, self.spec, self.env_id, self.path = config, spec, config.env, path
        self.observation_size, self.action_size, self.discrete = spec.observation_size, spec.action_size, spec.discrete
        self.action_view: Literal["raw", "executed"] = "executed" if bounds else "raw"
        self.description = f"{path.parent.parent.name}/{path.name}"  # of what a recording keeps: no path of a machine
        self.checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        self.noise_kind, self.noise_size = actor.noise_kind, actor.noise_size
        self._rng = generator(0, EVAL_NOISE)

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] as the environment of training saw them."""
        actions = self._actor.act(observations, noise)
        return np.clip(actions, *self._bounds) if self._bounds else actions

    def predict(self, observation: np.ndarray, deterministic: bool = True) -> np.ndarray:
        """Action for one observation [O], or actions for several [n, O]. Raises ValueError for another shape."""
        if np.ndim(observation) not in (1, 2) or np.shape(observation)[-1] != self.observation_size:
            size = self.observation_size
            raise ValueError(f"observation of shape {np.shape(observation)}, ({size},) or (n, {size}) expected")
        rows = np.atleast_2d(observation)
        shape = (len(rows), self.noise_size)
        if deterministic:
            noise = np.zeros(shape)
        else:
            noise = self._rng.standard_normal(shape) if self.noise_kind == "normal" else self._rng.gumbel(size=shape)
        actions = self.act(rows, noise)
        return actions if np.ndim(observation) > 1 else actions[0]


def load_policy(run: str | Path, which: str = "last") -> LoadedPolicy:
    """The policy of a run folder's last checkpoint, or of the best by evaluation.

    Raises UserError where the folder holds none.
    """
    last = checkpoint.last_path(Path(run))
    path = checkpoint.best_path(Path(run)) if which == "best" else last
    if path is None or not path.exists():
        if last is not None:
            raise UserError(f"{run}: {_why_no_best(last)}, so no best.pt; without --best the last policy is taken")
        raise UserError(f"{run}: no {which} checkpoint of a run here (a run folder holds checkpoints/*.pt)")
    state = checkpoint.read(path)
    config = checkpoint.config_of(state, path)
    spec = checkpoint.spec_of(state)
    policy = make_policy(config, spec)
    policy.load_state_dict(state["learner"]["policy"])
    space = spec.action_space
    bounds = (space.low, space.high) if state["clip"] else None  # type: ignore[union-attr]
    return LoadedPolicy(policy.actor(), config, spec, bounds, path)


def _why_no_best(last: Path) -> str:
    state = checkpoint.read(last)
    if "sampler" not in state["learner"]:
        return "behavioural cloning keeps one policy, the best by its validation score"
    return f"no periodic evaluation yet (--eval_every {checkpoint.config_of(state, last).eval_every})"


def evaluate_run(
    run: str | Path, episodes: int, stochastic: bool, which: str, seed: int, workers: Workers
) -> dict[str, Any]:
    """Returns of a run's policy over whole episodes, in the environment that it was trained in. A collective."""
    if episodes < 1:
        raise UserError(f"--episodes: {episodes} given, at least 1 expected")
    torch.set_num_threads(1)
    policy = workers.together(lambda: load_policy(run, which))
    config = dataclasses.replace(policy.config, seed=seed)
    evaluator = Evaluator(config, policy.spec.backend, False, workers)  # the loaded policy clips its own actions
    done = evaluator.run(policy, episodes, FINAL, stochastic=stochastic)
    return {
        "run": str(run),
        "checkpoint": str(policy.path),
        "env": policy.env_id,
        "backend": policy.spec.backend,
        "deterministic": not stochastic,
        "episodes": len(done.returns),
        "return_mean": float(done.returns.mean()),
        "return_std": float(done.returns.std()),
        "return_min": float(done.returns.min()),
        "return_max": float(done.returns.max()),
        "length_mean": float(done.lengths.mean()),
    }


def final_scores(
    evaluator: Evaluator, actor: Actor, spec: EnvSpec, episodes: int, expert: float | None
) -> dict[str, Any]:
    """What a run's summary says of its policy: the deterministic return over `episodes`, beside the expert's (as given)
    and the random policy's; None where there are no episodes. A collective. Raises GivenUp as the evaluator does."""
    learned = evaluator.run(actor, episodes, FINAL) if episodes else None
    random = float(evaluator.random(spec, episodes).returns.mean()) if episodes else None
    mean = float(learned.returns.mean()) if learned else None
    return {
        "return_mean": mean,
        "return_std": float(learned.returns.std()) if learned else None,
        "episodes": episodes,
        "expert_return_mean": expert,
        "random_return_mean": random,
        "scaled_score": scaled_score(mean, expert, random),
        "returns": learned.returns.tolist() if learned else [],
        "lengths": learned.lengths.tolist() if learned else [],
    }
