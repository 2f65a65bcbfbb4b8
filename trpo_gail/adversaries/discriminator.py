"""The GAIL discriminator (Ho & Ermon 2016, section 5).

D(s, a) = P(expert | s, a) and logit_expert = log D - log(1 - D), everywhere in this package; the paper's own D is 1 -
D. Losses and rewards are computed from logits only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from trpo_gail import finite
from trpo_gail.adversaries import losses, measures, rewards
from trpo_gail.adversaries.absorbing import Absorbing
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.adversaries.columns import Columns
from trpo_gail.adversaries.draws import Draw, draws
from trpo_gail.adversaries.inputs import Inputs
from trpo_gail.adversaries.network import DiscriminatorNetwork
from trpo_gail.adversaries.pay import Pay
from trpo_gail.adversaries.replay import Past, Replay
from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.adversaries.update import Joined, Update, Updater, settled
from trpo_gail.adversaries.view import View
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.errors import UserError
from trpo_gail.networks.placing import initial, place, share
from trpo_gail.optim.adam import FlatAdam
from trpo_gail.parallel import Workers
from trpo_gail.records import Stats
from trpo_gail.sampling.batch import action_tensor, observation_tensor
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.schedules import RunLength
from trpo_gail.system.terminal import warn


class Discriminator:
    """Learns to tell the expert's transitions from the learner's, and rewards the learner for being taken for the
    expert."""

    DECAY = 0.0  # of earlier iterations in the statistics of its inputs, if the config leaves it open
    needs_log_prob = False
    needs_clipped_log_prob = False

    def __init__(
        self,
        config: DiscriminatorConfig,
        d_step: int,
        network: DiscriminatorNetwork,
        view: View,
        expert: Transitions,
        workers: Workers,
        *,
        form: str = rewards.ALIVE,
        run: RunLength | None = None,
        absorbing: Absorbing | None = None,
    ) -> None:
        """`network` is on its device; `expert` has M rows. `form` is the reward form; `run` is the length of the
        whole run, over which the step size may fall."""
        config = settled(config, network, self.DECAY)
        assert config.d_stepsize is not None and config.normalise_decay is not None
        self._decay = config.normalise_decay
        self.config, self.d_step, self.network, self.workers = config, d_step, network, workers
        self.adam = FlatAdam(network.net, config.d_stepsize, workers, config.weight_decay)
        self._form, self._loss = form, losses.of(config)
        self._view, self._run, self._absorbing = view, run or RunLength(1), absorbing
        self._first_stepsize = config.d_stepsize
        self._updater = Updater(config, network, self.adam)
        self._pay = Pay(config.reward_normalise, config.reward_clip, config.reward_scale, workers)
        self._replay = Replay(config.replay_iterations, workers)
        self._again = False  # whether rewards are asked for a second time
        self._expert, self._expert_actions = self._tensors(expert, self._view.of_expert(expert))

    def _tensors(self, side: Transitions, pairs: tuple[np.ndarray, np.ndarray]) -> tuple[Columns, Tensor]:
        """Inputs [B, I] and actions of rows, whose observations and actions are `pairs`."""
        inputs = self.network.inputs
        following = self._view.states(side.next_observations) if inputs.needs_next else None
        blocks = inputs.features(*pairs, following, side.terminated)
        return Columns([self._block(block) for block in blocks]), self._actions(pairs[1])

    def _block(self, values: np.ndarray) -> Tensor:
        like = self.adam.flat.vector
        frames = bool(self.network.inputs.observed.exempt.all())
        return observation_tensor(values, like.dtype, like.device, frames)

    def _actions(self, actions: np.ndarray) -> Tensor:
        like = self.adam.flat.vector
        return action_tensor(actions, like.dtype, like.device)

    # ---- the reward --------------------------------------------------------------------------------------------------

    def reward(self, learner: Transitions) -> np.ndarray:
        """[B] float64, by one forward pass."""
        columns, actions = self._tensors(learner, self._view.rows(learner))
        earned = self._earned(self._paid_for(columns, actions, learner))
        if not self._again:
            self._pay.see(earned)
        paid = self._pay(earned)
        if self._absorbing:
            paid = paid + self._absorbing.paid(learner, float(self._pay(self._of_absorbing())[0]))
        return paid

    def reward_again(self, learner: Transitions) -> np.ndarray:
        """See `Adversary`: the statistics of rewards have seen these transitions."""
        self._again = True
        try:
            return self.reward(learner)
        finally:
            self._again = False

    @torch.no_grad()
    def _outputs(self, columns: Columns, actions: Tensor, learner: Transitions | None) -> Tensor:
        """The network's outputs [B]; `learner` are these transitions, if they are the learner's."""
        out = torch.cat([self.network.net(self.network.normaliser(rows)) for rows in columns.chunks()])
        chosen = self.network.inputs.choose(out, actions)
        finite.numbers("logit of the discriminator", chosen)
        return chosen

    def _paid_for(self, columns: Columns, actions: Tensor, learner: Transitions) -> Tensor:
        """The outputs [B] that the learner is paid for: those that D judges by."""
        return self._outputs(columns, actions, learner)

    def _earned(self, output: Tensor) -> np.ndarray:
        return FORMS[self._form].of_logit(self._loss.logit(output)).double().cpu().numpy()

    @property
    def absorbs(self) -> bool:
        """Whether an end is paid by the time that is left."""
        return self._absorbing is not None

    def _of_absorbing(self) -> np.ndarray:
        """The reward [1] of a step in the absorbing state."""
        return self._earned(self._outputs(self._absorbed(), self._expert_actions[:1] * 0, None))

    def _absorbed(self) -> Columns:
        dtype = np.dtype(np.uint8) if self._expert.blocks[0].dtype == torch.uint8 else np.dtype(np.float64)
        return Columns([self._block(block) for block in self.network.inputs.absorbed(dtype)])

    # ---- looking at it -----------------------------------------------------------------------------------------------

    def logits(self, rows: Transitions) -> np.ndarray:
        """log D - log(1 - D) [B] float64 of transitions, by the discriminator as it is; nothing changes. No collective."""
        columns, actions = self._tensors(rows, self._view.rows(rows))
        return self._loss.logit(self._outputs(columns, actions, rows)).double().cpu().numpy()

    def training_pays(self, rows: Transitions) -> np.ndarray:
        """What training pays for transitions, [B] float64, without what an end is worth with absorbing states. Likewise."""
        columns, actions = self._tensors(rows, self._view.rows(rows))
        return self._pay(self._earned(self._paid_for(columns, actions, rows)))

    # ---- a reward to keep --------------------------------------------------------------------------------------------

    def pays(self, rows: Transitions) -> np.ndarray:
        """See `adversary.Learned`. Without what an end is worth with absorbing states."""
        return self._pay(self._earned(self._outputs(*self._tensors(rows, self._view.rows(rows)), None)))

    def learned(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "form": self._form, "pay": self._pay.state_dict()}

    def load_learned(self, learned: dict[str, Any]) -> None:
        self.network.load_state_dict(learned["network"])
        self._form = learned["form"]
        self._pay.load_state_dict(learned["pay"])

    # ---- the fit -----------------------------------------------------------------------------------------------------

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        """`d_step` Adam steps, one per minibatch of a random split of the iteration's rows, each with as many expert
        rows."""
        rows = learner.rows
        assert rows is not None
        self._set_stepsize(rows.total)
        columns, actions = self._tensors(learner, self._view.rows(learner))
        self._update_normaliser(columns, rows.total)
        past = self._replay.held
        ours = columns.followed_by(*(Columns(p.tensors[:-1]) for p in past))
        acted = torch.cat([actions, *(p.tensors[-1] for p in past)]) if past else actions
        absorbed = None
        if self._absorbing:
            absorbed = self._absorbing.shares(learner, rows, (len(ours), len(self._expert)), self.workers)
        stats = self._updates(
            self._sides(ours, acted, learner, absorbed is not None),
            draws(
                self.config, self.d_step, rows, len(self._expert), rng, self.workers, [p.rows for p in past], absorbed
            ),
            rng,
        )
        self._replay.add(Past((*columns.blocks, actions), rows))
        self._pay.settle()
        return stats

    def _set_stepsize(self, steps: int) -> None:
        if self.config.schedule == "linear":
            self.adam.stepsize = self._first_stepsize * self._run.left
        self._run.add(steps)

    def _sides(self, ours: Columns, acted: Tensor, learner: Transitions, absorbing: bool) -> tuple[_Side, _Side]:
        """Both sides; the absorbing state is behind the other rows of each."""
        expert, expert_acted = self._expert, self._expert_actions
        if absorbing:
            one, none = self._absorbed(), expert_acted[:1] * 0
            ours, expert = ours.followed_by(one), expert.followed_by(one)
            acted, expert_acted = torch.cat([acted, none]), torch.cat([expert_acted, none])
        labels = (acted, expert_acted) if self.network.inputs.needs_labels else (None, None)
        return (
            _Side(ours, labels[0], self._offset_of_learner(learner)),
            _Side(expert, labels[1], self._offset_of_expert),
        )

    def _offset_of_learner(self, learner: Transitions) -> Callable[[np.ndarray], Tensor | None]:
        """A function from numbers of rows to what is subtracted from their outputs [b]; None for nothing."""
        return lambda numbers: None

    def _offset_of_expert(self, numbers: np.ndarray) -> Tensor | None:
        """The same for rows of the expert."""
        return None

    def _updates(self, sides: tuple[_Side, _Side], drawn: Iterable[Draw], rng: np.random.Generator) -> Stats:
        """Take the updates; means over all rows of all of them."""
        made: list[Update] = []
        dtype = torch.promote_types(*(side.columns.dtype for side in sides))
        normalise = self.network.normaliser.in_place(dtype)
        for draw in drawn:
            made.append(self._updater.step(_joined(sides, draw, dtype, normalise), draw, rng))
        taken = sum(update.taken for update in made)
        outputs = [update.outputs[: update.learners] for update in made]
        learners = sum(map(len, outputs))
        outputs += [update.outputs[update.learners :] for update in made]
        totals = measures.sums(self._loss, torch.cat(outputs), learners)
        penalty = torch.stack([update.penalty for update in made]).sum()
        norm = torch.stack([update.gradient_norm for update in made]).sum()
        summed = self.workers.sum_tensor(torch.cat([totals, penalty[None]]).cpu())
        stats = measures.stats(summed[:-1]) | {"d_gradient_norm": float(norm) / max(taken, 1)}
        if self.config.gradient_penalty:
            stats |= {"d_gradient_penalty": float(summed[-1]) / max(taken, 1)}
        if self.config.rest_above is not None:
            stats |= {"d_updates": float(taken)}
        return stats

    def _update_normaliser(self, columns: Columns, total: int) -> None:
        """Add both sides with equal weight, whatever the number of demonstrations."""
        # Differs: the original adds the expert pairs drawn for the update; these moments are their expectation.
        normaliser = self.network.normaliser
        moments = self.workers.sum_tensor(columns.sums(normaliser))
        finite.number("sum of squares of the discriminator's inputs", float(moments.sum()))
        # Differs: the original counts all iterations alike. The far places in which an early policy was would then stay in
        # the standard deviations, and make the little by which it misses the expert's later too small for D to see.
        both = moments + self._expert.sums(normaliser, total / len(self._expert))
        normaliser.add(both, self._decay)

    # ---- resume ------------------------------------------------------------------------------------------------------

    def moving(self) -> dict[str, Any]:
        """See `finite.Moving`: without the rows that are replayed, which all ranks would have to send each iteration."""
        return {"network": self.network.state_dict(), "adam": self.adam.state_dict()}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers. A collective if rows are replayed."""
        state = self.moving() | self._run.state_dict()
        return state | {"pay": self._pay.state_dict(), "replay": self._replay.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Also of versions before 0.2, which lack what they could not do."""
        self.network.load_state_dict(state["network"])
        self.adam.load_state_dict(state["adam"])
        self._run.load_state_dict(state)
        self._pay.load_state_dict(state.get("pay", {}))
        self._replay.load_state_dict(state.get("replay", {}), self.adam.flat.vector.device)


@dataclass(frozen=True)
class _Side:
    """Rows of one side: inputs; actions [B] if these choose among outputs; what is subtracted from the outputs of rows of
    some numbers."""

    columns: Columns
    labels: Tensor | None
    offset: Callable[[np.ndarray], Tensor | None]


def _joined(
    sides: tuple[_Side, _Side], draw: Draw, dtype: torch.dtype, normalise: Callable[[Tensor], Tensor]
) -> Joined:
    """The rows of an update, normalised in place. Each input is there once, since there may be many."""
    ours, theirs = (side.columns for side in sides)
    numbers = [torch.from_numpy(drawn).to(ours.device) for drawn in (draw.learner, draw.expert)]
    learners = len(numbers[0])
    z = torch.empty((learners + len(numbers[1]), ours.size), dtype=dtype, device=ours.device)
    ours.copy_rows(numbers[0], z[:learners])
    theirs.copy_rows(numbers[1], z[learners:])
    labels = [side.labels[index] for side, index in zip(sides, numbers, strict=True) if side.labels is not None]
    offsets = [side.offset(drawn) for side, drawn in zip(sides, (draw.learner, draw.expert), strict=True)]
    known = [offset for offset in offsets if offset is not None]
    return Joined(normalise(z), _both(labels), _both(known), learners)


def _both(parts: Sequence[Tensor]) -> Tensor | None:
    """Rows of both sides, if both have what is asked for."""
    return torch.cat(list(parts)) if len(parts) == 2 else None


def known(expert: Transitions, inputs: Inputs, workers: Workers, ends_alone: bool = False) -> Transitions:
    """The expert's rows without those whose next observation is seen, but not known. With `ends_alone`, an end is judged
    without what was observed behind it, which then need not be known. Raises UserError if no row is left."""
    if not inputs.needs_next:
        return expert
    following = np.array(expert.next_observations)
    good = np.isfinite(following.reshape(len(expert), -1)).all(1)
    if ends_alone:
        unknown = ~good & expert.terminated
        following[unknown] = expert.observations[unknown]  # any number, so that what multiplies it by 0 gives 0
        good |= unknown
    if not good.any():
        raise UserError(
            "--discriminator.inputs: next observations are seen, but the demonstrations hold none that is known: expected a "
            "file with next observations or of whole episodes, or --airl.no_shaping with --adversary airl"
        )
    if not good.all() and workers.main:
        warn(f"{len(good) - good.sum()} of {len(good)} pairs are left out: their next observation is not known")
    rewards_ = expert.env_rewards
    return dataclasses.replace(
        expert,
        observations=expert.observations[good],
        actions=expert.actions[good],
        terminated=expert.terminated[good],
        truncated=expert.truncated[good],
        steps=expert.steps[good],
        successors=lambda: following[good],
        env_rewards=None if rewards_ is None else rewards_[good],
    )


def build(config: Config, parts: Parts) -> Discriminator:
    """A new discriminator. A collective."""
    assert parts.expert is not None
    absorbing = Absorbing.of(config, parts)
    d = dataclasses.replace(config.discriminator, absorbing=absorbing is not None)
    network = placed(DiscriminatorNetwork(d, parts.spec, initial(config.seed, 2), config.policy.encoder), config, parts)
    expert = known(parts.expert, network.inputs, parts.workers, ends_alone=absorbing is not None)
    made = Discriminator(
        d, config.d_step, network, View.of(parts.spec, expert, wide=False), expert, parts.workers,
        form=rewards.chosen(config, expert.ends, parts.spec.max_episode_steps), run=RunLength.of(config, 1),
        absorbing=absorbing,
    )  # fmt: skip
    begun(made, expert, config, parts)
    return made


N = TypeVar("N", bound=DiscriminatorNetwork)


def placed(network: N, config: Config, parts: Parts) -> N:
    """On its device, in its dtype, with limited weights if the config says so."""
    made = place(network, parts.workers.device(config.device), getattr(torch, config.dtype))
    if config.discriminator.spectral_norm:
        made.limit_weights(initial(config.seed, 3))
    return made


def begun(made: Discriminator, expert: Transitions, config: Config, parts: Parts) -> None:
    """Set the statistics that it starts from, and make it the same on all ranks. A collective."""
    network = made.network
    if config.normalise_from_expert:
        following = expert.next_observations if network.inputs.needs_next else None
        blocks = network.inputs.features(expert.observations, expert.actions, following, expert.terminated)
        held = Columns([torch.as_tensor(block, device=network.normaliser.mean.device) for block in blocks])
        network.normaliser.add(held.sums(network.normaliser))
    share(parts.workers, network)
