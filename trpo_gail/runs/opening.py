"""What is decided before the first iteration, in the words that a person sees: of a run, and of a model with `verbose`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from trpo_gail.adversaries import rewards
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.config import choices
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.envs import repeating, vector
from trpo_gail.envs.sources import Source
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.experts import describe
from trpo_gail.experts.checks import cautions as of_demonstrations
from trpo_gail.experts.checks import fit
from trpo_gail.experts.data import Demonstrations
from trpo_gail.parallel import Workers
from trpo_gail.runs import start
from trpo_gail.runs.setting import Setting
from trpo_gail.sampling.sampler import Sampler
from trpo_gail.spaces.spec import EnvSpec

_WEIGHT = "discriminator.gradient_penalty"


def setting_line(config: Config, setting: Setting, workers: Workers) -> str:
    """Environment, ranks, threads and actions."""
    return (
        f"{config.env} by {setting.backend}, {config.num_envs} environments, "
        f"{workers.size} rank(s) of {workers.threads()} thread(s), {torch.get_num_threads()} for the networks, "
        f"actions {setting.actions} ({setting.reason})"
    )


def expert_lines(config: Config, spec: EnvSpec, expert: Demonstrations | None) -> Iterator[str]:
    """The demonstrations with their return, and the form of reward with why it was chosen."""
    if expert is not None:
        yield f"expert: {describe.selection(expert)}"
        if _has_form(config) and (line := rewards.why(config, expert.ends, spec.max_episode_steps)):
            yield line


def cautions(
    config: Config,
    env: VectorEnv,
    expert: Demonstrations | None,
    task: str,
    source: Source | None = None,
    resumed: bool = False,
) -> Iterator[str]:
    """What to warn of before training in an environment, which `source` may have made; `task` names whose returns it
    has. On a resume, the environments are where they were, so that no other one is stepped beside them."""
    spec = env.spec
    yield from vector.cautions(spec)
    if not resumed:
        yield from repeating.cautions(config, env, source)
    if expert is not None:
        limit = spec.max_episode_steps
        reward = rewards.chosen(config, expert.ends, limit) if _has_form(config) else None
        yield from of_demonstrations.of_run(expert, task, reward, config.env_arguments if source is None else None)
        yield from spec.observations.codes(expert.observations)
        if config.init_policy in (None, start.CLONE):
            yield from fit.beyond_reach(expert, spec, config.policy.init_log_std)
        if expert.ends is None and limit is None and (seen := _ends_seen(config)):
            yield (
                f"{expert.path}: does not say how episodes end, and {spec.id} has no time limit by which their lengths could "
                f"tell: {seen} sees ends of the learner alone; expected 'terminals', or --max_episode_steps"
            )
    if idle := _idle_penalty(config, spec):
        yield f"--{idle}: given, but D sees images, where the penalty's weight is 0 by itself: expected --{_WEIGHT}, too"
    if config.adversary == "airl" and spec.action_view == "raw" and spec.actions.bounds is not None:
        yield (
            "--adversary airl pays for a wide spread, and raw actions beyond a bound are executed as the bound, so "
            "the spread may grow without limit: --actions executed takes all that is beyond a bound for one action"
        )


def _idle_penalty(config: Config, spec: EnvSpec) -> str | None:
    """A flag of the gradient penalty that was given, though what D sees leaves the penalty without a weight."""
    d, plain = config.discriminator, DiscriminatorConfig()
    if config.adversary not in ("gail", "airl") or d.gradient_penalty is not None or d.loss == "wasserstein":
        return None
    seen = {*d.inputs, "state"} if config.adversary == "airl" and config.airl.shaping else d.inputs
    if not Inputs(spec, seen, d.ignore).observed.columns("image").any():
        return None
    names = (f"gradient_penalty_{name}" for name in ("at", "target", "sides"))
    return next((f"discriminator.{name}" for name in names if getattr(d, name) != getattr(plain, name)), None)


def _ends_seen(config: Config) -> str | None:
    """The flag by which the adversary sees that an episode ended by termination; None if it does not."""
    if config.adversary in ("gail", "airl") and "done" in config.discriminator.inputs:
        return "--discriminator.inputs done"
    return "--adversary airl" if config.adversary == "airl" and config.airl.shaping else None


def unresolved(sampler: Sampler) -> list[str]:
    """What to warn of after the first batch, once."""
    said, sampler.unresolved = sampler.unresolved, []
    return said


def strayed(sampler: Sampler) -> list[str]:
    """A warning if environments did not come back to where they were. A collective."""
    number = int(sampler.workers.sum(np.array([sampler.strayed]))[0])
    if not number:
        return []
    return [
        f"{number} of {sampler.config.num_envs} environments did not come back to where they were, although they took the "
        f"same steps: {sampler.config.env}, a package or the processor is another one, or the seed does not decide all "
        "that it does, or it keeps something of earlier episodes. What follows "
        "is not what would have followed without the break"
    ]


def _has_form(config: Config) -> bool:
    return choices.reads(choices.ADVERSARIES, config.adversary, "discriminator.reward")
