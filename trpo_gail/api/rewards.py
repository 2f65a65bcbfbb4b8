"""A model's learned rewards and its discriminator as functions of steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.adversaries.adversary import Learned
from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.exports.reward_function import RewardFunction, by_rows, content_of
from trpo_gail.exports.write_reward import refuse_absorbing, refuse_unlearned
from trpo_gail.learner import Learner
from trpo_gail.spaces import given
from trpo_gail.spaces.spec import EnvSpec

Rewarding = Callable[..., np.ndarray]  # (obs, act, next_obs, done) -> reward, or rewards [n]


def of_training(adversary: Callable[[], Any], config: Config, spec: EnvSpec) -> Rewarding:
    """What training pays, by the model's `adversary` as it is whenever the function is called; with absorbing states, without
    what an end is worth. Raises UserError if it learns none."""
    refuse_unlearned(config, "reward_train")

    def reward(obs: Any, act: Any, next_obs: Any = None, done: Any = None) -> np.ndarray:
        now = adversary()
        pays = now.training_pays if isinstance(now, Discriminator) else now.pays
        return by_rows(pays, spec, obs, act, next_obs, _flags(done, spec, obs))

    return reward


def to_keep(learner: Learner, config: Config, spec: EnvSpec, expert: Demonstrations | None) -> RewardFunction:
    """A copy of the reward, which training does not change. Raises UserError if there is none."""
    refuse_unlearned(config, "reward_test")
    assert expert is not None and isinstance(learner.adversary, Learned)
    refuse_absorbing(learner.adversary, "reward_test")
    content = content_of(learner.adversary, config, spec, expert.transitions(), learner.progress.iteration)
    return RewardFunction(content, Path("reward_test"))


class DiscriminatorView:
    """A discriminator from outside; it follows the training. D is the probability that a step is the expert's."""

    def __init__(self, adversary: Callable[[], Any], config: Config, spec: EnvSpec) -> None:
        """`adversary` gives the model's, of now. Raises UserError if it is no discriminator."""
        if not isinstance(adversary(), Discriminator):
            raise UserError(f"discriminator: adversary {config.adversary!r} has none, 'gail' or 'airl' expected")
        self._adversary, self._spec = adversary, spec

    @property
    def network(self) -> Any:
        """The torch module: normalised inputs [B, I] -> outputs [B, K], one for each action of a Discrete space, else one.
        They are logits, if the loss is GAIL's; AIRL's are f."""
        return self._adversary().network

    def logit_expert(self, obs: Any, act: Any, next_obs: Any = None, done: Any = None) -> np.ndarray:
        """log D - log(1 - D) of one step, or [n] of a batch, in the environment's own structure: high for the expert's.

        `next_obs` and `done` are needed if the discriminator looks at them. Raises UserError for other shapes.
        """
        return by_rows(self._adversary().logits, self._spec, obs, act, next_obs, _flags(done, self._spec, obs))

    def prob_expert(self, obs: Any, act: Any, next_obs: Any = None, done: Any = None) -> np.ndarray:
        """D itself, likewise."""
        return 0.5 * (1.0 + np.tanh(0.5 * self.logit_expert(obs, act, next_obs, done)))


def _flags(done: Any, spec: EnvSpec, obs: Any) -> Any:
    """Flags of ends; if they are not given, no step ends an episode."""
    if done is not None:
        return done
    seen, single = given.observed(spec.observations, obs, "obs")
    return False if single else np.zeros(len(seen[0]), bool)
