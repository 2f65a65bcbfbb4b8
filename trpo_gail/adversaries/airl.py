"""Adversarial inverse reinforcement learning (Fu et al. 2018): a discriminator whose logit holds a reward to keep.

f = g(s, a) + gamma h(s') - h(s) and logit = f - log pi(a|s) (ibid., section 6). At the optimum f is the expert's
advantage, and g of the state alone its reward up to a constant; h takes up what only shapes the reward.

Differs: the learner is paid f - w log pi(a|s) with w = `airl.entropy_weight`, 0.1; in the paper w is 1, so that the
reward is log D - log(1 - D).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail.adversaries import rewards
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.columns import Columns
from trpo_gail.adversaries.discriminator import Discriminator, begun, known, placed
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.adversaries.network import DiscriminatorNetwork, out_scale
from trpo_gail.adversaries.view import View
from trpo_gail.config.tree import Config
from trpo_gail.networks import encoders
from trpo_gail.networks.encoders import Encoded
from trpo_gail.networks.mlp import MLP
from trpo_gail.networks.network import Linearised, linearise
from trpo_gail.networks.placing import initial
from trpo_gail.policies.policy import Policy
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.schedules import RunLength
from trpo_gail.spaces.spec import EnvSpec

SHAPING = ("state", "next_state", "done")  # what gamma (1 - done) h(s') - h(s) looks at


class Shaped(nn.Module):
    """g(x) + gamma (1 - done) h(s') - h(s) for inputs z [B, I], of which each reads its columns: [B, K]."""

    _of_g: Tensor  # columns that g reads

    def __init__(self, g: MLP | Encoded, h: MLP | Encoded | None, gamma: float, inputs: Inputs, of_g: Inputs) -> None:
        super().__init__()
        self.g, self.h, self._gamma = g, h, gamma
        self.register_buffer("_of_g", inputs.columns_of(of_g), persistent=False)
        if h is not None:
            places = inputs.places
            self._state, self._next, self._done = (places[name] for name in SHAPING)

    def forward(self, z: Tensor, kept: Sequence[Tensor] = ()) -> Tensor:
        """`kept` are factors of g's hidden units."""
        out = self.g(z[:, self._of_g], kept)
        if self.h is None:
            return out
        return out + self.discount(z) * self.h(z[:, self._next]) - self.h(z[:, self._state])

    def discount(self, z: Tensor) -> Tensor:
        """gamma, or 0 where nothing follows: [B, 1]."""
        return self._gamma * (1.0 - z[:, self._done])

    def parts(self, z: Tensor) -> list[Tensor]:
        """What g and, if there is one, h of the next state and of the state read: [B, .] each."""
        return [z[:, self._of_g]] if self.h is None else [z[:, self._of_g], z[:, self._next], z[:, self._state]]

    @torch.no_grad()
    def linearise(self, z: Tensor) -> LinearisedShaped:
        """See `network.Linearised`."""
        return LinearisedShaped(self, z)


class LinearisedShaped:
    """A `network.Linearised` of g, and of h at both states."""

    def __init__(self, net: Shaped, z: Tensor) -> None:
        self._split = len(list(net.g.parameters()))
        nets = [net.g] if net.h is None else [net.g, net.h, net.h]
        self._here: list[Linearised] = [linearise(n, x) for n, x in zip(nets, net.parts(z), strict=True)]
        self._weights: list[Tensor | float] = [1.0] if net.h is None else [1.0, net.discount(z), -1.0]
        self.output = self._summed([here.output for here in self._here])

    def _summed(self, outputs: Sequence[Tensor]) -> Tensor:
        total = outputs[0]
        for weight, output in zip(self._weights[1:], outputs[1:], strict=True):
            total = total + weight * output
        return total

    def pushforward(self, v: list[Tensor]) -> Tensor:
        own = [v[: self._split], v[self._split :], v[self._split :]]
        return self._summed([here.pushforward(part) for here, part in zip(self._here, own, strict=False)])

    def pullback(self, delta: Tensor, into: list[Tensor]) -> None:
        own = [into[: self._split], into[self._split :], into[self._split :]]
        for k, (here, weight, part) in enumerate(zip(self._here, self._weights, own, strict=False)):
            back = delta if k == 0 else weight * delta.sum(1, keepdim=True)  # h is the same for all labels
            here.pullback(back, part)


class ShapedNetwork(DiscriminatorNetwork):
    """A discriminator's network whose net is `Shaped`."""

    net: Shaped

    def __init__(self, config: Config, spec: EnvSpec, rng: torch.Generator) -> None:
        d = config.discriminator
        self._config, self._spec = config, spec
        shaping = SHAPING if config.airl.shaping else ()
        super().__init__(d, spec, rng, config.policy.encoder, Inputs(spec, {*d.inputs, *shaping}, d.ignore))

    def _made(self, config: object, encoder: str, rng: torch.Generator) -> nn.Module:
        d, spec = self._config.discriminator, self._spec
        of_g, of_h = Inputs(spec, d.inputs, d.ignore), Inputs(spec, ("state",), d.ignore)

        def net(inputs: Inputs, hidden: Sequence[int], outputs: int) -> MLP | Encoded:
            extra = inputs.size - inputs.observed.size
            return encoders.make(
                inputs.observed, extra, hidden, outputs, out_scale=out_scale(d), encoder=encoder, rng=rng,
                activation=d.activation,
            )  # fmt: skip

        g = net(of_g, self.hidden, of_g.outputs)
        h = net(of_h, self._config.airl.hidden_sizes, 1) if self._config.airl.shaping else None
        return Shaped(g, h, self._config.gamma, self.inputs, of_g)


class AIRL(Discriminator):
    """A discriminator of f - log pi(a|s), where pi is the policy that acted."""

    DECAY = 1.0  # a reward for other learners, which begin far from where this one ends
    network: ShapedNetwork

    def acted_by(self, policy: Policy, expert: Transitions, entropy_weight: float) -> AIRL:
        """This one, for a learner whose policy it is, and who is paid f - entropy_weight log pi; `expert` has the rows that
        it was made with."""
        self._policy, self._pairs = policy, (expert.observations, expert.actions)
        self._entropy_weight = entropy_weight
        self.needs_log_prob, self.needs_clipped_log_prob = self._bounds is None, self._bounds is not None
        self._acting = policy
        return self

    def reward(self, learner: Transitions) -> np.ndarray:
        self._acting = copy.deepcopy(self._policy)  # the policy has moved when `fit` asks
        return super().reward(learner)

    def _outputs(self, columns: Columns, actions: Tensor, learner: Transitions | None) -> Tensor:
        f = super()._outputs(columns, actions, learner)
        return f if learner is None else f - self._tensor(self._log_prob(learner))

    def _paid_for(self, columns: Columns, actions: Tensor, learner: Transitions) -> Tensor:
        f = super()._outputs(columns, actions, learner)
        return f - self._entropy_weight * self._tensor(self._log_prob(learner))

    def _log_prob(self, learner: Transitions) -> np.ndarray | None:
        """log pi [B] of what was done. Of an action that was clipped to a bound, it is that of all samples behind it, on both
        sides: the samples of a file are not known. So no spread, however wide, earns more than the bounds have room for."""
        return learner.log_prob if self._bounds is None else learner.clipped_log_prob

    @property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        return self._view.spec.clipped_to

    def _tensor(self, values: np.ndarray | None) -> Tensor:
        assert values is not None
        return torch.as_tensor(values).to(self.adam.flat.vector)

    def _offset_of_learner(self, learner: Transitions) -> Callable[[np.ndarray], Tensor | None]:
        log_prob = self._log_prob(learner)
        assert log_prob is not None
        return lambda numbers: self._tensor(log_prob[numbers])

    def _offset_of_expert(self, numbers: np.ndarray) -> Tensor | None:
        observations, actions = self._pairs
        return self._tensor(self._acting.log_prob(observations[numbers], actions[numbers], self._bounds))

    # ---- looking at it -----------------------------------------------------------------------------------------------

    def logits(self, rows: Transitions) -> np.ndarray:
        return super().logits(self._seen(rows))

    def training_pays(self, rows: Transitions) -> np.ndarray:
        return super().training_pays(self._seen(rows))

    def _seen(self, rows: Transitions) -> Transitions:
        """Rows as the policy would have acted them that is there now."""
        self._acting = copy.deepcopy(self._policy)
        return self._policy.judged(rows, self.needs_log_prob, self._bounds)

    # ---- the reward to keep ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def pays(self, rows: Transitions) -> np.ndarray:
        """See `adversary.Learned`: g, the reward without shaping, which is for other policies and dynamics."""
        if "next_state" not in self.config.inputs:  # only h looks at the next observations, and it is not asked
            states = rows.observations
            rows = dataclasses.replace(rows, successors=lambda: states)
        columns, actions = self._tensors(rows, self._view.rows(rows))
        net = self.network.net
        out = torch.cat([net.g(net.parts(self.network.normaliser(part))[0]) for part in columns.chunks()])
        return self.network.inputs.choose(out, actions).double().cpu().numpy()


def build(config: Config, parts: Parts) -> AIRL:
    """A new discriminator of AIRL's. A collective."""
    assert parts.expert is not None
    network = placed(ShapedNetwork(config, parts.spec, initial(config.seed, 2)), config, parts)
    ends_alone = "next_state" not in config.discriminator.inputs  # h is not asked behind an end
    expert = known(parts.expert, network.inputs, parts.workers, ends_alone)
    form = rewards.chosen(config, expert.ends, parts.spec.max_episode_steps)
    made = AIRL(
        config.discriminator, config.d_step, network, View.of(parts.spec, expert, wide=False), expert, parts.workers,
        form=form, run=RunLength.of(config, 1),
    )  # fmt: skip
    begun(made, expert, config, parts)
    # The other forms of reward are functions of D.
    weight = config.airl.entropy_weight if form == rewards.LOGIT else 1.0
    return made.acted_by(parts.policy, expert, weight)
