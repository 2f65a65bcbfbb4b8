"""Demonstrations from a model or a function, as Stable-Baselines' `generate_expert_traj` records them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.api import elsewhere
from trpo_gail.api.model import Model
from trpo_gail.api.words import in_words, keyword
from trpo_gail.envs import repeating, sources, vector
from trpo_gail.errors import UserError, listed
from trpo_gail.experts import structured
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.policies.function import FunctionPolicy
from trpo_gail.experts.save import save
from trpo_gail.parallel import Workers
from trpo_gail.runs.evaluate import Acting
from trpo_gail.runs.record import episodes_of
from trpo_gail.sampling.rollout import Actor
from trpo_gail.spaces import alike
from trpo_gail.spaces.spec import ActionView, EnvSpec
from trpo_gail.system import typed, whole_file, working_folder

MOST_ENVS = 10  # that play together
_HARMLESS = ("VecMonitor", "VecCheckNan")  # wrappers of vector environments that leave observations as they are


@partial(in_words, name=lambda path: {"policy": "model"}.get(path, keyword(path)))  # who plays is its first parameter
def generate_expert_traj(
    model: Any,
    save_path: str | Path | None = None,
    env: Any = None,
    n_timesteps: int = 0,
    n_episodes: int = 100,
    *,
    deterministic: bool = True,
    seed: int = 0,
    **others: Any,
) -> dict[str, np.ndarray]:
    """Record whole episodes: the arrays of Stable-Baselines' layout, also written to SAVE_PATH.npz if a path is given; to a
    native file if it ends in .h5. A collective: rank 0 records, and all ranks get the arrays.

    `model` has a method `predict`, as models of this package and of Stable-Baselines3 have, or is a function of one
    observation. If `n_timesteps` is given, the model first learns for that many steps. `env` is what `GAIL` takes; by
    default it is the model's own. Only the model sees what VecNormalize makes of the observations: the episodes hold
    the environment's own. `deterministic` actions are the default, since they make the better expert. Raises UserError.
    """
    elsewhere.refuse("generate_expert_traj", generate_expert_traj, others)
    n_episodes, seed = typed.whole("n_episodes", n_episodes), typed.whole("seed", seed, 0)
    typed.whole("n_timesteps", n_timesteps, 0)
    if isinstance(model, type):
        raise UserError(f"model: the class {model.__name__} given, an object of it expected: {model.__name__}(...)")
    if not callable(model) and not hasattr(model, "predict"):
        raise UserError(f"model: {type(model).__name__} given, expected a function or an object that has predict")
    workers = Workers.world()
    with workers.alike("generate_expert_traj"):
        out = workers.together(lambda: _file(save_path, workers.main))
        if isinstance(model, Model):
            _check_layout(out, model.spec)  # before it learns
        if n_timesteps:
            if not hasattr(model, "learn"):
                raise UserError(f"n_timesteps: {n_timesteps} given, but {type(model).__name__} has no method learn")
            model.learn(n_timesteps)

        def record() -> dict[str, np.ndarray] | None:
            if not workers.main:
                return None
            made = _recorded(model, env, n_episodes, deterministic, seed, out)
            if out is not None:
                save(out, made, "native" if _is_native(out) else "stable_baselines")
            return _arrays(made)

        found = workers.share(workers.together(record))
        assert found is not None
        return found


@working_folder.kept()
def _recorded(model: Any, env: Any, episodes: int, deterministic: bool, seed: int, out: Path | None) -> Demonstrations:
    env_id, source, seen = _environment(model, env)
    settings: dict[str, Any] = {"source": source}
    if env is None and isinstance(model, Model):
        own = model.config.env_settings
        settings |= own | {"scale": False}  # it gives actions in the environment's units
    made = vector.make_together(env_id, min(episodes, MOST_ENVS), **settings)
    try:
        _check_layout(out, made.spec)
        for text in repeating.own_statistics(made):
            warnings.warn(text, stacklevel=5)
        actor, view = _actor(model, made.spec, seen, deterministic)
        name = type(model).__name__ if hasattr(model, "predict") else getattr(model, "__name__", "a function")
        by_name = source is None or source.reference.lacks is None
        return episodes_of(
            made,
            actor,
            episodes,
            seed=seed,
            deterministic=deterministic,
            action_view=view,
            policy=name,
            by_name=by_name,
        )
    finally:
        made.close()


def _environment(model: Any, env: Any) -> tuple[str, sources.Source | None, Callable[[Any], Any]]:
    """Its id, its source if it is an object, and what the model sees of its observations. Raises UserError."""
    if env is None and isinstance(model, Model):
        model._require_env()
        return model.config.env, model._source, _as_it_is
    if env is None:
        env = model.get_env() if hasattr(model, "get_env") else getattr(model, "env_id", None)
    if env is None:
        raise UserError("env: not given, and the model has none: an environment to play in expected")
    if isinstance(env, str):
        return env, None, _as_it_is
    env, seen = _unwrapped(env)
    source = sources.of(env)
    return source.reference.task, source, seen


def _as_it_is(observation: Any) -> Any:
    return observation


def _unwrapped(env: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The environment within the wrappers of Stable-Baselines3's vector environments, and how these show observations."""
    normalisers: list[Any] = []
    while hasattr(env, "venv"):
        if hasattr(env, "normalize_obs"):
            normalisers.insert(0, env)
        elif type(env).__name__ not in _HARMLESS:
            raise UserError(f"env: {type(env).__name__} changes observations in a way that no file keeps")
        env = env.venv

    def seen(observation: Any) -> Any:
        for normaliser in normalisers:
            observation = normaliser.normalize_obs(observation)
        return observation

    return env, seen


def _actor(model: Any, spec: EnvSpec, seen: Callable[[Any], Any], deterministic: bool) -> tuple[Actor, ActionView]:
    """What plays, and the view of its actions."""
    if isinstance(model, Model):
        alike.check_same(spec, model.spec, "env")
        return Acting(model.policy.actor(), model.spec), model.spec.action_view
    if not hasattr(model, "predict"):
        return FunctionPolicy(model, getattr(model, "__name__", "a function")).for_env(spec), "raw"

    def act(observation: Any) -> Any:
        found = model.predict(seen(observation), deterministic=deterministic)
        return found[0] if isinstance(found, tuple) else found

    return FunctionPolicy(act, f"{type(model).__name__}.predict").for_env(spec), "executed"


def _file(path: Any, writes: bool) -> Path | None:
    """The file that is written for a `save_path`; None for none. Raises UserError, on the rank that writes it and before
    the work, if it cannot be."""
    if path is None:
        return None
    file = whole_file.named("save_path", path)
    if file.name and not (_is_native(file) or file.suffix == ".npz"):
        file = file.with_name(f"{file.name}.npz")
    if writes:
        whole_file.check("save_path", file)
    return file


def _is_native(file: Path) -> bool:
    return file.suffix == ".h5"


def _check_layout(file: Path | None, spec: EnvSpec) -> None:
    """Raise UserError if the file's layout cannot hold the environment's observations."""
    parts = [part.name for part in spec.observations.parts if part.path]
    if file is not None and parts and not _is_native(file):
        raise UserError(
            f"save_path: {file}: Stable-Baselines' layout holds one array of observations, but the environment "
            f"{spec.id!r} has the parts {listed(parts)}: a path that ends in .h5 holds them"
        )


def _arrays(made: Demonstrations) -> dict[str, Any]:
    """As Stable-Baselines returns them: labels are columns [N, 1]."""
    returns = made.finished_returns
    return {
        "obs": made.observations,
        "actions": structured.columns(made.actions),
        "rewards": made.rewards,
        "episode_returns": np.zeros(0) if returns is None else returns,
        "episode_starts": made.steps == 0,
    }
