"""From a run's last checkpoint to a reward file, checked before it is written."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.adversaries.adversary import Learned
from trpo_gail.adversaries.discriminator import Discriminator
from trpo_gail.build import make_adversary, make_policy
from trpo_gail.config import choices
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.exports.reward_function import KIND, RewardFunction, content_of
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint
from trpo_gail.runs.preparing import demonstrations_of
from trpo_gail.runs.run_folder import no_checkpoint
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec

CHECKED = 256  # rows


def export_reward(run: str | Path, path: str | Path, expert: str | None = None) -> RewardFunction:
    """Write what a run's adversary has learned; `expert` is where the demonstrations are now, if they were moved.

    Raises UserError if the run has no learned reward, and for files that are missing or damaged.
    """
    folder, out = Path(run), Path(path)
    last = checkpoint.last_path(folder)
    if last is None:
        raise no_checkpoint(run)
    state = checkpoint.read_of_run(folder, last)
    if "adversary" not in state["learner"]:
        raise UserError(f"{run}: holds a policy alone, of behavioural cloning or pulled, and no learned reward")
    config = dataclasses.replace(checkpoint.config_of(state, last), device="cpu")
    spec = checkpoint.spec_of(state)
    refuse_unlearned(config, run)
    rows = demonstrations_of(folder, config, spec, expert).transitions()
    adversary = _adversary(config, spec, rows, state["learner"]["adversary"])
    refuse_absorbing(adversary, run)
    content = content_of(adversary, config, spec, rows, state["iteration"])
    function = RewardFunction(content, out)
    _compare(adversary, function, rows)
    checkpoint.write_sealed(out, content, KIND)
    return function


def refuse_unlearned(config: Config, run: str | Path) -> None:
    """Raise UserError, beginning with `run`, if there is no learned reward that a function can pay."""
    choice = choices.ADVERSARIES.get(config.adversary)
    if choice is None:
        raise UserError(
            f"{run}: --adversary {config.adversary} is code of your own, which a file that is safe to open cannot name"
        )
    if not choice.imitates:
        raise UserError(f"{run}: --adversary {config.adversary} learns no reward: expected a run that imitates")
    if config.discriminator.network is not None:
        raise UserError(
            f"{run}: --discriminator.network {config.discriminator.network} is code of your own, which a file that is safe "
            "to open cannot name"
        )


def refuse_absorbing(adversary: Learned, run: str | Path) -> None:
    """Likewise, if a function cannot know what an end is worth."""
    if isinstance(adversary, Discriminator) and adversary.absorbs:
        raise UserError(
            f"{run}: with absorbing states an end is paid by the time that is left, which a reward of (obs, act, next_obs, "
            "done) does not know: expected a run with --discriminator.no_absorbing"
        )


def _adversary(config: Config, spec: EnvSpec, expert: Transitions, state: dict[str, Any]) -> Learned:
    made = make_adversary(config, spec, expert, make_policy(config, spec), Workers())
    made.load_state_dict(state)
    assert isinstance(made, Learned), "who imitates has learned a reward"
    return made


def _compare(adversary: Learned, function: RewardFunction, expert: Transitions) -> None:
    """The file's function must pay what the adversary pays, to the last bit."""
    seen, acts = expert.observations[:CHECKED], expert.actions[:CHECKED]
    no = np.zeros(len(seen), bool)
    rows = Transitions(seen, acts, no, no, np.zeros(len(seen), np.int64), lambda: seen)
    assert np.array_equal(adversary.pays(rows), function.pays(rows)), "the exported reward is not the learned one"
