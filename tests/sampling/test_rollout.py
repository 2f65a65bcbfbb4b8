"""Rows of a scripted environment, known one by one; streams; exact resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import toys

from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.errors import RunError
from trpo_gail.finite import NotFinite
from trpo_gail.parallel import Workers
from trpo_gail.policies.actor import PolicyActor
from trpo_gail.sampling import rollout as rollouts
from trpo_gail.sampling.rollout import (
    BlockedNoise,
    Episodes,
    Position,
    Rollout,
    collect_episodes,
    collect_steps,
    no_noise,
)
from trpo_gail.sampling.sampler import Sampler
from trpo_gail.seeding import TRAIN_NOISE

SCRIPT = "toys:Script-v0"  # episodes of 3 (terminates), 2 (truncated), 4 (terminates), 3 (truncated), ... steps


class Still:
    """An actor that does nothing."""

    noise_kind: rollouts.Noise = "normal"
    noise_size = 1

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.zeros((len(observations), 1), np.float32)


def script(num_envs: int, **kwargs: Any) -> vector.VectorEnv:
    return vector.make(SCRIPT, num_envs, "gymnasium", kwargs)


def steps(num_envs: int, length: int) -> tuple[Rollout, Episodes]:
    env = script(num_envs)
    return collect_steps(env, Position.start(env, range(num_envs)), Still(), np.zeros((length, num_envs, 1)))


def test_more_rows_than_there_is_room_for_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def rollout() -> Rollout:
        env = script(2)
        return collect_episodes(env, Still(), [0, 1], no_noise(Still(), 2), np.full(2, 9), np.full(2, 11))[0]

    roomy = rollout()
    monkeypatch.setattr(rollouts, "GROWTH", 1)
    tight = rollout()
    assert len(roomy.rewards) > 30
    for name, values in vars(roomy).items():
        np.testing.assert_array_equal(getattr(tight, name), values, err_msg=name)


def test_rows_that_need_another_dtype_than_the_first_keep_their_values() -> None:
    """Of a lent environment, say, whose resets are whole numbers, or whose successes are first known and then not."""
    rows = rollouts._Rows(1)
    known, unknown = np.array([True, False]), np.full(2, np.nan)
    for t, success in enumerate([known, unknown, known]):
        observation = np.zeros((2, 1), np.int64) if t == 0 else np.full((2, 1), 0.5 * t, np.float32)
        no, yes, whole, number = np.zeros(2, bool), np.ones(2, bool), np.zeros(2, np.int64), np.zeros(2)
        rows.add(observation, np.zeros((2, 1), np.float32), number, yes, no, yes, whole, number, success)
    rollout, episodes = rows.finish(np.full((2, 1), 0.1), np.ones((3, 2), bool))
    assert rollout.observations.dtype == np.float64 and rollout.actions.dtype == np.float32
    np.testing.assert_array_equal(rollout.observations[:, 0, 0], [0.0, 0.5, 1.0, 0.1])
    np.testing.assert_array_equal(episodes.successes, [1.0, np.nan, 1.0, 0.0, np.nan, 0.0])


# ---- a fixed horizon -------------------------------------------------------------------------------------------------


def test_rows_are_the_scripts_with_a_reset_row_after_each_end() -> None:
    rollout, _ = steps(2, 13)
    #          episode 0 | reset | episode 1 | reset | episode 2  | reset | 3
    valid = np.array([1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1], bool)
    for n in range(2):
        np.testing.assert_array_equal(rollout.valid[:, n], valid)
        np.testing.assert_array_equal(rollout.steps[:, n], [0, 1, 2, 0, 0, 1, 0, 0, 1, 2, 3, 0, 0])
        np.testing.assert_array_equal(np.nonzero(rollout.terminated[:, n])[0], [2, 10])
        np.testing.assert_array_equal(np.nonzero(rollout.truncated[:, n])[0], [5])
        expected = [0, 1, 2, 0, 100, 101, 0, 200, 201, 202, 203, 0, 300]
        np.testing.assert_array_equal(rollout.rewards[:, n], expected)
    # True successors: the last observation of an episode is there, though the environment has been reset since.
    after = rollout.observations[1:][rollout.valid]
    np.testing.assert_array_equal(after - rollout.observations[:-1][rollout.valid], [[0, 1]] * len(after))
    np.testing.assert_array_equal(rollout.observations[3, 0], [0, 3])
    np.testing.assert_array_equal(rollout.observations[6, 0], [1, 2])


def test_finished_episodes_have_their_true_returns_and_lengths() -> None:
    _, episodes = steps(2, 13)
    np.testing.assert_array_equal(episodes.returns, [3, 201, 806] * 2)
    np.testing.assert_array_equal(episodes.lengths, [3, 2, 4] * 2)


def test_an_episode_runs_on_over_rollouts() -> None:
    whole, all_episodes = steps(1, 13)
    env = script(1)
    stream, parts = Position.start(env, [0]), []
    for length in (1, 2, 1, 5, 4):  # cuts within episodes, right after an end, and right after a reset
        parts.append(collect_steps(env, stream, Still(), np.zeros((length, 1, 1))))
    for field in dataclasses.fields(Rollout):
        pieces = [getattr(rollout, field.name) for rollout, _ in parts]
        if field.name == "observations":
            pieces = [piece[:-1] for piece in pieces[:-1]] + pieces[-1:]
        np.testing.assert_array_equal(np.concatenate(pieces), getattr(whole, field.name), field.name)
    np.testing.assert_array_equal(np.concatenate([e.returns for _, e in parts]), all_episodes.returns)
    np.testing.assert_array_equal(np.concatenate([e.lengths for _, e in parts]), all_episodes.lengths)


# ---- whole episodes --------------------------------------------------------------------------------------------------


def whole_episodes(least_steps: list[int], least_episodes: list[int]) -> tuple[Rollout, Episodes]:
    n, actor = len(least_steps), Still()
    return collect_episodes(
        script(n), actor, range(n), no_noise(actor, n), np.array(least_steps), np.array(least_episodes)
    )


def test_each_environment_runs_until_it_alone_has_its_minimum() -> None:
    rollout, episodes = whole_episodes([1, 4, 6], [0, 0, 0])
    np.testing.assert_array_equal(rollout.valid.sum(0), [3, 5, 9])  # 3; 3 + 2; 3 + 2 + 4
    np.testing.assert_array_equal(episodes.lengths, [3, 3, 2, 3, 2, 4])
    np.testing.assert_array_equal(episodes.returns, [3, 3, 201, 3, 201, 806])
    ended = rollout.done & rollout.valid
    assert len(rollout.valid) == 11 and ended[:, 2].nonzero()[0][-1] == 10  # it stops with the last


def test_a_fixed_number_of_episodes_each() -> None:
    rollout, episodes = whole_episodes([0, 0, 0], [2, 0, 1])
    np.testing.assert_array_equal(episodes.lengths, [3, 2, 3])
    np.testing.assert_array_equal(rollout.valid.sum(0), [5, 0, 3])


def test_an_environment_that_has_enough_rests() -> None:
    rollout, _ = whole_episodes([1, 9], [0, 0])
    assert rollout.valid[:3, 0].all() and not rollout.valid[3:, 0].any()
    assert not rollout.rewards[3:, 0].any() and rollout.rewards[3:, 1].any()


class Coin:
    """An actor that tosses a coin."""

    noise_kind: rollouts.Noise = "uniform"
    noise_size = 1

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return (noise[:, 0] > 0.5).astype(np.int64)


def test_envpool_leaves_out_environments_that_have_enough_and_nothing_else_changes() -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    env, actor, seeds = vector.make("CartPole-v0", 4, "envpool"), Coin(), range(4)

    def collect() -> Rollout:
        noise = BlockedNoise(actor, 0, TRAIN_NOISE, 0, seeds)
        return collect_episodes(env, actor, seeds, noise, np.array([1, 40, 80, 160]), np.zeros(4))[0]

    rested = collect()
    env.rest = lambda which: None  # type: ignore[method-assign]
    moved = collect()
    env.close()
    np.testing.assert_array_equal(rested.valid, moved.valid)
    for name in ("actions", "rewards", "terminated", "truncated", "steps"):
        np.testing.assert_array_equal(getattr(rested, name)[moved.valid], getattr(moved, name)[moved.valid], name)
    for rows in (slice(-1), slice(1, None)):  # states and their successors
        np.testing.assert_array_equal(rested.observations[rows][moved.valid], moved.observations[rows][moved.valid])
    last = [np.nonzero(moved.valid[:, n])[0][-1] for n in range(4)]
    assert last == sorted(last) and last[0] + 1 < last[3], "none had to wait, so that the test shows nothing"
    assert not rested.observations[last[0] + 2 :, 0].any() and moved.observations[last[0] + 2 :, 0].any()


# ---- streams ---------------------------------------------------------------------------------------------------------

CASES = [
    ("CartPole-v0", "envpool"),
    ("CartPole-v0", "gymnasium"),
    ("toys:Walk-v0", "gymnasium"),
    ("Pendulum-v1", "envpool"),
]
MODES = ["steps", "episodes"]
case = pytest.mark.parametrize(("env_id", "backend"), CASES)
mode = pytest.mark.parametrize("sampling", MODES)


def sampler(env_id: str, backend: str, workers: Workers | None = None, **kwargs: Any) -> tuple[Sampler, PolicyActor]:
    if backend == "envpool":
        pytest.importorskip("envpool", reason="EnvPool is not installed")
    workers = workers or Workers()
    config = changed(Config(env_id, num_envs=4, timesteps_per_batch=120, seed=11, restart_every=3), kwargs)
    env = vector.make(env_id, len(workers.block(config.num_envs)), backend)  # type: ignore[arg-type]
    return Sampler(config, env, workers), toys.policy(env.spec, (16,), dtype="float32").actor()


def collect(made: Sampler, actor: rollouts.Actor, epochs: range) -> list[tuple[Rollout, Episodes]]:
    found = []
    for epoch in epochs:
        made.begin_iteration(epoch)
        found.append(made.collect(actor))
    return found


def assert_same(a: list[tuple[Rollout, Episodes]], b: list[tuple[Rollout, Episodes]]) -> None:
    """Bit for bit."""
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        for x, y in zip(left, right, strict=True):
            assert dataclasses.is_dataclass(x)
            for field in dataclasses.fields(x):
                np.testing.assert_array_equal(getattr(x, field.name), getattr(y, field.name), field.name)


@case
@mode
def test_equal_seeds_give_equal_rollouts(env_id: str, backend: str, sampling: str) -> None:
    first = collect(*sampler(env_id, backend, sampling=sampling), range(4))
    assert_same(first, collect(*sampler(env_id, backend, sampling=sampling), range(4)))
    other = collect(*sampler(env_id, backend, sampling=sampling, seed=12), range(1))
    assert not np.array_equal(first[0][0].observations[0], other[0][0].observations[0])
    assert len({rollout.observations.tobytes() for rollout, _ in first}) == 4, "a batch repeats another"
    start = first[0][0].observations[0]
    assert len(np.unique(start[:, 0])) == len(start), "environments share a stream"


@case
@mode
def test_an_environment_does_not_depend_on_those_beside_it(env_id: str, backend: str, sampling: str) -> None:
    """One pool of 4 is two pools of 2, as two ranks have them, in everything but the idle rows at the end."""
    together = collect(*sampler(env_id, backend, sampling=sampling), range(4))
    for rank in range(2):
        apart = collect(*sampler(env_id, backend, toys.Pretend(rank, 2), sampling=sampling), range(4))
        mine = slice(2 * rank, 2 * rank + 2)
        for (whole, _), (part, _) in zip(together, apart, strict=True):
            T = len(part.valid)
            assert part.valid.sum() > 40 and not whole.valid[T:, mine].any()
            for name in ("actions", "rewards", "terminated", "truncated", "valid", "steps"):
                np.testing.assert_array_equal(getattr(whole, name)[:T, mine], getattr(part, name), name)
            np.testing.assert_array_equal(whole.observations[: T + 1, mine], part.observations)


@case
@mode
@pytest.mark.parametrize("saved_after", [2, 3, 4])  # within a restart's epochs, right before the next, after it
def test_a_saved_sampler_goes_on_bit_for_bit(env_id: str, backend: str, sampling: str, saved_after: int) -> None:
    made, actor = sampler(env_id, backend, sampling=sampling)
    collect(made, actor, range(saved_after))
    state = made.state_dict()
    expected = collect(made, actor, range(saved_after, 6))
    again, _ = sampler(env_id, backend, sampling=sampling)
    again.load_state_dict(state)
    assert again.strayed == 0
    assert_same(collect(again, actor, range(saved_after, 6)), expected)
    assert again.cut_episodes == made.cut_episodes
    assert repr(again.state_dict()) == repr(made.state_dict())


def no_after(steps: int) -> Callable[[], bool]:
    """Whoever no longer wants to wait after so many steps."""
    asked = iter(range(steps))
    return lambda: next(asked, None) is None


def test_whole_episodes_that_are_given_up_change_nothing() -> None:
    made, actor = sampler("toys:Walk-v0", "gymnasium", sampling="episodes")
    collect(made, actor, range(1))
    before = made.state_dict()
    made.give_up = no_after(20)
    with pytest.raises(rollouts.GivenUp):
        made.collect(actor)
    assert made.state_dict() == before
    made.give_up = rollouts.never
    again, _ = sampler("toys:Walk-v0", "gymnasium", sampling="episodes")
    assert_same(collect(made, actor, range(1, 3)), collect(again, actor, range(3))[1:])


def test_one_rank_gives_up_for_all() -> None:
    class Others(toys.Pretend):
        def sum(self, values: np.ndarray) -> np.ndarray:
            return np.asarray(values, np.float64) + 1.0  # the other rank's

    made, actor = sampler("toys:Walk-v0", "gymnasium", Others(0, 2), sampling="episodes")
    with pytest.raises(rollouts.GivenUp):
        made.collect(actor)


def test_a_replay_that_is_given_up_keeps_its_actions() -> None:
    made, actor = sampler("toys:Walk-v0", "gymnasium", restart_every=9)
    collect(made, actor, range(3))
    again, _ = sampler("toys:Walk-v0", "gymnasium", restart_every=9)
    again.give_up = no_after(1)
    again.load_state_dict(made.state_dict())
    assert repr(again.state_dict()) == repr(made.state_dict())


@pytest.mark.parametrize("saved_after", [1, 3])
def test_environments_that_come_elsewhere_in_a_replay_are_counted(
    saved_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, actor = sampler("toys:Walk-v0", "gymnasium", restart_every=9)
    collect(made, actor, range(saved_after))
    reset = toys.Walk.reset

    def another(env: toys.Walk, **keywords: Any) -> tuple[np.ndarray, dict]:
        observation, info = reset(env, **keywords)
        env._x = 1.001 * env._x
        return observation, info

    again, _ = sampler("toys:Walk-v0", "gymnasium", restart_every=9)
    again.load_state_dict(made.state_dict())
    assert again.strayed == 0
    monkeypatch.setattr(toys.Walk, "reset", another)
    again.load_state_dict(made.state_dict())
    assert again.strayed > 0
    again.load_state_dict(again.state_dict())  # from where they are now
    assert again.strayed == 0


@pytest.mark.parametrize("how", ["raises", "not finite"])
def test_a_batch_that_breaks_off_is_made_again(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever catches the error may go on, or save and go on elsewhere."""
    whole, actor = sampler("toys:Walk-v0", "gymnasium", restart_every=9)
    expected = collect(whole, actor, range(4))
    made, _ = sampler("toys:Walk-v0", "gymnasium", restart_every=9)
    collect(made, actor, range(2))
    step, left = toys.Walk.step, 50

    def breaks(env: toys.Walk, action: np.ndarray) -> tuple[Any, ...]:
        nonlocal left
        left -= 1
        observation, *rest = step(env, action)
        if left == 0 and how == "raises":
            raise ZeroDivisionError
        return (observation * np.nan if left == 0 else observation, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(toys.Walk, "step", breaks)
        with pytest.raises(RunError):
            collect(made, actor, range(2, 3))
    again, _ = sampler("toys:Walk-v0", "gymnasium", restart_every=9)
    again.load_state_dict(made.state_dict())
    assert again.strayed == 0
    for each in (made, again):
        assert_same(collect(each, actor, range(2, 4)), expected[2:])
        assert each.cut_episodes == whole.cut_episodes
        assert repr(each.state_dict()) == repr(whole.state_dict())


@mode
def test_a_saved_sampler_goes_on_with_another_number_of_ranks(sampling: str) -> None:
    made, actor = sampler("toys:Walk-v0", "gymnasium", sampling=sampling)
    collect(made, actor, range(2))
    state = made.state_dict()
    expected = collect(made, actor, range(2, 3))[0][0]
    for rank in range(2):
        part, _ = sampler("toys:Walk-v0", "gymnasium", toys.Pretend(rank, 2), sampling=sampling)
        part.load_state_dict(state)
        got = collect(part, actor, range(2, 3))[0][0]
        T = len(got.valid)
        np.testing.assert_array_equal(got.observations, expected.observations[: T + 1, 2 * rank : 2 * rank + 2])


@pytest.mark.parametrize("kind", ["normal", "gumbel", "uniform"])
def test_noise_is_an_environments_own(kind: rollouts.Noise) -> None:
    blocks = [rollouts.draw_noise(kind, 2, 5, 0, TRAIN_NOISE, 7, envs) for envs in ([0, 1, 2], [2], [1, 0])]
    np.testing.assert_array_equal(blocks[0][:, 2:], blocks[1])
    np.testing.assert_array_equal(blocks[0][:, [1, 0]], blocks[2])
    assert len(np.unique(blocks[0])) == blocks[0].size
    assert (rollouts.draw_noise(kind, 2, 5, 0, TRAIN_NOISE, 8, [0, 1, 2]) != blocks[0]).all()


def test_noise_drawn_in_blocks_never_repeats() -> None:
    class Two(Still):
        noise_size = 2

    draw = BlockedNoise(Two(), 0, TRAIN_NOISE, 0, [4, 5], block=3)
    rows = np.array([draw(t).copy() for t in range(8)])
    assert len(np.unique(rows)) == rows.size
    alone = BlockedNoise(Two(), 0, TRAIN_NOISE, 0, [5], block=3)
    np.testing.assert_array_equal(rows[:, 1:], np.array([alone(t).copy() for t in range(8)]))


# ---- the sampler's duties --------------------------------------------------------------------------------------------


def test_the_horizon_is_shared_out_and_rounded_up() -> None:
    made, _ = sampler("toys:Walk-v0", "gymnasium", num_envs=4, timesteps_per_batch=121)
    assert made.horizon == 31


def broken(what: str, value: float, horizon: int = 10, dtype: str = "float32") -> Sampler:
    """On rank 1 of two, whose environments are numbers 2 and 3. Episode 1 breaks at its third step: the seventh of the
    stream, counting the reset."""
    config = Config(SCRIPT, num_envs=4, timesteps_per_batch=4 * horizon, dtype=dtype)  # type: ignore[arg-type]
    made = Sampler(config, script(2, lengths=[3, 4], broken=what, value=value), toys.Pretend(1, 2))
    made.begin_iteration(0)
    return made


@pytest.mark.parametrize(
    ("what", "found"),
    [("observation", "an observation that is not finite: feature 1 is "), ("reward", "a reward .*: ")],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(what: str, found: str, value: float) -> None:
    where = rf"^environment '{SCRIPT}' number 2 \(rank 1\) gave {found}{value:g} at step"
    with pytest.raises(RunError, match=rf"{where} 7 of batch 1$"):
        broken(what, value).collect(Still())
    made = broken(what, value, horizon=5)
    made.collect(Still())
    with pytest.raises(RunError, match=rf"{where} 2 of batch 2$"):
        made.collect(Still())


@pytest.mark.parametrize(
    ("what", "value", "dtype", "said"),
    [
        (
            "observation",
            1e39,
            "float32",
            "in float32: feature 1 is 1e\\+39 at step 7 of batch 1; --dtype float64 holds it$",
        ),
        ("observation", -1e300, "float32", "in float32: feature 1 is -1e\\+300 at step 7 of batch 1$"),
        ("observation", 1e300, "float64", "in float64: feature 1 is 1e\\+300 at step 7 of batch 1$"),
        ("reward", -1e200, "float32", "in float64: -1e\\+200 at step 7 of batch 1$"),
    ],
)
def test_what_is_too_large_is_named(what: str, value: float, dtype: str, said: str) -> None:
    with pytest.raises(RunError, match=f"gave an? {what} that is too large to compute with {said}"):
        broken(what, value, dtype=dtype).collect(Still())


@pytest.mark.parametrize(("value", "dtype"), [(1e37, "float32"), (-1e39, "float64")])
def test_what_is_large_is_taken(value: float, dtype: str) -> None:
    made = broken("observation", value, dtype=dtype)
    made.collect(Still())
    assert made.reach.observation == abs(value) and made.reach.reward == 200


class Odd(Still):
    """Gives what is not finite to the last environment, after some steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        actions, self._left = super().act(observations, noise), self._left - 1
        actions[-1] = 0.0 if self._left >= 0 else -np.inf
        return actions


def test_an_action_that_is_not_finite_is_the_policys() -> None:
    made = broken("reward", 0.0)
    made.collect(Odd(100))
    where = rf"^the policy's action is -inf in dimension 0 for environment '{SCRIPT}' number 3 \(rank 1\)"
    with pytest.raises(NotFinite, match=rf"{where} at step 4 of batch 2$"):
        made.collect(Odd(4))


def test_an_action_that_an_observation_spoilt_is_not_the_policys() -> None:
    class Follows(Still):
        def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
            return observations[:, 1:]

    with pytest.raises(
        RunError, match=r"number 2 \(rank 1\) gave an observation .*: feature 1 is nan at step 7 of batch 1"
    ):
        broken("observation", np.nan).collect(Follows())


def test_episodes_that_a_restart_cuts_are_counted() -> None:
    #                          steps since the restart:   an episode ends at 3, 6 and 11; 4, 7 and 12 are resets
    for horizon, cut in [(2, 2), (3, 0), (4, 0), (5, 2), (6, 0), (9, 2)]:
        config = Config(SCRIPT, num_envs=2, timesteps_per_batch=2 * horizon, restart_every=1)
        made = Sampler(config, script(2), Workers())
        for epoch in range(3):
            made.begin_iteration(epoch)
            rollout, _ = made.collect(Still())
            np.testing.assert_array_equal(rollout.observations[0], np.zeros((2, 2)))
        assert made.cut_episodes == 2 * cut, horizon  # by two restarts; the first cut nothing


def test_streams_restart_every_so_many_epochs() -> None:
    config = Config(SCRIPT, num_envs=1, timesteps_per_batch=2, restart_every=2)
    made = Sampler(config, script(1), Workers())
    starts = [rollout.observations[0, 0, 1] for rollout, _ in collect(made, Still(), range(6))]
    assert starts == [0, 2, 0, 2, 0, 2] and made.restarts == 3
