"""Record demonstrations: run a policy for a number of whole episodes and write the native file."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trpo_gail.envs.repeating import own_statistics
from trpo_gail.envs.vector import Backend, VectorEnv, cautions, make_together
from trpo_gail.errors import UserError, shortened
from trpo_gail.experts import arrays, structured
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import LIMIT, TERMINAL, Provenance
from trpo_gail.experts.policies import function, greedy
from trpo_gail.experts.policies.noisy import Noisy
from trpo_gail.experts.rows import check_names
from trpo_gail.experts.save import check_ending, save
from trpo_gail.experts.subsampling import paper_offsets, paper_rows
from trpo_gail.runs.experts import load_actor
from trpo_gail.sampling.rollout import Actor, BlockedNoise, Rollout, collect_episodes, no_noise
from trpo_gail.seeding import RECORD_NOISE, RECORD_RESET, reset_seeds
from trpo_gail.spaces import alike
from trpo_gail.spaces.as_json import space_to_json
from trpo_gail.spaces.layout import Layout
from trpo_gail.spaces.spec import ActionView, EnvSpec
from trpo_gail.system import whole_file, working_folder

NUM_ENVS = 50
MOST_TRIES = 100  # for one episode of `min_return`, before giving up


@working_folder.kept()
def record(
    env_id: str,
    policy_path: str | Path,
    episodes: int,
    out: str | Path,
    *,
    seed: int = 0,
    deterministic: bool = False,
    noise: float = 0.0,
    min_return: float | None = None,
    snapshot: str | None = None,
    num_envs: int = NUM_ENVS,
    backend: Backend = "auto",
    env_kwargs: Mapping[str, Any] | None = None,
    action_view: ActionView | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    subsample: int = 1,
    threads: int = 1,
    licence: str | None = None,
    attribution: str | None = None,
    max_episode_steps: int | None = None,
    overwrite: bool = False,
    warn: Callable[[str], None] = warnings.warn,
) -> Demonstrations:
    """Run `episodes` whole episodes of the policy at `policy_path` and write them to `out`; returns what was written.

    Each episode has random streams of its own, by its number, so that which episodes come out depends neither on
    `num_envs` nor on `episodes` (to the bit with the paper's policies; others may round by the batch's size), and short
    ones are not favoured. `executed` actions are clipped before the environment gets them and stored so, `raw` ones are
    neither; by default as the policy acts, the paper's raw. Observations, actions and rewards are stored as `dtype`; of
    the rows, those that the paper keeps with `subsample`. `warn` is called if the policy is another task's.

    `noise` disturbs the actions (`experts.policies.noisy`); with `min_return` episodes that return less are left out, and the
    first `episodes` of the others are kept; `snapshot` is one of several policies that a source holds.

    Raises UserError for a policy that does not fit the environment, an `out` that exists (unless `overwrite`) or cannot
    be written, and all that `make`, `load_actor` and `save` raise.
    """
    check_request(episodes, num_envs, subsample, noise, Path(out), overwrite, seed)
    out = Path(out).absolute()  # an environment may change the working directory
    if str(policy_path) == greedy.NAME:
        greedy.refuse_another_course(env_kwargs or {})
    actor = load_actor(policy_path, env_id, snapshot)
    most = min(num_envs, episodes)
    env = make_together(env_id, most, backend, env_kwargs, threads, max_episode_steps=max_episode_steps)
    try:
        if fitted := getattr(actor, "for_env", None):
            actor = fitted(env.spec)
        _check_fit(actor, env.spec, policy_path)
        check_names(env.spec)
        for warning in (*cautions(env.spec), *own_statistics(env)):
            warn(warning)
        if other := _other_task(actor, env_id, dict(env_kwargs or {}), policy_path):
            warn(other)
        view = _view(actor, action_view, policy_path)
        acting: Actor = Noisy(actor, noise, env.spec, deterministic) if noise else actor
        acting = _Clipped(acting, env.spec.viewed(view)) if view == "executed" else acting
        still = deterministic and not noise
        kept = None if min_return is None else _Kept(min_return, episodes, warn)
        runs = _run(env, acting, episodes, seed, still, subsample, dtype, kept, actor)
        spec = env.spec
    finally:
        env.close()
    origin = _origin(
        spec,
        view,
        env_id=env_id,
        env_kwargs=dict(env_kwargs or {}),
        policy=getattr(actor, "description", Path(policy_path).name) + _choices(noise, min_return),
        policy_sha256=getattr(actor, "checksum", None),
        deterministic=not noise and (deterministic or actor.noise_size == 0),
        seed=seed,
        licence=licence or getattr(actor, "licence", None),
        attribution=attribution or getattr(actor, "attribution", None),
    )
    demonstrations = _demonstrations(runs, spec, dtype, subsample, origin)
    save(out, demonstrations)
    return demonstrations


def episodes_of(
    env: VectorEnv,
    actor: Actor,
    episodes: int,
    *,
    seed: int,
    deterministic: bool,
    action_view: ActionView,
    policy: str,
    by_name: bool = True,
) -> Demonstrations:
    """Whole episodes of an actor in environments that take its actions as they are: as `record`, and nothing is written.
    `policy` describes it. `by_name`: whether the id and its arguments made the environments; an object's are not known, and
    no backend is kept then, with which a file states them. Raises UserError, and RunError for what the environment does."""
    spec, dtype = env.spec, "float32"
    check_names(spec)
    runs = _run(env, actor, episodes, seed, deterministic, 1, dtype, None, actor)
    more = {"env_id": spec.id, "policy": policy, "deterministic": deterministic, "seed": seed}
    origin = _origin(spec, action_view, env_kwargs=dict(spec.kwargs), **more)
    origin = origin if by_name else replace(origin, backend=None)
    made = _demonstrations(runs, spec, dtype, 1, origin)
    return replace(made, path=f"episodes of {policy}")


def _origin(spec: EnvSpec, view: ActionView, **more: Any) -> Provenance:
    """Where episodes come from that were run in an environment: what its spec says, and `more`."""
    return Provenance(
        observation_space=space_to_json(spec.observation_space),
        action_space=space_to_json(spec.executed_space),
        action_view="raw" if spec.actions.bounds is None else view,
        backend=spec.backend,
        versions=_versions(spec.backend),
        **more,
    )


def check_request(
    episodes: int, num_envs: int, subsample: int, noise: float, out: Path, overwrite: bool, seed: int
) -> None:
    """Before the work, not after it."""
    if not 0 <= seed < 2**63:  # a file of HDF5 holds no larger one
        raise UserError(f"--seed: expected a number from 0 to 2^63 - 1, found {seed}")
    if not 0.0 <= noise < math.inf:
        raise UserError(f"--noise: expected a number of at least 0, found {noise}")
    if episodes < 1:
        raise UserError(f"--episodes: expected at least 1, found {episodes}")
    if num_envs < 1:
        raise UserError(f"--num_envs: expected at least 1, found {num_envs}")
    if subsample < 1:
        raise UserError(f"--subsample: expected at least 1, found {subsample}")
    whole_file.check("--out", out)
    check_ending(out)
    if out.exists() and not overwrite:
        raise UserError(f"--out {out}: the file exists; remove it or choose another name")


def _choices(noise: float, min_return: float | None) -> str:
    """What was done to a policy's episodes, for whoever learns from them."""
    said = [f"noise {noise:g}"] if noise else []
    said += [f"episodes of return {min_return:g} or more"] if min_return is not None else []
    return "".join(f", {what}" for what in said)


def _nothing() -> None:
    """For an actor that keeps no count of steps."""


def _check_fit(actor: Actor, spec: EnvSpec, path: str | Path) -> None:
    """Where a policy states its sizes, they must be the environment's."""
    expected = {
        "observation_size": spec.observation_size,
        "discrete": spec.actions.whole,
        "action_size": spec.action_size,
    }
    for name, wanted in expected.items():
        found = getattr(actor, name, wanted)
        if found != wanted:
            raise UserError(f"{path}: {name}: expected {wanted} as the environment {spec.id!r} has, found {found}")
    if own := getattr(actor, "own_spec", None):
        alike.check_fits(spec, own, f"environment {spec.id!r}")


def _other_task(actor: Actor, env_id: str, kwargs: dict[str, Any], path: str | Path) -> str | None:
    """What to warn of if a policy says that it is another task's. Versions of an environment are one task."""
    trained: str | None = getattr(actor, "env_id", None)
    if trained is None:
        return None
    if _task(trained) != _task(env_id):
        return f"{path}: the policy is one for {shortened(trained, 60)}, not for {env_id}: its episodes are no expert's"
    config = getattr(actor, "config", None)
    if config is not None and config.env_arguments != kwargs:
        before, now = (shortened(json.dumps(given), 60) for given in (config.env_arguments, kwargs))
        return f"{path}: the policy was trained with --env_kwargs '{before}', and is recorded with '{now}'"
    return None


def _task(env_id: str) -> str:
    """An environment's name without module, namespace and version: `hopper` of Paper/Hopper-v1 as of Hopper-v4."""
    return re.sub(r"-v\d+$", "", re.split("[:/]", env_id)[-1]).lower()


def _view(actor: Actor, asked: ActionView | None, path: str | Path) -> ActionView:
    """A policy that clips its own actions cannot be recorded raw."""
    own: ActionView = getattr(actor, "action_view", "raw")
    if own == "executed" and asked == "raw":
        raise UserError(f"{path}: action_view: expected 'executed', since the policy clips its actions, found 'raw'")
    return asked or own


@dataclass(frozen=True)
class _Episode:
    """K rows of T steps, as the sampler keeps them."""

    observations: np.ndarray  # [K, O]
    actions: np.ndarray  # [K, A], [K] or [K, labels]
    rewards: np.ndarray  # [K] float64
    length: int  # T
    ret: float  # of all T steps
    terminated: bool
    final: np.ndarray  # [O], what was observed after the last action

    def every(self, subsample: int, start: int) -> _Episode:
        """Rows `start::subsample` alone, copied, so that the others take no memory."""
        kept = slice(start, None, subsample)
        return replace(
            self,
            observations=self.observations[kept].copy(),
            actions=self.actions[kept].copy(),
            rewards=self.rewards[kept].copy(),
        )


class _Kept:
    """Which episodes are kept: those that return enough. It says early that hardly any do, and gives up in the end."""

    def __init__(self, least: float, wanted: int, warn: Callable[[str], None]) -> None:
        self._least, self._wanted, self._warn = least, wanted, warn
        self._taken, self._best, self._warned = 0, -np.inf, False

    def takes(self, ret: float) -> bool:
        self._best = max(self._best, ret)
        self._taken += ret >= self._least
        return ret >= self._least

    def check(self, tried: int) -> None:
        """After a round. Raises UserError if so few return enough that the wanted number will hardly come."""
        most = MOST_TRIES * self._wanted
        said = (
            f"--min_return {self._least:g}: of {tried} episodes {self._taken} return so much, {self._wanted} expected (the "
            f"best returns {self._best:g})"
        )
        if self._taken < self._wanted and tried >= most:
            raise UserError(said)
        if not self._warned and self._taken < self._wanted and tried >= MOST_TRIES / 2 * (self._taken + 1):
            self._warned = True
            self._warn(f"{said}; after {most} it is given up")


def _run(
    env: VectorEnv,
    actor: Actor,
    episodes: int,
    seed: int,
    deterministic: bool,
    subsample: int,
    dtype: str,
    kept: _Kept | None,
    policy: Actor,
) -> list[_Episode]:
    """One episode per environment at a time, in order of their numbers; those that `kept` refuses are left out. `policy` is
    the actor itself, whatever `actor` makes of its actions."""
    begin, only_valid = getattr(policy, "begin", _nothing), function.is_own(policy)
    done: list[_Episode] = []
    start, tried = paper_offsets(episodes, subsample), 0
    while len(done) < episodes:
        numbers = range(tried, tried + env.num_envs)
        # The last round may need fewer; how many of them will be good is not known.
        wanted = np.array([number < episodes or kept is not None for number in numbers], np.int64)
        draw = no_noise(actor, env.num_envs) if deterministic else BlockedNoise(actor, seed, RECORD_NOISE, 0, numbers)
        seeds = reset_seeds(seed, RECORD_RESET, 0, numbers)
        begin()
        rollout, _ = collect_episodes(env, actor, seeds, draw, np.zeros_like(wanted), wanted, only_valid=only_valid)
        for n, number in enumerate(numbers):
            if wanted[n] and len(done) < episodes:
                episode = _episode(rollout, n, env.spec.id, number, dtype)
                if kept is None or kept.takes(episode.ret):
                    done.append(episode.every(subsample, start[len(done)]))
        tried += env.num_envs
        if kept is not None:
            kept.check(tried)
    return done


def _episode(rollout: Rollout, n: int, env_id: str, number: int, dtype: str) -> _Episode:
    rows = rollout.valid[:, n]
    rewards = rollout.rewards[rows, n]
    episode = _Episode(
        rollout.observations[:-1][rows, n],
        rollout.actions[rows, n],
        rewards,
        len(rewards),
        float(rewards.sum()),
        bool(rollout.terminated[rows, n][-1]),
        rollout.observations[np.flatnonzero(rows)[-1] + 1, n].copy(),
    )
    for name in ("observations", "actions", "rewards", "final"):
        values = getattr(episode, name).reshape(1 if name == "final" else len(rewards), -1)
        for problem, fine in (("not finite", np.isfinite(values)), (f"beyond {dtype}", _fits(values, dtype))):
            if not fine.all():
                step = int(np.argmin(fine.all(axis=1)))
                raise UserError(f"environment {env_id!r}: {name} {problem} at step {step} of episode {number}")
    return episode


def _fits(values: np.ndarray, dtype: str) -> np.ndarray:
    """Which values `dtype` can hold: bool, of their shape."""
    return np.abs(values) <= np.finfo(dtype).max


def _observed(rows: np.ndarray, layout: Layout, dtype: str) -> np.ndarray:
    """Rows [N, O] in the environment's own structure; floats as `dtype`, pixels and labels as they are."""
    if layout.is_plain:
        return rows.astype(dtype)
    return _as_columns(structured.with_floats(arrays.array(layout.named(rows), "observations"), dtype))


def _acted(rows: np.ndarray, spec: EnvSpec, dtype: str) -> np.ndarray:
    """Rows of actions in the environment's own shape and labels."""
    actions = spec.executed.outward(rows)
    return _as_columns(actions.astype(np.int64 if spec.executed.whole else dtype))


def _as_columns(values: np.ndarray) -> np.ndarray:
    """[N, 1] of floats [N], those of a Box without dimensions, as files have them."""
    return values[:, None] if values.ndim == 1 and values.dtype.kind == "f" else values


def _demonstrations(
    runs: list[_Episode], spec: EnvSpec, dtype: str, subsample: int, provenance: Provenance
) -> Demonstrations:
    lengths, terminated = np.array([run.length for run in runs]), np.array([run.terminated for run in runs])
    episode, steps = paper_rows(lengths, subsample)
    last = steps == lengths[episode] - 1
    return Demonstrations(
        observations=_observed(np.concatenate([run.observations for run in runs]), spec.observations, dtype),
        actions=_acted(np.concatenate([run.actions for run in runs]), spec, dtype),
        terminals=last & terminated[episode],
        timeouts=last & ~terminated[episode],
        steps=steps,
        episode_lengths=lengths,
        rewards=np.concatenate([run.rewards for run in runs]).astype(dtype),
        episode_returns=np.array([run.ret for run in runs]),
        final_observations=_observed(np.stack([run.final for run in runs]), spec.observations, dtype),
        subsample=subsample,
        # Most last rows, which say it, are left out.
        episode_endings=np.where(terminated, TERMINAL, LIMIT) if subsample > 1 else None,
        provenance=provenance,
    )


class _Clipped:
    """An actor whose actions are clipped to the bounds, for the environment and the file alike."""

    def __init__(self, actor: Actor, spec: EnvSpec) -> None:
        self.noise_kind, self.noise_size = actor.noise_kind, actor.noise_size
        self._actor, self._spec = actor, spec

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return self._spec.shown(self._actor.act(observations, noise))


def _versions(backend: str) -> dict[str, str]:
    """Versions of the libraries that the numbers depend on."""
    found = {}
    for name in ("numpy", "gymnasium", "mujoco", "envpool", "h5py"):
        if name == "envpool" and backend != "envpool":
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
