"""What a tree is refused for: a value out of its range, a field that decides nothing, fields that do not go together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trpo_gail.config import idle
from trpo_gail.config.leaves import REQUIRED, flatten, leaves
from trpo_gail.config.marks import Range
from trpo_gail.errors import UserError
from trpo_gail.system import typed


def ranges(tree: Any) -> None:
    """Raise UserError, which names the flag, for a value that is not of its field's type, not finite, or out of the range
    beside its field."""
    values(type(tree), flatten(tree))


def values(cls: type, flat: Mapping[str, Any]) -> None:
    """The same of some values of a class, by path: for the flags of a command, which no tree checks."""
    for path, leaf in leaves(cls).items():
        value = flat.get(path)
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{path}: {value} is not a finite number")
        if path in flat:
            typed.check(value, leaf.hint, f"--{path}")
        if value == "" != leaf.default and leaf.default is not REQUIRED and not leaf.marks:
            raise UserError(
                f"--{path}: an empty text given, as of a shell's variable that is not set; a value expected"
            )
        for mark in leaf.marks:
            if isinstance(mark, Range) and value is not None and (problem := mark.problem(value)):
                raise UserError(f"--{path}: {problem}")


def training(config: Any) -> None:
    """Raise UserError for anything in a `Config` that cannot be meant, naming the flag."""
    ranges(config)
    _demonstrations(config)
    _reward_file(config)
    _batch(config)
    _warmup(config)
    idle.check(type(config), flatten(config))
    _recomputed_advantages(config)
    _discriminator(config)


def _demonstrations(config: Any) -> None:
    if config.normalise_from_expert and config.expert is None and not config.imitates:
        raise UserError(
            "--normalise_from_expert: there are no demonstrations (--expert) to start from (--no_normalise_from_expert)"
        )


def _reward_file(config: Any) -> None:
    if config.adversary == "exported" and config.reward_file is None:
        raise UserError("--adversary exported: --reward_file expected, a file of `trpo-gail export RUN --reward FILE`")


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


def _discriminator(config: Any) -> None:
    """What does not go together in a discriminator."""
    d = config.discriminator
    pairs = [
        (d.mixup > 0, "mixup", d.mixup),
        (bool(d.gradient_penalty) and d.gradient_penalty_at == "between", "gradient_penalty_at", d.gradient_penalty_at),
    ]
    for wanted, name, value in pairs:
        if wanted and d.expert_batch_size is not None:
            raise UserError(
                f"--discriminator.{name}: {value} given, which pairs an expert's row with each of the learner's, but "
                "--discriminator.expert_batch_size makes other numbers of them: expected without it"
            )
    if d.positive_prior is not None and (d.mixup or d.label_smoothing):
        other = "mixup" if d.mixup else "label_smoothing"
        raise UserError(
            f"--discriminator.positive_prior: {d.positive_prior} given, but --discriminator.{other} changes the labels, too: "
            "expected one of the two"
        )
    bounded = d.spectral_norm or d.may_penalise
    if d.loss == "wasserstein" and not bounded:
        raise UserError(
            "--discriminator.loss: wasserstein given, which has no bound by itself: expected "
            "--discriminator.gradient_penalty (10 is usual) or --discriminator.spectral_norm"
        )
    if d.mixup and d.label_smoothing:
        raise UserError(
            f"--discriminator.mixup: {d.mixup} given, which makes labels of its own, but --discriminator.label_smoothing "
            "changes them, too: expected one of the two"
        )
    if config.adversary == "airl":
        _airl(d)
    if config.adversary in ("fem", "gtal", "constant") and d.reward not in ("auto", "-log(1-D)", "log(D)"):
        raise UserError(
            f"--discriminator.reward: {d.reward} given, but --adversary {config.adversary} has no logit, and takes a sign "
            "alone: expected auto, -log(1-D) or log(D)"
        )


def _airl(d: Any) -> None:
    """What AIRL's logit, which holds log pi(a|s), rules out."""
    for name, wrong in (
        ("loss", d.loss if d.loss != "cross-entropy" else None),
        ("mixup", d.mixup or None),
        ("replay_iterations", d.replay_iterations or None),
        ("absorbing", d.absorbing or None),
        ("network", d.network),
    ):
        if wrong is not None:
            raise UserError(
                f"--discriminator.{name}: {wrong} given, but --adversary airl has a logit with log pi(a|s) in it, for which "
                "this is not defined: expected --adversary gail"
            )
