"""Build a new learner from a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from trpo_gail.adversaries.adversary import Adversary
from trpo_gail.adversaries.adversary import Parts as AdversaryParts
from trpo_gail.adversaries.view import rounded
from trpo_gail.config import choices
from trpo_gail.config.tree import Config
from trpo_gail.critic import Critic
from trpo_gail.envs.failures import RAISED, described
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.errors import RunError, UserError, listed
from trpo_gail.generators.generator import Generator
from trpo_gail.generators.generator import Parts as GeneratorParts
from trpo_gail.learner import Learner
from trpo_gail.networks.placing import initial, place, share
from trpo_gail.networks.value import ValueNetwork
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.sampler import Sampler
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec

_STATE = ("state_dict", "load_state_dict")  # of all parts that learn


def make_policy(config: Config, spec: EnvSpec) -> Policy:
    """A new policy network, on the CPU."""
    with torch.random.fork_rng(devices=[]):  # torch's layers draw numbers that are overwritten: the caller's stay his
        return _policy(config, spec)


def _policy(config: Config, spec: EnvSpec) -> Policy:
    made = Policy.of(config.policy, spec, initial(config.seed, 0))
    return place(made, torch.device("cpu"), getattr(torch, config.dtype))


def make_learner(
    config: Config, env: VectorEnv, expert: Transitions | None, workers: Workers, policy: Policy | None = None
) -> Learner:
    """A new learner, with rank 0's parameters and buffers on all ranks. A collective.

    `policy` is used in place of the one that the config describes. With `init_policy` its observation statistics are
    its own, and stay.
    """
    with torch.random.fork_rng(devices=[]):  # as above
        return _made(config, env, expert, workers, policy or _policy(config, env.spec))


def _made(config: Config, env: VectorEnv, expert: Transitions | None, workers: Workers, own: Policy) -> Learner:
    device, dtype = workers.device(config.device), getattr(torch, config.dtype)
    policy = place(own, device, dtype)
    value = place(ValueNetwork(config.critic, env.spec, initial(config.seed, 1), config.policy.encoder), device, dtype)
    if config.normalise_from_expert and expert is not None:
        rows = torch.as_tensor(expert.observations, device=device)
        if config.init_policy is None:
            policy.normaliser.add(policy.normaliser.sums(rows))
        value.normaliser.add(value.normaliser.sums(rows))
    critic = Critic(config, value, env.spec.max_episode_steps, workers)
    generator = make_generator(config, policy, workers)
    adversary = make_adversary(config, env.spec, expert, policy, workers)
    share(workers, policy, value)
    return Learner(policy, critic, generator, adversary, Sampler(config, env, workers))


def make_generator(config: Config, policy: Policy, workers: Workers) -> Generator:
    """The part that improves the policy."""
    parts = GeneratorParts(policy, workers)
    made: Generator = _of_choice(choices.GENERATORS, config.generator, config, parts, ("step", *_STATE))
    if config.warmup_iterations and not hasattr(made, "rest"):
        raise UserError(
            f"--warmup_iterations: --generator {config.generator} has no method `rest`, which is needed then"
        )
    return made


def make_adversary(
    config: Config, spec: EnvSpec, expert: Transitions | None, policy: Policy, workers: Workers
) -> Adversary:
    """The part that computes the reward. A collective."""
    parts = AdversaryParts(spec, expert and _as_executed(expert, spec), policy, workers)
    needed = ("needs_log_prob", "reward", "fit", *_STATE)
    with torch.random.fork_rng(devices=[]):  # as above
        made: Adversary = _of_choice(choices.ADVERSARIES, config.adversary, config, parts, needed)
    return made


def _as_executed(expert: Transitions, spec: EnvSpec) -> Transitions:
    """The expert's rows, with clipped actions if the learner's are clipped: a file of raw samples, which --actions executed
    was given for, would be told from the learner's by those outside the bounds."""
    shown = rounded(spec.shown(expert.actions), expert.actions.dtype)
    return expert if np.array_equal(shown, expert.actions) else dataclasses.replace(expert, actions=shown)


def _of_choice(table: choices.Table, name: str, config: Config, parts: Any, needed: Sequence[str]) -> Any:
    """What the row of a name makes. Raises UserError if a user's own code fails, or makes what lacks something needed."""
    build = choices.find(table, name).load()
    if name in table:
        return build(config, parts)
    try:
        made = build(config, parts)
    except (UserError, RunError):
        raise
    except RAISED as error:
        raise UserError(f"--{table.flag}: {name}(config, parts): {described(error)}") from error
    if lacks := [attribute for attribute in needed if not hasattr(made, attribute)]:
        raise UserError(f"--{table.flag}: {name} made {type(made).__name__}, which lacks {listed(lacks)}")
    return made
