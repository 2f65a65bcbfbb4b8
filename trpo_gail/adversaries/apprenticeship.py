"""Apprenticeship learning with linear rewards r = w . phi(s, a), the paper's baselines (Ho & Ermon 2016, section 6).

Feature expectation matching (FEM; Abbeel & Ng 2004): w in the l2 ball, so the game's value is |mu_E - mu_pi|_2.
Game-theoretic apprenticeship learning (GTAL; Syed & Schapire 2007, Syed et al. 2008): w in the simplex over the
features and their negations, so it is the largest difference of any one feature. mu are means of phi over rows: over
the expert's rows, and over those of the iteration. The learner is the same TRPO as with the discriminator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Literal

import numpy as np
import torch

from trpo_gail import finite
from trpo_gail.adversaries import rewards
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.adversaries.view import View
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.networks.normaliser import Normaliser, sums
from trpo_gail.parallel import Workers
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.seeding import INITIAL, stream_seed
from trpo_gail.spaces.spec import EnvSpec

SQUARES = 0.01  # scale of the squared inputs: squares of standardised inputs weigh little unless they are large
BLOCK = 8192  # rows whose features are in memory at a time


class Features:
    """phi(s, a): standardised inputs, their squares times SQUARES^2, and 1. [B, F] float64.

    Inputs are the observation and a Box action. A Discrete action is no input; each label has its own block of phi, and
    the blocks of the other labels are 0. Inputs are standardised once, by the expert's rows; an input that never varies
    in these is divided by 1e-6.
    """

    def __init__(self, inputs: Inputs, observations: np.ndarray, actions: np.ndarray) -> None:
        """Expert rows: [M, O], and [M, A] or [M]."""
        self._encode = inputs
        self._blocks = self._encode.outputs
        rows = self._inputs(observations, actions)
        standard = Normaliser(rows.shape[1])
        standard.add(sums(torch.from_numpy(rows)))
        self.shift, self.scale = (x.numpy() for x in standard.shift_and_scale(torch.float64))
        self.size = self._blocks * 2 * rows.shape[1] + 1  # F

    def _inputs(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return np.hstack(self._encode.features(observations, actions)).astype(np.float64)

    def __call__(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        z = (self._inputs(observations, actions) - self.shift) / self.scale
        phi = np.ones((len(z), self.size))
        blocks = np.zeros((len(z), self._blocks, 2 * z.shape[1]))
        blocks[np.arange(len(z)), actions if self._blocks > 1 else 0] = np.hstack([z, (SQUARES * z) ** 2])
        phi[:, :-1] = blocks.reshape(len(z), -1)
        return phi

    def in_blocks(self, observations: np.ndarray, actions: np.ndarray) -> Iterator[np.ndarray]:
        """phi of consecutive rows, block by block: a Humanoid's batch would take hundreds of megabytes."""
        for start in range(0, len(observations), BLOCK):
            yield self(observations[start : start + BLOCK], actions[start : start + BLOCK])


class Apprenticeship:
    """The reward w . phi / dim(phi), shifted to one sign, with the w that best separates the expert's and learner's
    means."""

    needs_log_prob = False
    needs_clipped_log_prob = False

    def __init__(
        self,
        method: Literal["fem", "gtal"],
        sign: float,
        spec: EnvSpec,
        expert: Transitions,
        rng: np.random.Generator,
        workers: Workers,
        ignore: Collection[str] = (),
    ) -> None:
        """`sign` is that of the reward. `rng`, the same on all ranks, draws the first w: before a learner has been
        seen, any w is as good as another, and the original code also draws one. Differs: ours depends on the seed.

        `ignore` are parts of observations that are no features. Raises UserError for parts that the environment does not
        have, and for images, of which linear features say nothing.
        """
        self.method, self.workers = method, workers
        self._view = View.of(spec, expert)
        observations, actions = expert.observations, expert.actions
        inputs = Inputs(spec, ignore=ignore)
        _refuse_images(method, inputs, spec)
        self.features = Features(inputs, observations, actions)
        total, count = self._sums(observations, actions)
        self._expert = total / count  # mu_E [F]
        # From a random gap: for FEM a direction, for GTAL a vertex, uniformly distributed.
        self.weights = self._worst(rng.standard_normal(self.features.size))  # w [F]
        self._sign = sign
        self._bound = 0.0  # least reward so far before the shift (for sign -1 the greatest), at most (at least) 0

    def _sums(self, observations: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, int]:
        """Sum of phi over rows [F], and their number."""
        total = np.zeros(self.features.size)
        for phi in self.features.in_blocks(observations, actions):
            total += phi.sum(0)
        return total, len(observations)

    def _worst(self, gap: np.ndarray) -> np.ndarray:
        """The w that maximises w . (mu_E - mu_pi): [F], from the gap [F].

        GTAL's simplex over phi and -phi has 2 F vertices; -1 at a feature stands for 1 at its negation.
        """
        norm = float(np.linalg.norm(gap))
        finite.number("distance of the expert's mean features from the learner's", norm)
        if self.method == "fem":
            return gap / (norm + 1e-8)
        weights = np.zeros_like(gap)
        worst = int(np.argmax(np.abs(gap)))
        weights[worst] = 1.0 if gap[worst] >= 0.0 else -1.0
        return weights

    def reward(self, learner: Transitions) -> np.ndarray:
        """[B] float64, all of one sign. A collective.

        The shift is by the least reward of the run so far, including these rows, if that is below 0.
        """
        paid = self._unshifted(learner)
        lowest = -self.workers.max(float((-self._sign * paid).max(initial=0.0)))  # of sign * reward, over all ranks
        self._bound = self._sign * min(self._sign * self._bound, lowest)
        return paid - self._bound

    def _unshifted(self, learner: Transitions) -> np.ndarray:
        """w . phi / dim(phi), [B]."""
        dim = self.features.size * (1 if self.method == "fem" else 2)
        blocks = [phi @ self.weights / dim for phi in self.features.in_blocks(*self._view.rows(learner))]
        paid = np.concatenate([np.zeros(0), *blocks])
        finite.numbers("reward of the adversary", paid)
        return paid

    def pays(self, rows: Transitions) -> np.ndarray:
        """See `adversary.Learned`. The shift is the run's last: rows unlike its own may be paid with the other sign."""
        return self._unshifted(rows) - self._bound

    def learned(self) -> dict[str, Any]:
        return self.state_dict() | {"shift": self.features.shift, "scale": self.features.scale}

    def load_learned(self, learned: dict[str, Any]) -> None:
        self.load_state_dict(learned)
        self.features.shift, self.features.scale = learned["shift"].numpy(), learned["scale"].numpy()

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        """Choose the worst w for the learner of these rows."""
        total, count = self._sums(*self._view.rows(learner))
        summed = self.workers.sum(np.append(total, count))
        gap = self._expert - summed[:-1] / summed[-1]
        self.weights = self._worst(gap)
        return {
            "feature_distance": float(self.weights @ gap),  # the game's value: |gap|_2, or max |gap|
            "reward_bound": self._bound,
        }

    def state_dict(self) -> dict[str, Any]:
        return {"weights": torch.from_numpy(self.weights), "bound": self._bound}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights, self._bound = state["weights"].numpy(), float(state["bound"])


def build(config: Config, parts: Parts) -> Apprenticeship:
    """FEM or GTAL, by the name in the config."""
    assert parts.expert is not None and config.adversary in ("fem", "gtal")
    kind: Literal["fem", "gtal"] = "fem" if config.adversary == "fem" else "gtal"
    rng = np.random.default_rng(stream_seed(config.seed, INITIAL, 2))
    sign = rewards.sign(rewards.chosen(config, parts.expert.ends, parts.spec.max_episode_steps))
    ignore = config.discriminator.ignore
    return Apprenticeship(kind, sign, parts.spec, parts.expert, rng, parts.workers, ignore)


def _refuse_images(method: str, inputs: Inputs, spec: EnvSpec) -> None:
    if images := [part.name or "the observation" for part in inputs.observed.parts if part.kind == "image"]:
        raise UserError(
            f"--adversary {method}: rewards are linear in the observation, and {images[0]} of the environment {spec.id!r} is "
            "an image: expected --adversary gail, or --discriminator.ignore if there are other parts"
        )
