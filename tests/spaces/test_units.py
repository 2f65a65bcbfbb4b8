"""Normalised actions: closed forms, round trips, and a task that learns as its copy in [-1, 1]."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from trpo_gail import load_policy
from trpo_gail.cli import main
from trpo_gail.envs import vector
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load
from trpo_gail.experts.save import save
from trpo_gail.spaces.units import ActionScaling, uniform_range

INF = np.inf


@pytest.fixture(autouse=True)
def _odd_envs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "envs"))
    importlib.import_module("odd_envs")


def box(low: list[float], high: list[float], dtype: type = np.float32) -> Box:
    return Box(np.array(low, dtype), np.array(high, dtype), dtype=dtype)


def test_bounds_become_plus_and_minus_one() -> None:
    scaling = ActionScaling.of(box([1000, -1, 0, -INF, -1e38, 5], [2000, 1, INF, INF, 1e38, 5]))
    assert scaling is not None
    assert scaling.scaled.tolist() == [True, False, False, False, False, True]
    np.testing.assert_array_equal(scaling.policy.low[:4], np.array([-1, -1, 0, -INF], np.float32))
    np.testing.assert_array_equal(scaling.policy.high[:4], np.array([1, 1, INF, INF], np.float32))
    units = np.array([[-1, 0.3, 7, -9, 2, 0], [0, 0.3, 7, -9, 2, 0], [1, 0.3, 7, -9, 2, 0], [3, 0.3, 7, -9, 2, 0]])
    executed = scaling.executed(units.astype(np.float32))
    np.testing.assert_array_equal(executed[:, 0], [1000, 1500, 2000, 3000])  # beyond the bounds it goes on as a line
    np.testing.assert_array_equal(executed[:, 1:5], units.astype(np.float32)[:, 1:5])
    np.testing.assert_array_equal(executed[:, 5], 5)
    np.testing.assert_array_equal(scaling.normalised(executed)[:, :5], units.astype(np.float32)[:, :5])


@pytest.mark.filterwarnings("error")
def test_half_bounded_dimensions_beside_scaled_ones_give_no_warning(rng: np.random.Generator) -> None:
    scaling = ActionScaling.of(box([0, -INF, -2], [INF, 3, 5], np.float64))
    assert scaling is not None
    units = rng.standard_normal((50, 3)) * 2
    wanted = units.copy()
    wanted[:, 2] = -2.0 + (units[:, 2] + 1.0) * 0.5 * 7.0
    executed = scaling.executed(units)
    np.testing.assert_array_equal(executed, wanted)
    np.testing.assert_allclose(scaling.normalised(executed), units, atol=1e-12)


@pytest.mark.parametrize("space", [Discrete(3), box([-1, -1], [1, 1]), box([-INF], [INF]), box([0], [INF])])
def test_nothing_is_scaled_where_nothing_would_change(space: Box | Discrete) -> None:
    assert ActionScaling.of(space) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_within_the_unit_stays_within_the_bounds(dtype: type, rng: np.random.Generator) -> None:
    low = rng.standard_normal(50)
    space = box(list(low), list(low + rng.exponential(size=50)), dtype)
    scaling = ActionScaling.of(space)
    assert scaling is not None
    for units in (np.full((1, 50), -1.0), np.ones((1, 50)), rng.uniform(-1, 1, (200, 50))):
        executed = scaling.executed(units.astype(dtype))
        assert executed.dtype == dtype and all(space.contains(action) for action in executed)
        back = scaling.normalised(executed)
        np.testing.assert_allclose(back, units, atol=4e-5 if dtype is np.float32 else 1e-12)
    np.testing.assert_array_equal(scaling.normalised(space.high[None]), 1)
    np.testing.assert_array_equal(scaling.normalised(space.low[None]), -1)


def test_half_precision_files_keep_their_digits() -> None:
    scaling = ActionScaling.of(box([0], [1000]))
    assert scaling is not None and scaling.normalised(np.array([[500.5]], np.float16)).dtype == np.float32


def test_environments_execute_what_the_policy_meant() -> None:
    kwargs = {"low": 1000.0, "high": 2000.0}
    plain = vector.make("odd_envs:Line-v0", 2)
    far = vector.make("odd_envs:Line-v0", 2, kwargs=kwargs, scale=True)
    meant, executed = far.spec.action_space, far.spec.executed_space
    assert isinstance(meant, Box) and isinstance(executed, Box) and (meant.high, executed.high) == (1, 2000)
    units = np.array([[0.25], [-4.0]], np.float32)
    for env in (plain, plain.viewed("executed"), far, far.viewed("executed")):
        env.restart([0, 1])
    np.testing.assert_array_equal(far.step(units)[0], plain.step(units)[0])
    np.testing.assert_array_equal(far.viewed("executed").step(units)[0], plain.viewed("executed").step(units)[0])


def test_random_actions_stay_where_numbers_mean_something() -> None:
    space = box([-2, -INF, -3.4e38, 0, 5, -INF, -INF], [1, INF, 3.4e38, INF, INF, 0, -5])
    low, high = uniform_range(space)
    np.testing.assert_array_equal(low, [-2, -1, -1, 0, 5, -1, -7])
    np.testing.assert_array_equal(high, [1, 1, 1, 1, 7, 0, -5])


# ---- the whole program -----------------------------------------------------------------------------------------------


def demonstrations(path: Path, low: float, high: float) -> Path:
    """A proportional controller on the line, in units of [low, high]."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(6):
        x = rng.uniform(-1, 1)
        for t in range(20):
            u = np.clip(-5 * x, -1, 1)
            rows.append((x, t / 10, u, t, -abs(x)))
            x += 0.1 * u
    table = np.array(rows)
    end = table[:, 3] == 19
    held = Demonstrations(
        table[:, :2].astype(np.float32), (low + (table[:, 2:3] + 1) / 2 * (high - low)).astype(np.float32), end,
        np.zeros_like(end), table[:, 3].astype(np.int64), np.full(6, 20), rewards=table[:, 4],
    )  # fmt: skip
    save(path, held)
    return path


def rows(run: Path) -> list[dict[str, float]]:
    with open(run / "metrics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    return [{name: float(v) for name, v in row.items() if v and not name.endswith("_s")} for row in table]


def train(folder: Path, low: float, high: float, *more: str) -> Path:
    expert, run = demonstrations(folder / f"{high}.h5", low, high), folder / f"run{high}{len(more)}"
    kwargs = f'{{"low": {low}, "high": {high}}}'
    line = ["train", "odd_envs:Line-v0", "--expert", str(expert), "--env_kwargs", kwargs, "--num_envs", "4"]
    line += ["--steps", "2500", "--timesteps_per_batch", "512", "--final_episodes", "5", "--eval_every", "0", "--quiet"]
    assert main([*line, "--out", str(run), *more]) == 0
    return run


@pytest.mark.slow
def test_a_task_learns_as_its_copy_within_plus_and_minus_one(tmp_path: Path) -> None:
    near, far = (train(tmp_path, *bounds) for bounds in ((-1.0, 1.0), (1000.0, 2000.0)))
    for a, b in zip(rows(near), rows(far), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert b[name] == pytest.approx(a[name], rel=2e-2, abs=2e-3), name
    observations = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    units, actions = (load_policy(run).predict(observations) for run in (near, far))
    np.testing.assert_allclose((actions - 1500) / 500, units, atol=2e-3)
    recording = tmp_path / "recorded.h5"
    kwargs = ["--env_kwargs", '{"low": 1000.0, "high": 2000.0}', "--episodes", "3", "--out", str(recording)]
    assert main(["record", "odd_envs:Line-v0", "--policy", str(far), *kwargs]) == 0
    recorded = load(recording).actions
    assert recorded.min() >= 1000 and recorded.max() <= 2000 and np.ptp(recorded) > 100
    assert main(["evaluate", str(far), "--episodes", "3"]) == 0
    unscaled = train(tmp_path, 1000.0, 2000.0, "--no_action_scaling")
    assert load_policy(unscaled).predict(observations).max() == 1000, "the control: all actions are at the bound"
