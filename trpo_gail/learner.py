"""Everything that changes during training, and so everything that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from trpo_gail.adversaries.apprenticeship import Apprenticeship
from trpo_gail.adversaries.constant import ConstantReward
from trpo_gail.adversaries.discriminator import Discriminator, DiscriminatorNetwork
from trpo_gail.adversaries.env_reward import EnvReward
from trpo_gail.config.tree import Config
from trpo_gail.critic import Critic
from trpo_gail.envs.vector import VectorEnv
from trpo_gail.generators.ppo import PPO
from trpo_gail.generators.trpo import TRPO
from trpo_gail.networks.normaliser import sums
from trpo_gail.networks.value import ValueNetwork
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.batch import Batch
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.sampling.sampler import Sampler
from trpo_gail.seeding import INITIAL, stream_seed
from trpo_gail.spaces.spec import EnvSpec

Stats = dict[str, float]


class Generator(Protocol):
    """Improves the policy on one batch."""

    def step(self, batch: Batch, rng: np.random.Generator) -> Stats: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Adversary(Protocol):
    """Tells the expert from the learner, and pays the learner for being mistaken for the expert."""

    def reward(self, rollout: Rollout) -> np.ndarray: ...  # [T, N]
    def fit(self, rollouts: list[Rollout], rng: np.random.Generator) -> Stats: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Demonstrations:
    """What the adversary needs of the expert."""

    observations: np.ndarray  # [M, O]
    actions: np.ndarray  # [M, A] or [M]


@dataclass
class Progress:
    """Counters, global over ranks."""

    iteration: int = 0  # epochs done
    steps: int = 0  # true transitions
    idle_rows: int = 0
    episodes: int = 0  # finished
    cut_episodes: int = 0  # by restarts and staggering
    wall_s: float = 0.0  # training alone, over all sessions of the run
    eval_steps: int = 0
    eval_s: float = 0.0
    best_return: float | None = None
    next_eval: int = 0


@dataclass
class Learner:
    """Policy, critic, generator, adversary, environments, counters."""

    policy: Policy
    critic: Critic
    generator: Generator
    adversary: Adversary
    sampler: Sampler
    progress: Progress = field(default_factory=Progress)

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numpy arrays and numbers only; a collective, every rank calls it."""
        return {
            "policy": self.policy.state_dict(),
            "critic": self.critic.state_dict(),
            "generator": self.generator.state_dict(),
            "adversary": self.adversary.state_dict(),
            "sampler": self.sampler.state_dict(),
            "progress": vars(self.progress).copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        self.generator.load_state_dict(state["generator"])
        self.adversary.load_state_dict(state["adversary"])
        self.sampler.load_state_dict(state["sampler"])
        self.progress = Progress(**state["progress"])


def make_policy(config: Config, spec: EnvSpec) -> Policy:
    """The policy network as training begins, on the CPU."""
    policy = Policy(config.policy, spec, _initial(config, 0))
    return _place(policy, torch.device("cpu"), getattr(torch, config.dtype))


def make_learner(
    config: Config, env: VectorEnv, expert: Demonstrations | None, clip: bool, workers: Workers
) -> Learner:
    """A fresh learner. `clip`: D sees executed actions. Parameters and buffers are rank 0's."""
    spec, device, dtype = env.spec, workers.device(config.device), getattr(torch, config.dtype)
    policy = _place(make_policy(config, spec), device, dtype)
    value = _place(ValueNetwork(config.critic, spec, _initial(config, 1)), device, dtype)
    generator: Generator = (
        TRPO(config.trpo, policy, workers)
        if config.generator == "trpo"
        else PPO(config.ppo, policy, config.expected_steps, workers)
    )
    if config.normalise_from_expert and expert is not None:
        moments = sums(torch.as_tensor(expert.observations, device=device))
        policy.normaliser.add(moments)
        value.normaliser.add(moments)
    critic = Critic(config, value, spec.max_episode_steps, workers)
    adversary = make_adversary(config, spec, expert, clip, workers)
    _share(workers, policy, value)
    return Learner(policy, critic, generator, adversary, Sampler(config, env, workers))


def make_adversary(
    config: Config, spec: EnvSpec, expert: Demonstrations | None, clip: bool, workers: Workers
) -> Adversary:
    """Who pays, as training begins. A collective."""
    kind = config.discriminator.reward
    if config.adversary == "env_reward":
        return EnvReward()
    if config.adversary == "constant":
        return ConstantReward(kind)
    assert expert is not None
    bounds = (spec.action_space.low, spec.action_space.high) if clip else None  # type: ignore[union-attr]
    demonstrations = (expert.observations, expert.actions, bounds)
    if config.adversary != "gail":
        rng = np.random.default_rng(stream_seed(config.seed, INITIAL, 2))
        return Apprenticeship(config.adversary, kind, spec, *demonstrations, rng, workers)
    network = DiscriminatorNetwork(config.discriminator, spec, _initial(config, 2))
    network = _place(network, workers.device(config.device), getattr(torch, config.dtype))
    if config.normalise_from_expert:
        observations, actions = torch.as_tensor(expert.observations), torch.as_tensor(expert.actions)
        network.normaliser.add(sums(network.features(observations, actions)))
    _share(workers, network)
    return Discriminator(config.discriminator, config.d_step, network, *demonstrations, workers)


def _share(workers: Workers, *modules: torch.nn.Module) -> None:
    """Parameters and buffers are rank 0's."""
    for module in modules:
        for tensor in module.state_dict().values():
            workers.share_tensor(tensor)


def _initial(config: Config, which: int) -> torch.Generator:
    return torch.Generator().manual_seed(stream_seed(config.seed, INITIAL, which))


def _place(module: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Move parameters; statistics stay float64 whatever the dtype."""
    statistics = {name: buffer.clone() for name, buffer in module.named_buffers()}
    module.to(device=device, dtype=dtype)
    for name, buffer in module.named_buffers():
        buffer.data = statistics[name].to(device)
    return module
