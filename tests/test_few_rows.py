"""Batches of one transition or two go through every algorithm, on ranks that hold none of them too.

A warning, or a number that is not finite, would be an error here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import beside
import numpy as np
import pytest
import torch
import toys

from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import Config, CriticConfig, DiscriminatorConfig, PPOConfig
from trpo_gail.errors import RunError
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.sampling.paid import PaidReturns
from trpo_gail.sampling.rollout import Episodes, Rollout
from trpo_gail.spaces.spec import EnvSpec

PAPER = preset("paper", "any")
NATURAL = CriticConfig(fit="natural-gradient", natural_gradient=PAPER.critic.natural_gradient, after_adversary=True)
ALL = PPOConfig(objective="kl-penalty", recompute_advantages=True, normalise_advantages="minibatch", n_epochs=2)
ADVERSARIES: dict[str, dict[str, Any]] = {
    "gail": {},
    "gail, large batches": {"discriminator": DiscriminatorConfig(d_batch_size=64)},
    "gail, one by one": {"discriminator": DiscriminatorConfig(d_batch_size=1)},
    "gail, held back": {
        "discriminator": DiscriminatorConfig(
            gradient_penalty=1.0, spectral_norm=True, dropout=0.2, mixup=0.5, weight_decay=0.1, logit_penalty=0.1
        )
    },
    "gail, all inputs": {
        "discriminator": DiscriminatorConfig(inputs=("state", "action", "next_state", "done"), replay_iterations=2)
    },
    "gail, least squares": {"discriminator": DiscriminatorConfig(loss="least-squares", expert_batch_size=3)},
    "airl": {"adversary": "airl"},
    "fem": {"adversary": "fem"},
    "gtal": {"adversary": "gtal"},
    "constant": {"adversary": "constant"},
    "env_reward": {"adversary": "env_reward"},
}
LEARNERS: dict[str, dict[str, Any]] = {
    "trpo": {"critic": CriticConfig(vf_iters=2)},
    "as the paper": {"trpo": PAPER.trpo, "critic": NATURAL},
    "ppo": {"generator": "ppo", "ppo": PPOConfig(n_epochs=2), "critic": CriticConfig(vf_iters=2)},
    "ppo with all": {"generator": "ppo", "ppo": ALL, "critic": CriticConfig(vf_iters=2, clip_range_vf=0.2)},
}
ROWS = {"one": ["._"], "two": ["._", "_L"]}  # of each environment
every_adversary = pytest.mark.parametrize("adversary", ADVERSARIES)
every_learner = pytest.mark.parametrize("learner", LEARNERS)


class Fixed:
    """A sampler that gives one rollout, for ever."""

    cut_episodes = 0

    def __init__(self, rollout: Rollout, env: Env) -> None:
        self._rollout, self.paid, self.env = rollout, PaidReturns(rollout.valid.shape[1]), env

    def begin_iteration(self, iteration: int) -> None:
        pass

    def collect(self, actor: Any) -> tuple[Rollout, Episodes]:
        ended = int((self._rollout.done & self._rollout.valid).sum())
        return self._rollout, Episodes(
            np.arange(ended, dtype=np.float64), np.ones(ended, np.int64), np.ones(ended, bool), np.full(ended, np.nan)
        )


class Env:
    """What a learner asks of its environments before it samples."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec


def trained(config: Config, rollout: Rollout, discrete: bool = False, workers: Workers | None = None) -> Learner:
    """Two epochs on this rollout, with one pair of the expert's."""
    spec, workers = toys.spec(2, 2, discrete=discrete), workers or Workers()
    actions = np.zeros(1, np.int64) if discrete else np.full((1, 2), 0.5)
    pair = dataclasses.replace(toys.pairs(np.full((1, 2), 0.5), actions), successors=lambda: np.full((1, 2), 0.6))
    expert = pair if config.imitates else None
    learner = make_learner(config, Env(spec), expert, workers)  # type: ignore[arg-type]
    learner.sampler = Fixed(rollout, Env(spec))  # type: ignore[assignment]
    for _ in range(2):
        iteration(learner, config, workers)
    return learner


def config_of(adversary: str, learner: str) -> Config:
    base = Config("any", d_step=3, num_envs=2, causal_entcoeff=0.01)
    return changed(base, ADVERSARIES[adversary] | LEARNERS[learner])


@pytest.mark.parametrize("rows", ROWS)
@every_learner
@every_adversary
def test_few_rows_go_through(adversary: str, learner: str, rows: str) -> None:
    for discrete in (False, True):
        rollout = toys.rollout(ROWS[rows], observations=2, actions=2, discrete=discrete)
        done = trained(config_of(adversary, learner), rollout, discrete)
        assert done.progress.steps == 2 * rollout.valid.sum()


def test_no_row_at_all_is_said() -> None:
    for adversary in ADVERSARIES:
        with pytest.raises(RunError, match=r"no transition, only resets: a larger --timesteps_per_batch is needed"):
            trained(config_of(adversary, "trpo"), toys.rollout(["_", "_"], observations=2, actions=2))


# ---- two ranks -------------------------------------------------------------------------------------------------------


@every_learner
@every_adversary
def test_a_rank_without_rows_learns_what_one_alone_does(adversary: str, learner: str) -> None:
    config = config_of(adversary, learner)
    whole = toys.rollout([".T", "__"], observations=2, actions=2)
    alone = trained(config, whole)
    both = beside.on_two_ranks(lambda workers: trained(config, _share(whole, workers.rank), workers=workers))
    for name, expected in alone.policy.state_dict().items():
        here, there = (learner.policy.state_dict()[name] for learner in both)
        assert torch.equal(here, there)
        torch.testing.assert_close(here, expected, rtol=1e-4, atol=1e-5)


def _share(whole: Rollout, rank: int) -> Rollout:
    return Rollout(*(getattr(whole, name)[:, rank : rank + 1] for name in whole.__dataclass_fields__))
