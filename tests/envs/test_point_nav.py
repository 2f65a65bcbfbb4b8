"""Point navigation: steps by hand, the vectorised environment against the single one, the greedy expert's statistics."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from trpo_gail.envs import vector
from trpo_gail.envs.tasks import point_nav
from trpo_gail.errors import UserError
from trpo_gail.experts.checks import fit
from trpo_gail.experts.load import load, read
from trpo_gail.experts.policies import greedy
from trpo_gail.runs.experts import load_actor
from trpo_gail.runs.record import record
from trpo_gail.sampling.rollout import Episodes, collect_episodes, no_noise

IDS = [point_nav.DISCRETE, point_nav.CONTINUOUS]
FOLDER = Path(__file__).parents[2] / "expert_data"


def placed(env_id: str, position: tuple[float, float], **kwargs: Any) -> gymnasium.Env:
    """An environment at the start of an episode whose point has been put somewhere."""
    env = gymnasium.make(env_id, **kwargs)
    env.reset(seed=0)
    env.unwrapped._position[:] = position  # type: ignore[attr-defined]
    return env


def success_rate(episodes: Episodes) -> float:
    return float((episodes.returns > 0).mean())


# --- Closed forms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "moved"), [(0, (0.5, -0.3)), (1, (0.5, -0.1)), (2, (0.5, -0.5)), (3, (0.3, -0.3)), (4, (0.7, -0.3))]
)
def test_each_discrete_action_by_hand(action: int, moved: tuple[float, float]) -> None:
    observation, reward, terminated, truncated, _ = placed(point_nav.DISCRETE, (0.5, -0.3)).step(action)
    np.testing.assert_allclose(observation, moved, atol=1e-7)
    assert observation.dtype == np.float32 and (reward, terminated, truncated) == (-0.01, False, False)


@pytest.mark.parametrize(
    ("action", "moved"), [((0.5, -0.25), (0.6, -0.35)), ((1, 1), (0.7, -0.1)), ((-7, 3), (0.3, -0.1))]
)
def test_a_continuous_move_is_a_fifth_of_the_clipped_action(action: Any, moved: tuple[float, float]) -> None:
    env = placed(point_nav.CONTINUOUS, (0.5, -0.3)).unwrapped
    observation, reward, terminated, _, _ = env.step(np.array(action))
    np.testing.assert_allclose(observation, moved, atol=1e-7)
    assert (reward, terminated) == (-0.01, False)


def test_walls_clip() -> None:
    for action, expected in ((1, (0.95, 1.0)), (4, (1.0, 0.95))):
        assert (
            placed(point_nav.DISCRETE, (0.95, 0.95)).step(action)[0].tolist() == np.array(expected, np.float32).tolist()
        )
    for action, expected in ((2, (-0.95, -1.0)), (3, (-1.0, -0.95))):
        assert (
            placed(point_nav.DISCRETE, (-0.95, -0.95)).step(action)[0].tolist()
            == np.array(expected, np.float32).tolist()
        )


@pytest.mark.parametrize(("x", "reached"), [(0.3199, True), (0.3201, False), (0.0801, True), (0.0799, False)])
def test_the_goal_has_a_radius_of_012_and_its_step_pays_099(x: float, reached: bool) -> None:
    _, reward, terminated, truncated, _ = placed(point_nav.DISCRETE, (x, 0.0)).step(3)
    assert terminated == reached and not truncated
    assert reward == pytest.approx(0.99 if reached else -0.01)
    assert placed(point_nav.DISCRETE, (0.1199 * 0.6, 0.1199 * 0.8)).step(0)[2], "the radius is Euclidean"
    assert not placed(point_nav.DISCRETE, (0.1201 * 0.6, 0.1201 * 0.8)).step(0)[2]


@pytest.mark.parametrize("env_id", IDS)
def test_sixty_steps_are_the_limit(env_id: str) -> None:
    env = placed(env_id, (0.5, 0.5))
    still = 0 if env_id == point_nav.DISCRETE else np.zeros(2, np.float32)
    ends = [env.step(still)[1:4] for _ in range(60)]
    assert all(end == (-0.01, False, False) for end in ends[:59]) and ends[59] == (-0.01, False, True)


def test_starts_are_uniform_on_the_square() -> None:
    starts = vector.make(point_nav.DISCRETE, 1000).restart(range(1000))  # 10 by 10 cells of 10 on average
    counts = np.histogram2d(starts[:, 0], starts[:, 1], bins=10, range=[[-1, 1], [-1, 1]])[0]
    assert counts.sum() == 1000
    chi_square, freedom = ((counts - 10) ** 2 / 10).sum(), 99
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("env_id", IDS)
def test_noise_has_the_standard_deviation_that_was_asked_for(env_id: str) -> None:
    env = vector.make(env_id, 1000, kwargs={"noise": 0.05})
    before = env.restart(range(1000))
    still = np.zeros(1000, np.int64) if env_id == point_nav.DISCRETE else np.zeros((1000, 2))
    moved = env.step(still)[0] - before
    inside = np.abs(before).max(axis=1) < 0.7  # away from the walls
    assert abs(moved[inside].mean()) < 4 * 0.05 / math.sqrt(inside.sum() * 2)
    assert moved[inside].std() == pytest.approx(0.05, rel=0.1)


# --- Single and vectorised ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("kwargs", [{}, {"noise": 0.1}, {"max_episode_steps": 7}])
def test_the_vectorised_one_is_the_single_one_to_the_bit(env_id: str, kwargs: dict[str, Any]) -> None:
    """Against gymnasium's own `sync`: rewards, both ends, observations and resets, over many episodes."""
    seeds, rng = [3, 1, 4, 15, 9], np.random.default_rng(0)
    ours = vector.make(env_id, 5, kwargs=kwargs)
    sync = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make(env_id, **kwargs) for _ in seeds])
    np.testing.assert_array_equal(ours.restart(seeds), sync.reset(seed=[*seeds])[0])
    cuts = ended = 0
    for _ in range(400):
        actions = rng.integers(5, size=5) if env_id == point_nav.DISCRETE else rng.uniform(-1.5, 1.5, (5, 2))
        cut = rng.random(5) < 0.02
        ours.cut(cut)
        sync._autoreset_envs |= cut
        observation, reward, terminated, truncated = ours.step(actions)
        expected = sync.step(actions)
        np.testing.assert_array_equal(observation, expected[0])
        np.testing.assert_array_equal(reward, expected[1])
        np.testing.assert_array_equal(terminated, expected[2])
        np.testing.assert_array_equal(truncated, expected[3] & ~expected[2])
        cuts, ended = cuts + int(cut.sum()), ended + int((terminated | truncated).sum())
    assert cuts > 10 and ended > 10
    sync.close()


def test_auto_takes_the_vectorised_one() -> None:
    env = vector.make(point_nav.DISCRETE, 2)
    assert isinstance(env._backend._envs, point_nav.PointNavVector)  # type: ignore[attr-defined]
    spec = env.spec
    assert (spec.backend, spec.max_episode_steps, spec.action_size, spec.actions.whole) == ("gymnasium", 60, 5, True)
    assert vector.make(point_nav.DISCRETE, 2, kwargs={"max_episode_steps": 9}).spec.max_episode_steps == 9


def trajectory(env_id: str, seeds: list[int], kwargs: dict[str, Any], times: int = 1) -> np.ndarray:
    """Observations [steps + 1, N, 2] under the same actions of every environment, after the last of some restarts."""
    env = vector.make(env_id, len(seeds), kwargs=kwargs)
    for _ in range(times):
        rows, rng = [env.restart(seeds)], np.random.default_rng(0)
        for _ in range(150):
            one = rng.integers(1, 5) if env_id == point_nav.DISCRETE else rng.uniform(-1, 1, 2)
            rows.append(env.step(np.stack([one] * len(seeds)))[0])
    return np.stack(rows)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_streams_are_each_environments_own_and_a_restart_repeats_them(env_id: str, noise: float) -> None:
    kwargs = {"noise": noise}
    together = trajectory(env_id, [7, 8, 9], kwargs)
    np.testing.assert_array_equal(together, trajectory(env_id, [7, 8, 9], kwargs, times=2))
    np.testing.assert_array_equal(together[:, 2:], trajectory(env_id, [9], kwargs))  # on a rank of its own
    assert (together[0, 0] != together[0, 1]).all()


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_checker_has_no_complaint(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("kwargs", [{"noise": -1}, {"noise": "a"}, {"max_episode_steps": 0}, {"no_such": 1}])
def test_wrong_arguments_are_named(kwargs: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=rf"PointNav2D-v0.*{next(iter(kwargs))}") as caught:
        vector.make(point_nav.DISCRETE, 2, kwargs=kwargs)
    assert "\n" not in str(caught.value)


def test_a_picture_shows_the_goal_in_the_middle_and_the_point_where_it_is() -> None:
    picture = placed(point_nav.DISCRETE, (0.5, 0.8), render_mode="rgb_array").render()
    assert isinstance(picture, np.ndarray) and picture.shape == (160, 160, 3) and picture.dtype == np.uint8
    middle, point, empty = picture[80, 80], picture[int(0.1 * 160), int(0.75 * 160)], picture[-1, 0]
    assert middle.tolist() == [120, 200, 120] and point.tolist() == [40, 40, 90] and empty.tolist() == [255] * 3


# --- The greedy expert --------------------------------------------------------------------------------------------


def greedy_episodes(env_id: str, number: int, noise: float = 0.0) -> Episodes:
    env, actor, each = vector.make(env_id, number, kwargs={"noise": noise}), load_actor("greedy", env_id), np.ones
    seeds = range(1000, 1000 + number)
    return collect_episodes(env, actor, seeds, no_noise(actor, number), *np.array([each(number)] * 2, np.int64))[1]


@pytest.fixture(scope="module")
def many() -> Episodes:
    return greedy_episodes(point_nav.DISCRETE, 4000)


def test_the_greedy_expert_by_hand() -> None:
    at = np.array([[0.5, 0.2], [-0.5, 0.2], [0.1, 0.4], [0.1, -0.4], [0.3, -0.3], [-0.1, 0.1]])
    nothing = np.zeros((6, 0))
    assert load_actor("greedy", point_nav.DISCRETE).act(at, nothing).tolist() == [3, 4, 2, 1, 3, 4]
    expected = np.array([[-1, 0], [1, 0], [0, -1], [0, 1], [-1, 0], [0.5, 0]])
    np.testing.assert_allclose(load_actor("greedy", point_nav.CONTINUOUS).act(at, nothing), expected)


def test_the_share_of_starts_that_never_reach_the_goal(many: Episodes) -> None:
    """In units of the step, |x| folds to a uniform residue in [0, 0.1]; so does |y|: the goal is missed where both are
    out of the disc."""
    half, r = point_nav.STEP / 2, point_nav.RADIUS
    x = np.linspace(0, half, 100_001)
    inside = np.minimum(half, np.sqrt(r**2 - x**2)).mean() / half
    episodes, number = many, len(many.returns)
    assert inside == pytest.approx(0.951, abs=5e-4)
    assert abs(success_rate(episodes) - inside) < 4 * math.sqrt(inside * (1 - inside) / number)
    assert (episodes.lengths[episodes.returns < 0] == 60).all()
    np.testing.assert_allclose(success_rate(episodes), episodes.returns.mean() + 0.01 * episodes.lengths.mean())


def test_its_statistics_are_the_references_within_sampling_error(many: Episodes) -> None:
    """The reference: 95.5 % of 200 episodes succeed, with a mean return of 0.883 and 7.2 steps."""
    measured = {"success": many.returns > 0, "return": many.returns, "length": many.lengths}
    for name, reference in {"success": 0.955, "return": 0.883, "length": 7.2}.items():
        error = measured[name].std() * math.sqrt(1 / 200 + 1 / len(many.returns))
        assert abs(measured[name].mean() - reference) < 2 * error, name


def test_the_continuous_expert_always_arrives() -> None:
    episodes = greedy_episodes(point_nav.CONTINUOUS, 1000)
    assert success_rate(episodes) == 1 and episodes.lengths.max() <= 10


def test_noise_lets_the_discrete_expert_escape_its_lattice() -> None:
    assert success_rate(greedy_episodes(point_nav.DISCRETE, 1000, noise=0.03)) > 0.99


def test_other_environments_have_no_greedy_expert() -> None:
    with pytest.raises(UserError, match=r"--policy greedy: .*'CartPole-v0' has none"):
        load_actor(greedy.NAME, "CartPole-v0")


# --- The recordings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", IDS)
def test_the_recorded_episodes_come_out_again(env_id: str, tmp_path: Path) -> None:
    held = read(FOLDER / f"{env_id}.h5")
    again = record(env_id, "greedy", 300, tmp_path / "x.h5")
    for name in ("observations", "actions", "rewards", "terminals", "timeouts", "steps", "episode_returns"):
        np.testing.assert_array_equal(getattr(held, name), getattr(again, name), err_msg=name)
    assert held.provenance.deterministic and held.provenance.env_id == env_id
    assert held.provenance.action_view == ("raw" if env_id == point_nav.DISCRETE else "executed")
    assert held.episode_returns is not None
    assert (held.episode_returns > 0).sum() == held.terminals.sum() == (290 if env_id == point_nav.DISCRETE else 300)
    fit.check(load(FOLDER / f"{env_id}.h5"), vector.make(env_id, 1).spec)


# --- As pictures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", IDS)
def test_pictures_are_of_the_same_episode(env_id: str) -> None:
    """The vectorised environment, as a learner gets it, beside the single one, and beside the positions drawn."""
    plain = vector.make(env_id, 3, "gymnasium")
    drawn = vector.make(env_id, 3, "gymnasium", kwargs={"pixels": 16})
    assert drawn.spec.observations.parts[0].kind == "image" and drawn.spec.observation_size == 768
    single = gymnasium.make(env_id, pixels=16)
    positions, pictures, alone = plain.restart([5, 6, 7]), drawn.restart([5, 6, 7]), single.reset(seed=6)[0]
    rng = np.random.default_rng(0)
    for _ in range(6):
        assert pictures.dtype == np.uint8 and (pictures[1].reshape(16, 16, 3) == alone).all()
        expected = point_nav.observed(positions.astype(np.float64), 16).reshape(3, -1)
        assert np.abs(expected.astype(int) - pictures.astype(int)).max() <= 1  # positions are float32 here
        acts = rng.integers(5, size=3) if env_id == point_nav.DISCRETE else rng.uniform(-1, 1, (3, 2))
        positions, pictures, alone = plain.step(acts)[0], drawn.step(acts)[0], single.step(acts[1])[0]


def test_a_picture_by_hand() -> None:
    picture = point_nav.observed(np.array([[0.5, 0.5]]), 32)[0]
    assert picture.shape == (32, 32, 3) and tuple(picture[0, 0]) == (255, 255, 255)
    assert tuple(picture[16, 16]) == (120, 200, 120), "the goal is in the middle"
    dark = np.argwhere(picture.sum(2) < 300)
    assert np.abs(dark.mean(0) - [7.5, 23.5]).max() <= 1.0, "y is upward, x to the right"
    moved = point_nav.observed(np.array([[0.51, 0.5]]), 32)[0]
    assert (moved != picture).any(), "less than a pixel shows"


@pytest.mark.parametrize("pixels", [7, 513, 16.0, "32", True])
def test_absurd_pictures_are_refused(pixels: Any) -> None:
    with pytest.raises(UserError, match="pixels: expected an integer from 8 to 512"):
        vector.make(point_nav.DISCRETE, 1, "gymnasium", kwargs={"pixels": pixels})


# --- Another course ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vectorised", [False, True])
def test_the_goal_its_radius_and_the_step_are_the_users(vectorised: bool) -> None:
    given: dict[str, Any] = {"step_size": 0.4, "goal": [0.5, -0.5], "goal_radius": 0.2}
    envs: Any = gymnasium.make_vec(point_nav.DISCRETE, 1, **given)
    envs.reset(seed=0)
    envs._position[:] = (0.5, 0.0)
    alone: Any = placed(point_nav.DISCRETE, (0.5, 0.0), **given)
    seen, reward, terminated, _, info = envs.step(np.array([2])) if vectorised else alone.step(2)
    np.testing.assert_allclose(np.ravel(seen), (0.5, -0.4), atol=1e-6)
    assert np.all(terminated) and np.all(info["success"])
    np.testing.assert_allclose([np.ravel(reward)[0], np.ravel(info["dist"])[0]], [0.99, 0.1], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step_size", 0),
        ("step_size", "far"),
        ("goal_radius", -1.0),
        ("goal", (2.0, 0.0)),
        ("goal", 0.5),
        ("goal", None),
    ],
)
def test_a_course_outside_the_square_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        gymnasium.make(point_nav.DISCRETE, **{name: value})


def test_the_distance_is_told_from_the_start() -> None:
    env = gymnasium.make(point_nav.DISCRETE)
    observation, info = env.reset(seed=1)
    assert info["dist"] == pytest.approx(float(np.hypot(*observation)), rel=1e-6) and "success" not in info
    assert env.step(0)[4]["success"] is False


def test_the_greedy_expert_refuses_a_goal_that_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"goal \[0.5, 0.5\] given, but --policy greedy walks to the origin"):
        record(point_nav.DISCRETE, "greedy", 2, tmp_path / "x.h5", env_kwargs={"goal": [0.5, 0.5]})
