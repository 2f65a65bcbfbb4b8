"""A run's learned reward in one file, and the function that pays it. Neither needs the run's folder.

The file is torch's, with the SHA-256 of its bytes; reading it executes nothing. It holds the config, the environment's
spaces, the precision of the demonstrations and what the adversary has learned. The adversary is built by the code that
training uses, so whatever that code can do is also paid here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail import finite
from trpo_gail.adversaries.adversary import Learned
from trpo_gail.build import make_adversary, make_policy
from trpo_gail.config import choices
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.experts.facts import Ends
from trpo_gail.finite import NotFinite
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint
from trpo_gail.sampling.transitions import Transitions
from trpo_gail.spaces import given
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import torch_settings, whole_file

FORMAT = 1
KIND = "reward file"
_HELD = {"format", "kind", "iteration", "config", "spec", "clip", "observations", "actions", "ends", "learned"}


class RewardFunction:
    """r(s, a, s', done), as an adversary has learned it."""

    def __init__(self, content: dict[str, Any], path: Path, normalised: bool = True) -> None:
        """The content of a file; `load` reads one. Raises UserError, naming the path, for what does not fit together."""
        try:
            _check(content, path)
            self.spec, self.config = checkpoint.spec_of(content), _config(content, path)
            if not normalised:
                self.config = _without_normalisation(self.config)
            expert = _stand_in(self.spec, content)
            policy = make_policy(self.config, self.spec)
            adversary = make_adversary(self.config, self.spec, expert, policy, Workers())
            assert isinstance(adversary, Learned)
            adversary.load_learned(content["learned"])
        except UserError:
            raise
        except Exception as error:  # the content may be anything
            raise UserError(f"{path}: a damaged {KIND} ({type(error).__name__}: {error!s:.100})") from error
        self._adversary, self.iteration = adversary, content["iteration"]

    @classmethod
    def load(cls, path: str | Path, *, normalised: bool = True) -> RewardFunction:
        """The reward in a file that `trpo-gail export RUN --reward FILE` wrote. Raises UserError for another file.

        With `normalised`, the reward is normalised as by `--discriminator.reward_normalise`, with the run's last
        statistics; without it, the reward is that of a run without that flag.
        """
        file = whole_file.named("path", path)
        return cls(checkpoint.read_sealed(file, KIND), file, normalised)

    @property
    def env_id(self) -> str:
        return self.spec.id

    @property
    def observation_space(self) -> Any:
        return self.spec.observation_space

    @property
    def action_space(self) -> Any:
        """The environment's own action space, in its own units."""
        return self.spec.executed_space

    def __call__(self, obs: Any, act: Any, next_obs: Any, done: Any) -> np.ndarray:
        """The reward of one step (a numpy float64) or of a batch of n (float64 [n]).

        All are in the environment's own structure and units; a batch has arrays [n, ...]. `next_obs` are the true
        successors, even at an end; None if the reward does not look at them. `done` says that nothing follows: an episode's
        end, but not one by a time limit. Raises UserError for other shapes, and for numbers that are not finite.
        """
        return by_rows(self.pays, self.spec, obs, act, next_obs, done)

    def pays(self, rows: Transitions) -> np.ndarray:
        """The same for rows in training's form, with actions in the policy's units: [B] float64."""
        paid = self._adversary.pays(rows)
        finite.numbers("reward", paid)
        return paid

    def learned(self) -> dict[str, Any]:
        """All that decides what it pays, besides config and spec: tensors, numpy arrays and numbers."""
        return self._adversary.learned()


@torch_settings.plain()
def by_rows(
    function: Callable[[Transitions], np.ndarray], spec: EnvSpec, obs: Any, act: Any, next_obs: Any, done: Any
) -> np.ndarray:
    """A function of rows for what `RewardFunction` takes: one step, or a batch of n. Raises UserError likewise."""
    seen, single = given.observed(spec.observations, obs, "obs")
    if not len(seen[0]):
        return np.zeros(0)
    try:
        paid = function(_rows(spec, seen, single, act, next_obs, done))
    except NotFinite as error:
        raise UserError(f"obs or act: numbers too large for this reward ({error})") from error
    return paid[0] if single else paid


def _rows(spec: EnvSpec, seen: list[np.ndarray], single: bool, act: Any, next_obs: Any, done: Any) -> Transitions:
    """Training's form of what is given; `seen` are the parts of the observations."""
    layout = spec.observations
    observations = given.rows_of(layout, seen, "obs")
    actions, single_action = given.acted(spec, act, "act")
    _check_count("act", single_action, len(actions), single, len(observations))
    ended = _flags(done, single, len(observations))
    following = None
    if next_obs is not None:
        followers, single_next = given.observed(layout, next_obs, "next_obs")
        following = given.rows_of(layout, followers, "next_obs")
        _check_count("next_obs", single_next, len(following), single, len(observations))
    return _transitions(observations, actions, ended, following)


def _transitions(
    observations: np.ndarray, actions: np.ndarray, ended: np.ndarray, following: np.ndarray | None
) -> Transitions:
    def successors() -> np.ndarray:
        if following is None:
            raise UserError("next_obs: None, and this reward looks at the next observation")
        return following

    steps, never = np.zeros(len(observations), np.int64), np.zeros(len(observations), bool)
    return Transitions(observations, actions, ended, never, steps, successors)


def _flags(done: Any, single: bool, rows: int) -> np.ndarray:
    """[n] bool."""
    flags = np.asarray(done)
    shape = () if single else (rows,)
    if flags.shape != shape or flags.dtype.kind not in "biuf" or not np.isin(flags, (0, 1)).all():
        found = f"{flags.dtype} of shape {flags.shape}" if flags.shape != shape else repr(done)
        raise UserError(f"done: {found:.60} given, booleans of shape {shape} expected")
    return flags.reshape(rows).astype(bool)


def _check_count(name: str, single: bool, count: int, single_observation: bool, rows: int) -> None:
    if (single, count) != (single_observation, rows):
        words = [
            "one step" if alone else f"a batch of {n}" for alone, n in ((single, count), (single_observation, rows))
        ]
        raise UserError(f"{name}: {words[0]} given, {words[1]} expected as of obs")


# ---- the file --------------------------------------------------------------------------------------------------------


def content_of(
    adversary: Learned, config: Config, spec: EnvSpec, expert: Transitions, iteration: int
) -> dict[str, Any]:
    """What a file holds: tensors, numbers and texts; no path of a machine."""
    return checkpoint.described(_portable(config), spec) | {
        "format": FORMAT,
        "kind": KIND,
        "iteration": iteration,
        "observations": str(expert.observations.dtype),
        "actions": str(expert.actions.dtype),
        "ends": None if expert.ends is None else dataclasses.asdict(expert.ends),
        "learned": checkpoint.as_tensors(adversary.learned()),
    }


def _portable(config: Config) -> Config:
    """Without what belongs to one machine, and without a generator from outside, which pays nothing."""
    resets: dict[str, Any] = {} if config.generator in choices.GENERATORS else {"generator": "trpo"}
    if own := [f"{part}.network" for part in ("policy", "critic") if getattr(config, part).network is not None]:
        resets |= dict.fromkeys(own)  # they pay nothing
    if config.init_policy is not None:
        resets["init_policy"] = None
    if resets:
        config = changed(config, resets)
    return dataclasses.replace(config, expert=Path(config.expert).name if config.expert else None)


def _check(content: Any, path: Path) -> None:
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise UserError(f"{path}: not a {KIND} of trpo_gail (it holds something else); `trpo-gail export` writes one")
    if content.get("format") != FORMAT:
        raise UserError(
            f"{path}: not a {KIND} of this version (format {FORMAT} expected, found {content.get('format')})"
        )
    if missing := sorted(_HELD - content.keys()):
        raise UserError(f"{path}: a damaged {KIND}: {missing[0]!r} is missing")


def _config(content: dict[str, Any], path: Path) -> Config:
    # A name from outside would be imported, and a file must not make anyone run code.
    for table in (choices.ADVERSARIES, choices.GENERATORS):
        if (name := content["config"][table.flag]) not in table:
            raise UserError(f"{path}: {table.flag} {name!r}: expected one of {', '.join(table)}")
    if not choices.ADVERSARIES[name := content["config"]["adversary"]].imitates:
        raise UserError(f"{path}: adversary {name!r}, which learns no reward: a damaged {KIND}")
    for part in ("policy", "critic", "discriminator"):
        if (name := content["config"][part].get("network")) is not None:
            raise UserError(f"{path}: {part}.network {name!r}: expected none of somebody's own")
    return dataclasses.replace(checkpoint.config_of(content, path), device="cpu")


def _without_normalisation(config: Config) -> Config:
    return dataclasses.replace(config, discriminator=dataclasses.replace(config.discriminator, reward_normalise="none"))


def _stand_in(spec: EnvSpec, content: dict[str, Any]) -> Transitions:
    """An expert of one row of zeros: an adversary that has learned already asks for no more than its precision, and how
    its episodes ended."""
    zeros, no = np.zeros((1, spec.observation_size), np.dtype(content["observations"])), np.zeros(1, bool)
    actions = spec.actions.zeros(1).astype(np.dtype(content["actions"]))
    ends = Ends(**content["ends"]) if content["ends"] else None
    return Transitions(zeros, actions, no, no, np.zeros(1, np.int64), lambda: zeros, np.zeros(1), ends=ends)
