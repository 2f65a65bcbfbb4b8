"""What a tree is refused for: a value out of its range, a field that decides nothing, fields that do not go together."""

from __future__ import annotations

import math
from typing import Any

from trpo_gail.config import idle
from trpo_gail.config.leaves import flatten, leaves
from trpo_gail.config.marks import Range
from trpo_gail.errors import UserError


def ranges(tree: Any) -> None:
    """Raise UserError, which names the flag, for a value that is not finite or not in the range beside its field."""
    flat = flatten(tree)
    for path, leaf in leaves(tree.__class__).items():
        if isinstance(flat[path], float) and not math.isfinite(flat[path]):
            raise UserError(f"--{path}: {flat[path]} is not a finite number")
        for mark in leaf.marks:
            if isinstance(mark, Range) and flat[path] is not None and (problem := mark.problem(flat[path])):
                raise UserError(f"--{path}: {problem}")


def training(config: Any) -> None:
    """Raise UserError for anything in a `Config` that cannot be meant, naming the flag."""
    ranges(config)
    _demonstrations(config)
    _batch(config)
    _warmup(config)
    idle.check(type(config), flatten(config))
    _recomputed_advantages(config)


def _demonstrations(config: Any) -> None:
    if config.normalise_from_expert and config.expert is None and not config.imitates:
        raise UserError(
            "--normalise_from_expert: there are no demonstrations (--expert) to start from (--no_normalise_from_expert)"
        )


def _batch(config: Any) -> None:
    if config.sampling == "steps" and config.timesteps_per_batch <= config.num_envs:
        # The row after an episode's end is a reset; of two rows in a row one is a transition at least.
        raise UserError(
            f"--timesteps_per_batch: {config.timesteps_per_batch} given, more than --num_envs {config.num_envs} expected: "
            "each environment needs at least 2 rows of a batch, since one of them may be a reset"
        )


def _warmup(config: Any) -> None:
    if config.warmup_iterations and config.warmup_iterations * config.steps_per_iteration >= config.expected_steps:
        limit = "steps" if config.expected_steps == config.steps else "iterations"
        raise UserError(
            f"--warmup_iterations: {config.warmup_iterations} given, but --{limit} {getattr(config, limit)} ends the run "
            "before the policy takes a step"
        )


def _recomputed_advantages(config: Any) -> None:
    ppo, critic = config.ppo, config.critic
    if ppo.recompute_advantages and (critic.after_adversary or critic.fit != "adam"):
        raise UserError(
            "--ppo.recompute_advantages: the critic is fitted between passes then, one pass at a time, so that "
            "--critic.fit adam and --critic.no_after_adversary are expected"
        )
    if ppo.recompute_advantages and critic.vf_iters < ppo.n_epochs - 1:
        raise UserError(
            f"--critic.vf_iters: {critic.vf_iters} given, but --ppo.recompute_advantages makes a pass after each of "
            f"--ppo.n_epochs {ppo.n_epochs} but the last: at least {ppo.n_epochs - 1} expected"
        )
