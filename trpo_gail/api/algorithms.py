"""GAIL, TRPO and PPO as Stable-Baselines' users call them. Parameters whose default is None take the preset's value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trpo_gail.api.learning import LearningModel


def _given(parameters: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are given, by whatever names."""
    return {name: value for name, value in parameters.items() if value is not None} | dict(fields)


class GAIL(LearningModel):
    """Generative adversarial imitation learning."""

    def __init__(
        self,
        policy: Any,
        env: Any,
        expert_dataset: Any = None,
        hidden_size_adversary: int | None = None,
        adversary_entcoeff: float | None = None,
        g_step: int | None = None,
        d_step: int | None = None,
        d_stepsize: float | None = None,
        verbose: int = 0,
        *,
        gamma: float | None = None,
        timesteps_per_batch: int | None = None,
        max_kl: float | None = None,
        cg_iters: int | None = None,
        lam: float | None = None,
        entcoeff: float | None = None,
        cg_damping: float | None = None,
        vf_stepsize: float | None = None,
        vf_iters: int | None = None,
        hidden_size: int | tuple[int, ...] | None = None,
        seed: int | None = 0,
        generator: str | Callable[..., Any] = "trpo",
        adversary: str | Callable[..., Any] = "gail",
        preset: str = "default",
        tensorboard_log: str | Path | None = None,
        run_folder: str | Path | None = None,
        policy_kwargs: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """A model that imitates `expert_dataset` in `env`. A collective. Raises UserError, in one line.

        `policy` is "MlpPolicy", "CnnPolicy" or "MultiInputPolicy" (all mean the same: the observations decide the
        networks), or a network of your own. `env` is an id, a gymnasium.Env, a function that makes one, or a vector
        environment; an object is copied. `expert_dataset` is an `ExpertDataset`, `Demonstrations`, the path of a file
        of any format, a list of episodes, or arrays. `hidden_size` is the size of the layers of policy and critic.
        `seed=None` draws a seed. If `run_folder` is given, a run folder is written there for `trpo-gail report` and
        other commands. `fields` are any other fields of the config, by path (critic__fit) or by last name (num_envs).
        """
        named = {
            "hidden_size_adversary": hidden_size_adversary, "adversary_entcoeff": adversary_entcoeff, "g_step": g_step,
            "d_step": d_step, "d_stepsize": d_stepsize, "gamma": gamma, "timesteps_per_batch": timesteps_per_batch,
            "max_kl": max_kl, "cg_iters": cg_iters, "lam": lam, "entcoeff": entcoeff, "cg_damping": cg_damping,
            "vf_stepsize": vf_stepsize, "vf_iters": vf_iters, "hidden_size": hidden_size,
        }  # fmt: skip
        self._make(
            policy, env, expert_dataset, preset=preset, choices={"generator": generator, "adversary": adversary},
            seed=seed, verbose=verbose, tensorboard_log=tensorboard_log, run_folder=run_folder,
            policy_kwargs=policy_kwargs, fields=_given(named, fields),
        )  # fmt: skip


class TRPO(LearningModel):
    """Trust region policy optimisation, on the environment's own reward."""

    def __init__(
        self,
        policy: Any,
        env: Any,
        gamma: float | None = None,
        timesteps_per_batch: int | None = None,
        max_kl: float | None = None,
        cg_iters: int | None = None,
        lam: float | None = None,
        entcoeff: float | None = None,
        cg_damping: float | None = None,
        vf_stepsize: float | None = None,
        vf_iters: int | None = None,
        verbose: int = 0,
        *,
        hidden_size: int | tuple[int, ...] | None = None,
        seed: int | None = 0,
        preset: str = "default",
        tensorboard_log: str | Path | None = None,
        run_folder: str | Path | None = None,
        policy_kwargs: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """As `GAIL`, without demonstrations."""
        named = {
            "gamma": gamma, "timesteps_per_batch": timesteps_per_batch, "max_kl": max_kl, "cg_iters": cg_iters,
            "lam": lam, "entcoeff": entcoeff, "cg_damping": cg_damping, "vf_stepsize": vf_stepsize, "vf_iters": vf_iters,
            "hidden_size": hidden_size,
        }  # fmt: skip
        self._make(
            policy, env, None, preset=preset, choices={"generator": "trpo", "adversary": "env_reward"}, seed=seed,
            verbose=verbose, tensorboard_log=tensorboard_log, run_folder=run_folder, policy_kwargs=policy_kwargs,
            fields=_given(named, fields),
        )  # fmt: skip


class PPO(LearningModel):
    """Proximal policy optimisation, on the environment's own reward."""

    def __init__(
        self,
        policy: Any,
        env: Any,
        learning_rate: float | None = None,
        timesteps_per_batch: int | None = None,
        batch_size: int | None = None,
        n_epochs: int | None = None,
        gamma: float | None = None,
        lam: float | None = None,
        clip_range: float | None = None,
        entcoeff: float | None = None,
        verbose: int = 0,
        *,
        max_grad_norm: float | None = None,
        target_kl: float | None = None,
        vf_stepsize: float | None = None,
        vf_iters: int | None = None,
        hidden_size: int | tuple[int, ...] | None = None,
        seed: int | None = 0,
        preset: str = "default",
        tensorboard_log: str | Path | None = None,
        run_folder: str | Path | None = None,
        policy_kwargs: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """As `GAIL`, without demonstrations."""
        named = {
            "learning_rate": learning_rate, "timesteps_per_batch": timesteps_per_batch, "batch_size": batch_size,
            "n_epochs": n_epochs, "gamma": gamma, "lam": lam, "clip_range": clip_range, "entcoeff": entcoeff,
            "max_grad_norm": max_grad_norm, "target_kl": target_kl, "vf_stepsize": vf_stepsize, "vf_iters": vf_iters,
            "hidden_size": hidden_size,
        }  # fmt: skip
        self._make(
            policy, env, None, preset=preset, choices={"generator": "ppo", "adversary": "env_reward"}, seed=seed,
            verbose=verbose, tensorboard_log=tensorboard_log, run_folder=run_folder, policy_kwargs=policy_kwargs,
            fields=_given(named, fields),
        )  # fmt: skip
