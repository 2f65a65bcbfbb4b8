"""Demonstrations beside an environment: spaces, how episodes begin, steps replayed, what random actions return there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.envs.failures import RAISED, close
from trpo_gail.envs.one_by_one import make_one
from trpo_gail.errors import RunError, UserError
from trpo_gail.experts import numbers
from trpo_gail.experts.checks import fit, starts
from trpo_gail.experts.checks.replay import replay
from trpo_gail.experts.checks.validate import Finding
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.rows import as_rows
from trpo_gail.parallel import Workers
from trpo_gail.runs.evaluate import RANDOM, Evaluator
from trpo_gail.seeding import EVAL_RESET, reset_seeds
from trpo_gail.spaces.layout import leaves
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import working_folder

EPISODES = 20  # of random actions
RESETS = 50
HALF = 0.5


@working_folder.kept()
def against(held: Demonstrations, env_id: str, kwargs: Mapping[str, Any]) -> list[Finding]:
    """Findings of the file beside the environment. Raises UserError for an environment that cannot be made."""
    config = Config(env_id, env_kwargs=json.dumps(dict(kwargs)))
    spec = vector.spec_of(env_id, kwargs=kwargs)
    try:
        rows = as_rows(held, spec)
        fit.check(rows, spec)
    except UserError as error:
        return [Finding("error", "environment", str(error).removeprefix(f"{held.path}: "))]
    found = [Finding("fact", "environment", f"the shapes of observations and actions fit the spaces of {env_id}")]
    if other := fit.other_environment(held, env_id, kwargs):
        found.append(Finding("warning", "environment", other))
    found += [Finding("warning", "environment", note) for note in rows.notes if note not in held.notes]
    found += _bounds(rows, spec.action_space)
    found += _unless_it_fails(lambda: _observed(rows, spec, _resets(env_id, kwargs)))
    found += _replayed(rows, env_id, kwargs)
    found += _unless_it_fails(lambda: _random(held, Evaluator(config, spec, Workers())))
    return found


def _unless_it_fails(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """An environment's failure is a finding, too: it takes no other along."""
    try:
        yield from look()
    except (UserError, RunError) as error:
        yield Finding("error", "environment", str(error))


def _bounds(held: Demonstrations, space: Any) -> Iterator[Finding]:
    if held.actions.dtype.kind in numbers.INTEGERS or not isinstance(space, Box):
        return
    if text := fit.taken_for_raw(held, space.low, space.high, "the environment's bounds"):
        yield Finding("warning", "environment", text)
        return
    share = float(fit.outside(held.actions, space.low, space.high).mean())
    yield Finding("fact", "environment", f"{share:.1%} of action coordinates are outside the environment's bounds")
    if share and held.action_view == "executed":
        yield Finding(
            "error", "environment", f"actions are executed, as the file says, but {share:.1%} are out of bounds"
        )


def _resets(env_id: str, kwargs: Mapping[str, Any]) -> np.ndarray:
    """First observations [R, O] of episodes of the environment."""
    env = vector.make_together(env_id, RESETS, kwargs=kwargs)
    try:
        rounds = range(0, RESETS, env.num_envs)
        return np.concatenate(
            [env.restart(reset_seeds(0, EVAL_RESET, RANDOM, range(at, at + env.num_envs))).copy() for at in rounds]
        )
    finally:
        env.close()


def _observed(held: Demonstrations, spec: EnvSpec, resets: np.ndarray) -> Iterator[Finding]:
    """Of each part that is a vector: only there are columns by themselves of a meaning, and bounds."""
    for part, (_, space) in zip(spec.observations.parts, leaves(spec.observation_space), strict=True):
        if part.kind != "vector":
            continue
        seen, after = held.observations[:, part.columns], resets[:, part.columns]
        if text := starts.elsewhere(seen[held.steps == 0], after, part.name):
            yield Finding("warning", "starts", text)
        if isinstance(space, Box) and (
            text := starts.out_of_space(seen, space.low.ravel(), space.high.ravel(), after, part.name)
        ):
            yield Finding("warning", "observations", text)


def _replayed(held: Demonstrations, env_id: str, kwargs: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        env, _ = make_one(env_id, kwargs, None)
    except RAISED as error:  # it exists on EnvPool alone
        yield Finding(
            "fact", "replay", f"no step is replayed: gymnasium does not make {env_id} ({type(error).__name__})"
        )
        return
    try:
        done = replay(held, env)
    finally:
        close(f"environment {env_id!r}", [env])
    if isinstance(done, str):
        yield Finding("fact", "replay", f"no step is replayed: {done}")
        return
    said = f"of {done.tried} steps that were replayed {done.alike} come out as the file says"
    yield Finding("fact", "replay", said)
    if done.alike < HALF * done.tried:
        yield Finding(
            "warning",
            "replay",
            f"{said} ({done.worst} differs most): another version, other arguments, or actions that were executed otherwise",
        )


def _random(held: Demonstrations, evaluator: Evaluator) -> Iterator[Finding]:
    returns = held.finished_returns
    if returns is None:
        return
    random = evaluator.random(EPISODES).returns
    yield Finding(
        "fact", "random", f"random actions return {random.mean():.6g} +- {random.std():.6g} in {EPISODES} episodes"
    )
    if returns.mean() <= random.mean():
        yield Finding(
            "warning",
            "random",
            f"the expert's mean return, {returns.mean():.6g}, is not above that of random actions, {random.mean():.6g}: it "
            "is no expert, or its returns are of another scale",
        )
