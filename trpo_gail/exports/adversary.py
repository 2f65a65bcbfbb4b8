"""A learned reward that no longer learns: `--adversary exported --reward_file FILE` trains a new policy on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.adversaries.adversary import Parts
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.exports.reward_function import RewardFunction
from trpo_gail.records import Stats
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces.spec import EnvSpec


class ExportedReward:
    """Pays what a file of `trpo-gail export --reward` pays, and fits nothing."""

    needs_log_prob = False
    needs_clipped_log_prob = False

    def __init__(self, function: RewardFunction, spec: EnvSpec, path: Path) -> None:
        """`spec` is the run's own; `path` the function's file, for errors."""
        self._function, self._spec, self._path = function, spec, path

    def reward(self, learner: Transitions) -> np.ndarray:  # [B]
        # If the environment gets clipped actions, a sample behind a bound must not be paid for being there.
        return self._function.pays(replace(learner, actions=self._spec.shown(learner.actions)))

    def fit(self, learner: Transitions, rng: np.random.Generator) -> Stats:
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What was learned, so that a resume with another file is noticed."""
        return self._function.learned()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UserError for the state of another reward."""
        if not _same(state, self.state_dict()):
            raise UserError(
                f"--reward_file {self._path}: another reward than the run began with: expected the same file"
            )


def build(config: Config, parts: Parts) -> ExportedReward:
    """The reward of `config.reward_file`. Raises UserError for another environment's."""
    assert config.reward_file is not None
    file = Path(config.reward_file).absolute()  # which folder was searched is said, too
    try:
        function = RewardFunction.load(file)
    except UserError as error:
        raise UserError(f"--reward_file {error}") from error
    for what, theirs, ours in _terms(function.spec, parts.spec):
        if theirs != ours:
            raise UserError(f"--reward_file {file}: {what} {theirs}, {ours} expected as in {parts.spec.id}")
    return ExportedReward(function, parts.spec, file)


def _terms(theirs: EnvSpec, ours: EnvSpec) -> list[tuple[str, object, object]]:
    """What must be the same, so that rows of the one mean the same to the other."""
    return [
        ("observations", theirs.observation_space, ours.observation_space),
        ("actions", theirs.executed_space, ours.executed_space),
        ("actions in the policy's units", theirs.action_space, ours.action_space),  # see --action_scaling
        ("images", theirs.images, ours.images),
        ("numbers", theirs.numbers, ours.numbers),
    ]


def _same(one: Any, other: Any) -> bool:
    """Whether two nested dicts of tensors, arrays and numbers are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    return bool(np.array_equal(np.asarray(one), np.asarray(other)))
