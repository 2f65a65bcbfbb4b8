"""Vector environments: one CartPole step by hand, EnvPool against gymnasium, episode ends, restarts, refusals."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from trpo_gail.envs import envpool, vector
from trpo_gail.errors import UserError
from trpo_gail.sampling import rollout as rollouts
from trpo_gail.spaces.spec import ActionView

BACKENDS = ["envpool", "gymnasium"]


@pytest.fixture(autouse=True)
def _needs_backend(request: pytest.FixtureRequest) -> None:
    call = getattr(request.node, "callspec", None)
    if call and call.params.get("backend") == "envpool":
        pytest.importorskip("envpool", reason="EnvPool is not installed")


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of toy_envs, known to gymnasium."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    importlib.import_module("toy_envs")


class Constant:
    """An actor that always does the same."""

    noise_kind: rollouts.Noise = "normal"
    noise_size = 1

    def __init__(self, action: float) -> None:
        self._action = action

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.full((len(observations), 1), self._action)


# --- A closed form ------------------------------------------------------------------------------------------------


def cartpole_step(state: np.ndarray, action: int) -> np.ndarray:
    """Barto, Sutton & Anderson (1983): one explicit Euler step of 0.02 s, force 10 N."""
    _, x_dot, theta, theta_dot = state
    force, total, pole = 10.0 * (2 * action - 1), 1.1, 0.1 * 0.5
    swing = (force + pole * theta_dot**2 * math.sin(theta)) / total
    theta_acc = (9.8 * math.sin(theta) - math.cos(theta) * swing) / (
        0.5 * (4.0 / 3.0 - 0.1 * math.cos(theta) ** 2 / total)
    )
    x_acc = swing - pole * theta_acc * math.cos(theta) / total
    return state + 0.02 * np.array([x_dot, x_acc, theta_dot, theta_acc])


@pytest.mark.parametrize("backend", BACKENDS)
def test_cartpole_moves_by_its_equations(backend: vector.Backend) -> None:
    env = vector.make("CartPole-v0", 3, backend)
    before = env.restart([1, 2, 3]).astype(np.float64)
    actions = np.array([0, 1, 1])
    after, reward, terminated, truncated = env.step(actions)
    expected = np.array([cartpole_step(row, a) for row, a in zip(before, actions, strict=True)])
    np.testing.assert_allclose(after, expected, atol=1e-6)
    assert reward.dtype == np.float64 and (reward == 1).all()
    assert not terminated.any() and not truncated.any()
    env.close()


# --- The two backends agree ---------------------------------------------------------------------------------------


MUJOCO_IDS = [f"{name}-{version}" for name in ("Hopper", "HalfCheetah", "Walker2d") for version in ("v4", "v5")]


class Reference:
    """gymnasium's environment, put where EnvPool's observation says that its own was.

    An observation lacks the x position, on which the dynamics do not depend, and Hopper and Walker2d clip velocities at
    10. What else a step depends on is where the contact solver starts: its last solution, kept per environment.
    """

    def __init__(self, env_id: str, num_envs: int) -> None:
        self._env = gymnasium.make(env_id, disable_env_checker=True)
        self._env.reset(seed=0)
        physics: Any = self._env.unwrapped
        self._physics, self._data = physics, physics.data
        self.positions, self.actions = physics.model.nq - 1, physics.model.nu
        self._warm: list[np.ndarray | None] = [None] * num_envs

    def step(self, n: int, before: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """One step of environment n from the state that `before` shows: observation, reward, terminated."""
        position, velocity = np.concatenate([[0.0], before[: self.positions]]), before[self.positions :]
        if self._warm[n] is None:
            self._physics.set_state(position, velocity)
        else:
            self._data.qpos[:], self._data.qvel[:] = position, velocity
            self._data.qacc_warmstart[:] = self._warm[n]
        observation, reward, terminated, _, _ = self._physics.step(action)
        self._warm[n] = self._data.qacc_warmstart.copy()
        return observation, float(reward), bool(terminated)

    def forget(self, n: int) -> None:
        """Environment n does something that the reference cannot follow."""
        self._warm[n] = None

    def close(self) -> None:
        self._env.close()


@pytest.mark.parametrize("env_id", MUJOCO_IDS)
def test_envpool_and_gymnasium_agree_per_step(env_id: str) -> None:
    """From the same state; but not beside velocities that an observation clips, nor in the step after a reset."""
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    num_envs, horizon, rng = 16, 60, np.random.default_rng(0)
    scale = np.resize([0.1, 0.3, 1.0, 3.0], num_envs)[:, None]  # far beyond the bounds, too
    env, reference = vector.make(env_id, num_envs, "envpool"), Reference(env_id, num_envs)
    before, first, ended = env.restart(range(num_envs)), np.ones(num_envs, bool), np.zeros(num_envs, bool)
    differences, strong = [], 0
    for _ in range(horizon):
        actions = scale * rng.uniform(-1, 1, (num_envs, reference.actions))
        pushed = rng.integers(num_envs, size=4)  # a single strong push leaves velocities small more often
        actions[pushed, rng.integers(reference.actions, size=4)] = rng.uniform(-3, 3, 4)
        after, reward, terminated, truncated = env.step(actions)
        fast = np.maximum(np.abs(before), np.abs(after))[:, reference.positions :].max(axis=1) >= 10
        for n in range(num_envs):
            if ended[n] or fast[n]:
                reference.forget(n)
                continue
            observation, r, end = reference.step(n, before[n], actions[n])
            if not first[n]:
                differences.append([np.abs(after[n] - observation).max(), abs(reward[n] - r)])
                strong += np.abs(actions[n]).max() > 1.5
                assert end == terminated[n]
        before, first, ended = after, ended, terminated | truncated
    env.close()
    reference.close()
    assert len(differences) > 300 and strong > 20
    worst = np.max(differences, axis=0)
    assert worst[0] <= 1e-6, f"observations differ by {worst[0]:.1e}"
    assert worst[1] <= 1e-5, f"rewards differ by {worst[1]:.1e}"


# --- Episode ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_row_after_an_end_is_a_reset(backend: vector.Backend) -> None:
    env = vector.make("CartPole-v0", 2, backend)
    env.restart([3, 4])
    push = np.array([1, 1])  # falls within about ten steps
    for _ in range(30):
        observation, reward, terminated, truncated = env.step(push)
        if terminated[0]:
            break
    assert terminated[0] and not truncated[0] and reward[0] == 1
    assert abs(observation[0, 2]) > 12 * math.pi / 180, "not the last observation of the episode that ended"
    first = []
    for action in (0, 1):
        env.restart([3, 4])
        done = False
        while not done:
            *_, terminated, _ = env.step(push)
            done = bool(terminated[0])
        observation, reward, terminated, truncated = env.step(np.array([action, 1]))
        assert reward[0] == 0 and not terminated[0] and not truncated[0]
        assert np.abs(observation[0]).max() <= 0.05, "not the first observation of an episode"
        first.append(observation[0])
    np.testing.assert_array_equal(first[0], first[1], err_msg="the action of a reset row has an effect")
    env.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_time_limit_truncates_with_the_true_last_observation(backend: vector.Backend) -> None:
    env = vector.make("CartPole-v1", 2, backend, {"max_episode_steps": 3})
    assert env.spec.max_episode_steps == 3
    before = env.restart([0, 1])
    for t in range(1, 4):
        after, reward, terminated, truncated = env.step(np.array([0, 1]))
        np.testing.assert_array_equal(truncated, [t == 3] * 2)
        assert not terminated.any() and (reward == 1).all()
        expected = [cartpole_step(row.astype(np.float64), a) for row, a in zip(before, (0, 1), strict=True)]
        np.testing.assert_allclose(after, expected, atol=1e-6)
        before = after
    env.close()


def test_collected_rows_after_an_end_are_not_valid(toys: None) -> None:
    env = vector.make("ToyCounter-v0", 2)  # three steps an episode, so every fourth row is a reset
    actor = Constant(0.5)
    rollout, episodes = rollouts.collect_steps(env, rollouts.Position.start(env, [0, 1]), actor, np.zeros((9, 2, 1)))
    valid = np.array([1, 1, 1, 0, 1, 1, 1, 0, 1], bool)
    np.testing.assert_array_equal(rollout.valid, np.stack([valid, valid], axis=1))
    np.testing.assert_array_equal(rollout.steps[valid, 0], [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(rollout.terminated[:, 0], np.arange(9) % 4 == 2)
    # The successor of every valid row is the next step of the same episode, at an end too.
    np.testing.assert_array_equal(rollout.observations[1:][valid, 1], rollout.observations[:-1][valid, 1] + [0, 1])
    np.testing.assert_array_equal(episodes.returns, [1.5] * 4)
    np.testing.assert_array_equal(episodes.lengths, [3] * 4)
    env.close()


# --- Streams ------------------------------------------------------------------------------------------------------


def trajectory(env: vector.VectorEnv, seeds: list[int], steps: int = 60) -> np.ndarray:
    """Observations [steps + 1, N, O] under fixed actions, autoresets included."""
    rows = [env.restart(seeds)]
    for t in range(steps):
        rows.append(env.step(np.full(env.num_envs, t // 2 % 2))[0])
    return np.stack(rows)


@pytest.mark.parametrize("backend", BACKENDS)
def test_restarting_with_the_same_seeds_repeats_the_streams_exactly(backend: vector.Backend) -> None:
    env = vector.make("CartPole-v0", 3, backend)
    once = trajectory(env, [7, 8, 9])
    np.testing.assert_array_equal(once, trajectory(env, [7, 8, 9]))
    other = trajectory(env, [7, 8, 10])
    np.testing.assert_array_equal(once[:, :2], other[:, :2])
    assert (once[0, 2] != other[0, 2]).any()
    env.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_restart_forgets_what_the_next_step_was_to_do(backend: vector.Backend) -> None:
    """As after a batch that broke off before its first step."""
    env = vector.make("CartPole-v0", 3, backend)
    once = trajectory(env, [7, 8, 9])
    env.restart([7, 8, 9])
    env.cut(np.array([True, False, False]))
    env.rest(np.array([False, True, False]))
    np.testing.assert_array_equal(once, trajectory(env, [7, 8, 9]))
    env.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_environment_does_not_depend_on_its_neighbours(backend: vector.Backend) -> None:
    together, apart = vector.make("CartPole-v0", 3, backend), vector.make("CartPole-v0", 1, backend)
    np.testing.assert_array_equal(trajectory(together, [7, 8, 9])[:, 2:], trajectory(apart, [9]))
    together.close()
    apart.close()


def test_envpool_does_not_mind_a_notebooks_backend() -> None:
    """Its import loads matplotlib, which refuses MPLBACKEND if that names what is not installed, and makes a folder for
    matplotlib in /tmp, which may be read-only."""
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    code = (
        "import os; before = dict(os.environ); from trpo_gail.envs.envpool import offered; "
        "assert 'CartPole-v1' in offered() and os.environ == before; print(os.environ['MPLBACKEND'])"
    )
    name = "module://nobody_has_this.backend"
    env = {key: value for key, value in os.environ.items() if key != "MPLCONFIGDIR"}
    env |= {"MPLBACKEND": name, "ENVPOOL_JUMANJI_MPLCONFIGDIR": "/proc/nobody/has_this"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout.strip()) == (0, name), done.stderr


def test_envpool_threads_change_nothing() -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    one, two = (vector.make("CartPole-v0", 4, "envpool", threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(trajectory(one, [1, 2, 3, 4]), trajectory(two, [1, 2, 3, 4]))
    one.close()
    two.close()


# --- What is offered, what is refused -----------------------------------------------------------------------------


def test_auto_prefers_envpool_where_it_offers_the_id(toys: None) -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    assert vector.resolve_backend("CartPole-v0", "auto") == "envpool"
    assert vector.resolve_backend("ToyCounter-v0", "auto") == "gymnasium"
    assert vector.resolve_backend("CartPole-v0", "gymnasium") == "gymnasium"
    with pytest.raises(UserError, match=r"EnvPool does not offer .*'ToyCounter-v0'"):
        vector.resolve_backend("ToyCounter-v0", "envpool")


@pytest.mark.parametrize(
    ("env_id", "registered"),
    [
        ("Snake-v1", {"entry_point": "snake:Snake"}),
        ("Snake-v1", {"entry_point": lambda: None}),
        ("CartPole-v1", {"entry_point": "cart:Cart"}),
        ("CartPole-v1", {"max_episode_steps": 9}),
        ("CartPole-v1", {"max_episode_steps": None}),
        ("CartPole-v1", {"kwargs": {"sutton_barto_reward": True}}),
        ("FrozenLake-v1", {"kwargs": {"map_name": "4x4", "is_slippery": False}}),
        ("CartPole-v1", {"additional_wrappers": (gymnasium.wrappers.ClipReward.wrapper_spec(min_reward=0.0),)}),
    ],
)
def test_an_id_that_a_script_registers_is_the_scripts(
    env_id: str, registered: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EnvPool has 1,660 ids, and would run another environment of the same name."""
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    own = gymnasium.registry.get(env_id)
    new: Any = replace(own, **registered) if own else gymnasium.envs.registration.EnvSpec(env_id, **registered)
    monkeypatch.setitem(gymnasium.registry, env_id, new)
    assert vector.resolve_backend(env_id, "auto") == "gymnasium"
    assert vector.resolve_backend(env_id, "envpool") == "envpool"


def test_what_gymnasium_registers_itself_is_envpools() -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    offered = envpool.offered()
    shared = [env_id for env_id in gymnasium.registry if env_id in offered]
    assert len(shared) > 40 and [env_id for env_id in shared if not envpool.stands_for(env_id)] == []


def test_a_module_is_imported_for_its_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    env = vector.make("toy_envs:ToyCounter-v0", 2)
    assert env.spec.backend == "gymnasium" and env.spec.id == "toy_envs:ToyCounter-v0"
    np.testing.assert_array_equal(env.restart([0, 1]), [[1, 0], [1, 0]])
    env.close()


def test_the_spec_tells_sizes() -> None:
    env = vector.make("CartPole-v0", 1, "gymnasium")
    spec = env.spec
    assert (spec.observation_size, spec.action_size, spec.actions.whole, spec.max_episode_steps) == (4, 2, True, 200)
    env.close()


@pytest.mark.parametrize(("view", "paid"), [("raw", [-3.0, 0.5]), ("executed", [-1.0, 0.5])])
def test_actions_are_executed_as_they_are_unless_clipped_ones_are_asked_for(
    view: ActionView, paid: list[float], toys: None
) -> None:
    for made in (vector.make("ToyCounter-v0", 2, action_view=view), vector.make("ToyCounter-v0", 2)):
        env = made.viewed(view)
        env.restart([0, 1])
        np.testing.assert_array_equal(env.step(np.array([[-3.0], [0.5]]))[1], paid)
        env.close()


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
def test_an_unknown_id_is_named(backend: vector.Backend) -> None:
    with pytest.raises(UserError, match="NoSuchThing") as caught:
        vector.make("NoSuchThing-v0", 1, backend)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("env_id", ["no_such_module:Thing-v0", "CartPole-v77"])
def test_a_wrong_module_or_version_is_one_clear_line(env_id: str) -> None:
    with pytest.raises(UserError, match=r"no_such_module|CartPole") as caught:
        vector.make(env_id, 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_wrong_arguments_are_named(backend: vector.Backend) -> None:
    with pytest.raises(UserError, match=r"CartPole-v0.*no_such_argument"):
        vector.make("CartPole-v0", 1, backend, {"no_such_argument": 1})


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("ToyWords-v0", r"observations: Text.*cannot be numbers"),
        ("ToySay-v0", "actions must be one of Box, Discrete, MultiDiscrete, MultiBinary, not Text"),
        ("ToyBoth-v0", "actions must be one of Box, Discrete, MultiDiscrete, MultiBinary, not Dict"),
    ],
)
def test_spaces_that_are_not_supported_are_refused(env_id: str, message: str, toys: None) -> None:
    with pytest.raises(UserError, match=f"{env_id}.*{message}"):
        vector.make(env_id, 1)


@pytest.mark.parametrize(
    ("backend", "kwargs", "line"),
    [
        ("envpool", {"batch_size": 1}, r"\(envpool\): env_kwargs: batch_size is set by trpo_gail"),
        ("envpool", {"max_num_players": 2}, r"\(envpool\): env_kwargs: max_num_players is set by trpo_gail"),
        ("envpool", {"max_episode_steps": 0}, "max_episode_steps: expected a whole number of at least 1, found 0"),
        ("gymnasium", {"max_episode_steps": -1}, "max_episode_steps: expected a whole number of at least 1, found -1"),
        (
            "gymnasium",
            {"max_episode_steps": True},
            "max_episode_steps: expected a whole number of at least 1, found True",
        ),
    ],
)
def test_arguments_by_which_nothing_would_work_are_refused(
    backend: vector.Backend, kwargs: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError, match=f"environment 'CartPole-v1'.*{line}"):
        vector.make("CartPole-v1", 2, backend, kwargs)
