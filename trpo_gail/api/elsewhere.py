"""Keywords and attributes of Stable-Baselines that are not there: what to write instead."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from trpo_gail.api.settings import path_of
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError

_EVALUATIONS = "use callback=EvalCallback(eval_env, eval_freq=..., n_eval_episodes=...)"
_SAID = {"verbose": "leave it out: verbose of the model prints what there is to say"}  # of all callbacks
_KEYWORDS = {
    "EvalCallback": _SAID
    | {
        "log_path": "leave it out: the records, and `evaluations` of the callback, have the returns",
        "render": "leave it out: `trpo-gail evaluate RUN --video FILE` films a policy",
        "warn": "leave it out",
    },
    "CheckpointCallback": _SAID
    | dict.fromkeys(("save_replay_buffer", "save_vecnormalize"), "leave it out: save writes all of the model"),
    "StopTrainingOnRewardThreshold": _SAID,
    "StopTrainingOnNoModelImprovement": _SAID,
    "StopTrainingOnMaxEpisodes": _SAID,
    "learn": {
        "eval_env": _EVALUATIONS,
        "eval_freq": _EVALUATIONS,
        "n_eval_episodes": _EVALUATIONS,
        "eval_log_path": "use callback=EvalCallback(eval_env, best_model_save_path=...)",
    },
    "load": {
        "device": "leave it out: a model stays on the device that it was made with",
        "custom_objects": "leave it out: a file names no classes, and loading it runs no code",
        "print_system_info": "leave it out",
        "force_reset": "leave it out: environments go on where they were",
    },
    "evaluate": {
        "n_eval_episodes": "use n_episodes",
        "render": "leave it out: `trpo-gail evaluate RUN --video FILE` films a policy",
        "return_episode_rewards": "leave it out: `returns` and `lengths` of what it gives are of each episode",
        "reward_threshold": "leave it out, and compare `mean` of what it gives",
        "warn": "leave it out",
    },
    "pretrain": {"adam_epsilon": "leave it out"},
    "generate_expert_traj": dict.fromkeys(
        ("image_folder", "image_extension"), "leave it out: a save_path that ends in .h5 holds images, too"
    ),
    "BC.learn": {
        "callback": "leave it out: `logger.records` has the validation scores",
        "n_batches": "use total_timesteps",
    },
    "predict": {"mask": "use episode_start, or leave it out: the policy keeps no state"},
    "ExpertDataset": {"sequential_preprocessing": "leave it out: pairs are held in memory, and no process reads them"},
}
_OF_MODELS = {
    "set_env": "load(path, env=...) learns on in another environment, evaluate(env=...) plays in one",
    "get_env": "keep the environment that you gave: the model has copies of it",
    "env": "keep the environment that you gave: the model has copies of it",
    "n_envs": "use config.num_envs",
    "get_parameters": "use policy.state_dict()",
    "set_parameters": "use policy.load_state_dict(...)",
    "load_parameters": "use policy.load_state_dict(...)",
    "action_probability": "use policy(policy.normaliser(rows)), the distribution for observations [B, O] in a tensor",
    "set_logger": "use logger.add_sink(function), or give tensorboard_log or run_folder when the model is made",
    "set_random_seed": "give seed when the model is made",
    "set_demonstrations": "give expert_dataset when the model is made",
    "get_vec_normalize_env": "leave it out: observations are standardised inside",
    "train": "use learn(total_timesteps)",
    "reward_net": "use reward_train, reward_test or discriminator.network",
}
_OF_DATASETS = {
    "plot": "use `trpo-gail data plot FILE`",
    "num_traj": "use demonstrations.trajectories",
    "num_transition": "use len(demonstrations.actions)",
    "avg_ret": "use demonstrations.return_mean",
    "std_ret": "use demonstrations.return_std",
    "returns": "use demonstrations.finished_returns",
    "observations": "use demonstrations.observations",
    "actions": "use demonstrations.actions",
    "get_next_batch": "leave it out: a model draws its pairs itself",
}
_GIVEN = "on_start(self, model) and after(self, model, record) are given the model"
_OF_CALLBACKS = {
    "n_calls": "count in after(self, model, record), or use record['iteration']",
    "num_timesteps": f"use model.num_timesteps: {_GIVEN}",
    "logger": f"use model.logger: {_GIVEN}",
    "model": _GIVEN,
    "training_env": _GIVEN,
    "locals": "use the record of after(self, model, record)",
    "globals": "use the record of after(self, model, record)",
}


def refuse(function: str, known: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise UserError for a keyword that a function has not, by the parameters of the `known` one."""
    for name in given:
        raise UserError(f"{name}: no parameter of {function}: {_instead(function, known, name)}")


def _instead(function: str, known: Callable[..., Any], name: str) -> str:
    if told := _KEYWORDS[function].get(name):
        return told
    parameters = inspect.signature(known).parameters.values()
    names = [one.name for one in parameters if one.name != "self" and one.kind is not one.VAR_KEYWORD]
    meant = get_close_matches(name, names, 1)
    return f"is {meant[0]!r} meant?" if meant else f"expected of {', '.join(names)}"


def of_model(owner: object, name: str) -> Any:
    """For `__getattr__` of a model. Raises AttributeError."""
    instead = _OF_MODELS
    if name not in instead and not name.startswith("_"):
        with contextlib.suppress(UserError):  # no setting either
            instead = {name: f"use config.{path_of(Config, name)}"}
    return _missing(owner, name, instead)


def of_dataset(owner: object, name: str) -> Any:
    """For `__getattr__` of an `ExpertDataset`. Raises AttributeError."""
    return _missing(owner, name, _OF_DATASETS)


def of_callback(owner: object, name: str) -> Any:
    """For `__getattr__` of a callback. Raises AttributeError."""
    return _missing(owner, name, _OF_CALLBACKS)


def _missing(owner: object, name: str, instead: Mapping[str, str]) -> Any:
    if name in instead:
        raise AttributeError(f"{type(owner).__name__} has no {name}: {instead[name]}", name=name, obj=owner)
    return object.__getattribute__(owner, name)  # raises what was raised before, also within a property
