"""Returns of whole episodes: a fixed number per environment, so that short ones are not favoured."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trpo_gail.build import make_policy
from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.envs.sources import Source
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import UserError
from trpo_gail.parallel import Workers
from trpo_gail.policies.actor import PolicyActor
from trpo_gail.policies.policy import Policy
from trpo_gail.records import SUCCESS
from trpo_gail.runs import checkpoint
from trpo_gail.runs.run_folder import check_format, kind_of, no_checkpoint, read_json
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
from trpo_gail.sampling.watched import Watched
from trpo_gail.scores import scaled_score
from trpo_gail.seeding import EVAL_NOISE, EVAL_RESET, reset_seeds, stream
from trpo_gail.spaces import alike, given
from trpo_gail.spaces.actions import Actions
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.success import rule_of
from trpo_gail.system import torch_settings, whole_file, working_folder
from trpo_gail.system.memory import give_back
from trpo_gail.system.terminal import warn

MOST_ENVS = 64  # of one evaluation, over all ranks
SNAPSHOTS = ("last", "best")
PERIODIC, FINAL, RANDOM = range(3)  # streams: an evaluation meets the same starts as the others of its kind


class Evaluator:
    """Runs episodes split over ranks; which episodes depends on the seed and their number alone."""

    def __init__(self, config: Config, spec: EnvSpec, workers: Workers, source: Source | None = None) -> None:
        """The environments are made by the config, or by the source; on the backend, in the units of actions and with the
        view of them that `spec` has."""
        self.config, self.spec, self.workers, self._source = config, spec, workers, source
        self.give_up: Callable[[], bool] = never  # asked at every step

    def run(self, actor: Actor, episodes: int, stream: int, *, stochastic: bool = False) -> Episodes:
        """`episodes` episodes, those of all ranks on every rank. A collective.

        Raises GivenUp, on all ranks, if one of them gave up.
        """
        mine: list[Episodes] | None = []  # for a rank without any
        if self.workers.block(min(episodes, MOST_ENVS)):
            mine = None
            with contextlib.suppress(GivenUp):
                mine = [done for _, done in self.rollouts(actor, episodes, stream, stochastic=stochastic)]
        give_back()  # the rows of all these episodes
        parts: list[Episodes] = []
        for share in self.workers.gather(mine):
            if share is None:
                raise GivenUp
            parts += share
        return Episodes.together(parts)

    @working_folder.kept()
    @torch_settings.kept()
    def rollouts(
        self, actor: Actor, episodes: int, stream: int, *, stochastic: bool = False
    ) -> list[tuple[Rollout, Episodes]]:
        """This rank's share of the same episodes, of which there must be one, with all their rows.

        One part of environments that ran together; as many as environments if only one may live in a process. The
        episodes are the same, since each environment has streams of its own.
        Raises RunError if an environment or the policy gives something that is not finite.
        """
        cfg, total = self.config, min(episodes, MOST_ENVS)
        envs = self.workers.block(total)
        threads = self.workers.threads()
        units = {
            "scale": self.spec.action_scaling is not None
        }  # actors act in the spec's units, whatever a config says
        env = vector.make_together(
            cfg.env,
            len(envs),
            self.spec.backend,
            threads=threads,
            action_view=self.spec.action_view,
            source=self._source,
            first=envs.start,
            **{**cfg.env_settings, **units},
        )
        try:
            alike.check_fits(
                env.spec, self.spec, f"environment {cfg.env!r}"
            )  # its class may have changed since training
            parts = [envs[start : start + env.num_envs] for start in range(0, len(envs), env.num_envs)]
            return [self._together(env, part, episodes, actor, stream, stochastic) for part in parts]
        finally:
            env.close()

    def _together(
        self, env: VectorEnv, envs: range, episodes: int, actor: Actor, stream: int, stochastic: bool
    ) -> tuple[Rollout, Episodes]:
        """Of `episodes` episodes those of the environments `envs`, by global index."""
        seed, total = self.config.seed, min(episodes, MOST_ENVS)
        each = np.array([episodes // total + (index < episodes % total) for index in envs])
        noise = BlockedNoise(actor, seed, EVAL_NOISE, stream, envs) if stochastic else no_noise(actor, len(envs))
        seeds = reset_seeds(seed, EVAL_RESET, stream, envs)
        watched = Watched(actor, self.config.env, envs, self.config.dtype, "an evaluation", self.workers)
        rollout, done = collect_episodes(env, watched, seeds, noise, np.zeros_like(each), each, self.give_up)
        watched.check(rollout)
        return rollout, done.judged(rule_of(self.config.success))

    def random(self, episodes: int) -> Episodes:
        """Episodes of uniformly random actions."""
        return self.run(RandomActor(self.spec.actions), episodes, RANDOM, stochastic=True)


class RandomActor:
    """Uniform over the action space; see `uniform_range` for dimensions without bounds."""

    noise_kind: Noise = "uniform"

    def __init__(self, actions: Actions) -> None:
        self._actions, self.noise_size = actions, actions.draws

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return self._actions.uniform(noise)


class Acting:
    """A policy in the environment's own structure and units: `predict` for use outside the package, `act` for our own
    sampler."""

    def __init__(self, actor: PolicyActor, spec: EnvSpec, rng: np.random.Generator | None = None) -> None:
        """`rng`: for the noise of actions that are not deterministic; None makes one."""
        self._actor, self.spec = actor, spec
        self.noise_kind, self.noise_size = actor.noise_kind, actor.noise_size
        self._rng = stream(0, EVAL_NOISE) if rng is None else rng

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] or [n] as the environment of training saw them, in its own units."""
        actions = self._actor.act(observations, noise)
        actions = self.spec.shown(actions)
        return self.spec.action_scaling.executed(actions) if self.spec.action_scaling else actions

    def predict(self, observation: Any, deterministic: bool = True) -> np.ndarray:
        """Action for one observation, or actions for a batch, both in the environment's own structure and dtype.

        A batch has arrays [n, ...] in place of the observation's. Raises ValueError for another shape.
        """
        rows, single = self._rows(observation)
        shape = (len(rows), self.noise_size)
        if deterministic:
            noise = np.zeros(shape)
        else:
            noise = self._rng.standard_normal(shape) if self.noise_kind == "normal" else self._rng.gumbel(size=shape)
        actions = self.spec.executed.outward(self.act(rows, noise))
        if not self.spec.executed.whole:  # as training gives them to the environment, whose space may hold no others
            actions = actions.astype(self.spec.executed_space.dtype, copy=False)
        return actions[0] if single else actions

    def _rows(self, observation: Any) -> tuple[np.ndarray, bool]:
        """Rows [n, O], and whether they are of one observation."""
        layout = self.spec.observations
        parts, single = given.observed(layout, observation)
        # Of an observation that is not finite the action would be NaN, in silence.
        columns = [given.encoded(part, x, "observation") for part, x in zip(layout.parts, parts, strict=True)]
        return np.concatenate(columns, axis=1), single


class LoadedPolicy(Acting):
    """A trained policy from a file, whose SHA-256 is `checksum`."""

    def __init__(self, actor: PolicyActor, config: Config, spec: EnvSpec, path: Path, checksum: str) -> None:
        super().__init__(actor, spec)
        self.config, self.env_id, self.path = config, config.env, path
        self.own_spec = spec.unscaled()  # for whoever runs it: it clips its actions itself, in the environment's units
        self.observation_size, self.action_size, self.discrete = (
            spec.observation_size,
            spec.action_size,
            spec.actions.whole,
        )
        self.action_view = spec.action_view
        self.description = f"{path.parent.parent.name}/{path.name}"  # of what a recording keeps: no path of a machine
        self.checksum = checksum

    @working_folder.kept()
    def in_env(self, env: str) -> LoadedPolicy:
        """The same policy for another environment with the same spaces. Raises UserError."""
        config = dataclasses.replace(self.config, env=env, env_kwargs="{}", backend="auto")
        found = vector.spec_of(env, **config.env_settings)
        alike.check_fits(found, self.spec, f"--env {env}")
        spec = dataclasses.replace(
            self.spec, id=env, kwargs={}, backend=found.backend, max_episode_steps=found.max_episode_steps
        )
        return LoadedPolicy(self._actor, config, spec, self.path, self.checksum)


@dataclass(frozen=True)
class _Found:
    """A policy as a run's checkpoint holds it."""

    path: Path
    content: dict[str, Any]  # what `checkpoint.config_of` and `spec_of` read, and the policy's parameters
    checksum: str
    lacks: Any = None  # why the run's id does not make its environment

    def policy(self) -> tuple[Policy, Config, EnvSpec]:
        config, spec = checkpoint.config_of(self.content, self.path), checkpoint.spec_of(self.content)
        policy = make_policy(config, spec)
        policy.load_state_dict(self.content["learner"]["policy"])
        return policy, config, spec

    def loaded(self) -> LoadedPolicy:
        policy, config, spec = self.policy()
        return LoadedPolicy(policy.actor(), config, spec, self.path, self.checksum)


@torch_settings.plain()
def load_policy(run: str | Path, which: str = "last") -> LoadedPolicy:
    """The policy of a run folder's last checkpoint, or of the best by evaluation.

    Raises UserError if the folder holds no checkpoint, or a damaged one.
    """
    return _find(run, which).loaded()


def load_in_env(
    run: str | Path, which: str = "last", env: str | None = None, workers: Workers | None = None
) -> LoadedPolicy:
    """As `load_policy`, for whoever makes the environment: by the run's own id, or by another one of the same spaces.

    With `workers` a collective, in which rank 0 alone reads: the run may go on and save between two ranks' reading, and
    another host may have another file. Raises UserError, too, if the run's id does not make the environment that the run
    was given, or the other does not fit.
    """
    ranks = workers or Workers()
    found = ranks.share(ranks.together(lambda: _find(run, which, env is None) if ranks.main else None))
    assert found is not None, "rank 0 has found it"
    return ranks.together(lambda: _in_env(found, run, env))


def _in_env(found: _Found, run: str | Path, env: str | None) -> LoadedPolicy:
    policy = found.loaded()
    if env is not None:
        return policy.in_env(env)
    if found.lacks:
        raise UserError(
            f"{run}: no name makes its environment {policy.env_id!r}, which Python gave ({found.lacks}): evaluate --env "
            "MODULE:NAME expected, an id or a function of a module"
        )
    return policy


def _lacks(file: Path) -> Any:
    """Why a run's id does not make its environment, by its config.json; a policy needs no such file. Raises UserError for
    one of a later version, of which nobody knows here what it says."""
    try:
        content = read_json(file)
    except UserError:
        return None
    check_format(content.get("format", 1), file)
    setting = content.get("setting")
    return setting.get("env_lacks") if isinstance(setting, dict) else None


def read_policy(run: str | Path, which: str = "last") -> tuple[Policy, Config, EnvSpec, Path]:
    """The policy as a module, with its config, the spec that training saw, and the checkpoint's path; as `load_policy`."""
    found = _find(run, which)
    return *found.policy(), found.path


def _find(run: str | Path, which: str, by_its_id: bool = False) -> _Found:
    """Read a run's checkpoint. `by_its_id`: whether the run's id is to make its environment. Raises UserError as
    `load_policy` does, and OSError if a run that goes on removes the file meanwhile."""
    folder = whole_file.named("run", run, "run folder")
    if which not in SNAPSHOTS:
        raise UserError(f"which: {which!r:.40} given, {' or '.join(map(repr, SNAPSHOTS))} expected")
    if folder.is_file():
        raise UserError(f"{run}: is a file: expected {_meant(folder)}")
    last = checkpoint.last_path(folder)
    path = checkpoint.best_path(folder) if which == "best" else last
    if path is None or not path.exists():
        if last is not None:
            why = _why_no_best(folder, last)
            raise UserError(f"{run}: {why}, so no best.pt; {checkpoint.LAST_INSTEAD}")
        raise no_checkpoint(run, f"{which} ")
    state = checkpoint.read_of_run(folder, path)
    content = {name: state[name] for name in ("config", "spec", "clip")}
    content["learner"] = {"policy": state["learner"]["policy"]}
    lacks = _lacks(folder / "config.json") if by_its_id else None
    return _Found(path, content, hashlib.sha256(path.read_bytes()).hexdigest(), lacks)


def _meant(file: Path) -> str:
    """What is expected in place of a file."""
    if file.suffix == ".pt" and file.parent.name == "checkpoints":
        best = ", and --snapshot best, or load_policy(run, 'best')" if file.name == "best.pt" else ""
        return f"its run folder, {file.parent.parent}{best}"
    kind = saved_model(file)
    return "a run folder" + (f"; a model that save wrote is for {kind}.load(FILE)" if kind else "")


def saved_model(file: Path) -> str | None:
    """The class of the model that `save` wrote to a file, as GAIL; None of any other file."""
    with contextlib.suppress(UserError, OSError):
        held = checkpoint.read(file).get("model")
        return str(held.get("class")) if isinstance(held, dict) else None
    return None


def _why_no_best(folder: Path, last: Path) -> str:
    file = folder / "config.json"
    content = read_json(file) if file.exists() else {}
    if content.get("pulled"):
        return "it was pulled, and holds one policy"
    if kind_of(content, file) == "cloning":
        return "behavioural cloning keeps one policy, the best by its validation score"
    config = checkpoint.config_of(checkpoint.read_of_run(folder, last), last)
    return f"no periodic evaluation yet (--eval_every {config.eval_every})"


def evaluate_run(
    run: str | Path,
    episodes: int,
    stochastic: bool,
    which: str,
    seed: int,
    workers: Workers,
    success: str | None = None,
    env: str | None = None,
) -> tuple[dict[str, Any], LoadedPolicy]:
    """Returns of a run's policy over whole episodes, in the environment that it was trained in or in another one, and the
    share of successes if it is known; `success` is a rule in place of the run's. And that policy: a run that goes on soon
    has another one. A collective."""
    if episodes < 1:
        raise UserError(f"--episodes: {episodes} given, at least 1 expected")
    torch.set_num_threads(1)
    policy = load_in_env(run, which, env, workers)
    for warning in vector.cautions(policy.spec) if workers.main else ():
        warn(warning)
    config = dataclasses.replace(policy.config, seed=seed, success=success or policy.config.success)
    evaluator = Evaluator(config, policy.own_spec, workers)
    done = evaluator.run(policy, episodes, FINAL, stochastic=stochastic)
    found = {
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
        **({} if done.success_rate is None else {SUCCESS: done.success_rate}),
    }
    return found, policy


def final_scores(evaluator: Evaluator, actor: Actor, episodes: int, expert: float | None) -> dict[str, Any]:
    """What a run's summary says of its policy: the deterministic return over `episodes`, beside the expert's (as given)
    and the random policy's; None if there are no episodes. Successes are there if they are known of all episodes. A
    collective. Raises GivenUp as the evaluator does."""
    learned = evaluator.run(actor, episodes, FINAL) if episodes else None
    by_chance = evaluator.random(episodes) if episodes else None
    drawn = by_chance.returns if by_chance else None
    random = float(drawn.mean()) if drawn is not None else None
    mean = float(learned.returns.mean()) if learned else None
    return {
        "return_mean": mean,
        "return_std": float(learned.returns.std()) if learned else None,
        "episodes": episodes,
        "expert_return_mean": expert,
        "random_return_mean": random,
        "random_return_std": float(drawn.std()) if drawn is not None else None,
        "scaled_score": scaled_score(mean, expert, random),
        "returns": learned.returns.tolist() if learned else [],
        "lengths": learned.lengths.tolist() if learned else [],
        "success_rate": learned.success_rate if learned else None,
        "random_success_rate": by_chance.success_rate if by_chance else None,
        "successes": learned.successes.tolist() if learned and np.isfinite(learned.successes).all() else [],
    }
