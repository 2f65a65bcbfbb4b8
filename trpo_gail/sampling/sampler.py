"""One rank's environments and their state; sampling can be resumed bit for bit.

With a fixed horizon, episodes continue across batches; environments restart their streams every `restart_every`
iterations. The actions since the last restart are kept, and a checkpoint holds them: a resume restarts the same streams
and replays them. With whole episodes there is a restart before every batch, so nothing needs to be kept.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from trpo_gail.config.tree import Config
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.finite import Reach
from trpo_gail.hangs import Pulse
from trpo_gail.parallel import Workers
from trpo_gail.sampling.paid import PaidReturns
from trpo_gail.sampling.rollout import (
    Actor,
    BlockedNoise,
    Episodes,
    GivenUp,
    Noise,
    Position,
    Rollout,
    collect_episodes,
    collect_steps,
    draw_noise,
    never,
)
from trpo_gail.sampling.watched import Watched
from trpo_gail.seeding import TRAIN_NOISE, TRAIN_RESET, reset_seeds
from trpo_gail.spaces.layout import MOST_ROWS
from trpo_gail.spaces.resolution import unresolved
from trpo_gail.success import rule_of
from trpo_gail.system.memory import give_back

_Places = tuple[np.ndarray, np.ndarray]  # checksums [N] int64, returns so far [N] float64


class Sampler:
    """Collects one batch per call from this rank's share of the environments."""

    def __init__(self, config: Config, env: VectorEnv, workers: Workers) -> None:
        self.config, self.env, self.workers = config, env, workers
        self.envs = workers.block(config.num_envs)  # global indices
        self.restarts = 0
        self.batches = 0
        self.cut_episodes = 0  # on this rank, by restarts and staggering; return statistics leave them out
        self.reach = Reach()  # of the last batch
        self.strayed = 0  # this rank's environments that are not where they were saved, after their steps were repeated
        self.unresolved: list[str] = []  # what to warn of the first batch's observations, on the first rank
        self.paid = PaidReturns(len(self.envs))
        self.give_up: Callable[[], bool] = never  # called with whole episodes, and in a replay
        self._rule = rule_of(config.success)
        self._position: Position | None = None
        self._places_saved: _Places | None = None  # by the state that was loaded last
        self._actions: list[np.ndarray] = []  # [T, N, ...], a batch each, since the last restart

    @property
    def horizon(self) -> int:
        """Steps of each environment in a batch."""
        return -(-self.config.timesteps_per_batch // self.config.num_envs)

    def _stagger(self, batch: int) -> int:
        """Before the `batch`-th batch after a restart, cut some environments' episodes; returns how many were
        unfinished.

        A restart begins all episodes at once. If all of them lasted to the time limit, they would stay in step, and
        every batch would show the discriminator, the critic and the policy only one stretch of the episode. So
        environment i is cut once, before batch i B / N of the B batches that an episode lasts.
        """
        assert self._position is not None
        per_episode = -(-(self.env.spec.max_episode_steps or 0) // self.horizon)
        turn = np.array([index * per_episode // self.config.num_envs for index in self.envs])
        return self._position.cut(self.env, turn == batch) if batch > 0 else 0

    def begin_iteration(self, iteration: int) -> None:
        """Restart the streams if this iteration is one of a restart. After a batch that broke off, put the environments back
        to where it began."""
        if self.config.sampling == "steps" and iteration % self.config.restart_every == 0:
            self.restart()
        elif self.restarts and self._position is None:
            self._replay()

    def restart(self) -> None:
        """Begin new streams; unfinished episodes are cut."""
        if self._position is not None:
            self.cut_episodes += int(((self._position.step > 0) & ~self._position.ended).sum())
        self._begin()
        self.restarts += 1
        self._actions = []
        give_back()  # the environments of before

    def _begin(self) -> None:
        self._position = Position.start(self.env, self._reset_seeds(self.restarts))

    def _reset_seeds(self, restart: int) -> list[int]:
        return reset_seeds(self.config.seed, TRAIN_RESET, restart, self.envs)

    def collect(self, actor: Actor) -> tuple[Rollout, Episodes]:
        """One batch. Raises RunError if an environment or the policy gives a non-finite number. With whole episodes it
        is a collective, and raises GivenUp on all ranks, with nothing changed, if one of them gives up."""
        cfg = self.config
        actor = watched = Watched(actor, cfg.env, self.envs, cfg.dtype, f"batch {self.batches + 1}", self.workers)
        if cfg.sampling == "steps":
            assert self._position is not None, "begin_iteration comes first"
            noise = draw_noise(
                actor.noise_kind, actor.noise_size, self.horizon, cfg.seed, TRAIN_NOISE, self.batches, self.envs
            )
            cut = self._stagger(len(self._actions))
            position, self._position, self._places_saved = self._position, None, None  # None: if the batch breaks off
            rollout, episodes = collect_steps(self.env, position, actor, noise)
            self.reach = watched.check(rollout)
            self._position = position
            self._actions.append(rollout.actions)
            self.cut_episodes += cut
        else:
            rollout, episodes = self._whole_episodes(actor)
            self.reach = watched.check(rollout)
        if not self.batches and self.workers.main:
            t, n = np.nonzero(rollout.valid)
            some = slice(None, None, max(1, len(t) // MOST_ROWS))
            self.unresolved = unresolved(self.env.spec.observations, rollout.observations[t[some], n[some]], cfg.dtype)
        self.batches += 1
        return rollout, episodes.judged(self._rule)

    def _whole_episodes(self, actor: Actor) -> tuple[Rollout, Episodes]:
        noise = BlockedNoise(actor, self.config.seed, TRAIN_NOISE, self.batches, self.envs)
        steps, seeds = np.full(len(self.envs), self.horizon), self._reset_seeds(self.batches)
        done = None
        with contextlib.suppress(GivenUp):
            done = collect_episodes(self.env, actor, seeds, noise, steps, np.zeros_like(steps), self.give_up)
        lacking = self.workers.sum(np.array([done is None]))
        if done is None or lacking[0]:
            raise GivenUp
        return done

    # ---- resume ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The global state. A collective."""
        actions = np.concatenate(self._actions) if self._actions else None
        parts = [p for p in self.workers.gather(actions) if p is not None]
        steps = self.config.sampling == "steps"
        paid = np.concatenate(self.workers.gather(self.paid.unfinished)) if steps else None
        places = [one for one in self.workers.gather(self._places()) if one is not None] if steps else []
        return {
            "restarts": self.restarts,
            "batches": self.batches,
            "cut_episodes": int(self.workers.sum(np.array([self.cut_episodes]))[0]),
            "actions": np.concatenate(parts, axis=1) if parts else None,
            "paid": paid,
            "places": np.concatenate([checksums for checksums, _ in places]) if places else None,
            "returns": np.concatenate([returns for _, returns in places]) if places else None,
        }

    def _places(self) -> _Places | None:
        """Where each environment is: a checksum of its observation and its step in the episode, and its return so far, which
        may depend on earlier episodes. None if that is not known: before the first restart, after a batch that broke off,
        in a state of 0.1.0."""
        if self._position is None:
            return self._places_saved
        observations = np.ascontiguousarray(self._position.observation)
        steps = map(int, self._position.step)
        found = [zlib.crc32(row.data, step) for row, step in zip(observations, steps, strict=True)]
        return np.array(found, np.int64), self._position.ret

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restart the streams and replay; the number of ranks may have changed. `strayed` says how many environments
        came elsewhere. After a replay that is given up, the state can be saved again, but no batch can be collected."""
        self.batches = state["batches"]
        self.cut_episodes = state["cut_episodes"] if self.workers.main else 0
        self.restarts, self.strayed = state["restarts"], 0
        if self.config.sampling == "episodes" or self.restarts == 0:
            return
        paid = state.get("paid", np.full(self.config.num_envs, np.nan))  # 0.1.0 did not keep it
        self.paid.unfinished = paid[self.envs.start : self.envs.stop]
        mine = slice(self.envs.start, self.envs.stop)
        returns = state.get("returns", np.full(self.config.num_envs, np.nan))  # nor did development versions
        places = state.get("places")  # nor 0.1.0
        self._places_saved = None if places is None else (places[mine], returns[mine])
        self._actions = []
        if state["actions"] is not None:
            own = state["actions"][:, self.envs.start : self.envs.stop]
            self._actions = list(own.reshape(-1, self.horizon, *own.shape[1:]))
        self._replay()
        if self._position is not None and self._places_saved is not None:
            self.strayed = _apart(self._places(), self._places_saved)

    def _replay(self) -> None:
        """Begin the streams of the last restart, and repeat all steps since then."""
        self.restarts -= 1
        self._begin()
        self.restarts += 1
        assert self._position is not None
        for batch, actions in enumerate(self._actions):
            if self.give_up():
                self._position = None
                return
            self._stagger(batch)
            again = _Replay(actions, self.workers.pulse)
            collect_steps(self.env, self._position, again, np.zeros((*actions.shape[:2], 0)))


def _apart(now: _Places | None, before: _Places) -> int:
    """How many environments are elsewhere. Returns may differ by the rounding of another processor; NaN is not known."""
    assert now is not None
    paid = ~np.isnan(before[1]) & ~np.isclose(now[1], before[1], rtol=1e-6, atol=1e-9)
    return int(((now[0] != before[0]) | paid).sum())


class _Replay:
    """An actor that repeats recorded actions."""

    noise_kind: Noise = "normal"
    noise_size = 0

    def __init__(self, actions: np.ndarray, pulse: Pulse) -> None:
        self._actions, self._pulse = iter(actions), pulse

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        self._pulse.move()
        return next(self._actions)
