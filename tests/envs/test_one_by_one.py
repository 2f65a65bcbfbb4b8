"""Gymnasium's environments one after the other: as its own SyncVectorEnv steps them, and safe from what they do."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import trpo_gail
from trpo_gail.cli import main
from trpo_gail.envs import one_by_one, vector
from trpo_gail.errors import RunError, UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.save import save
from trpo_gail.runs.evaluate import read_policy

LINE, ENDLESS = "odd_envs:Line-v0", "odd_envs:LineWithoutLimit-v0"


@pytest.fixture(autouse=True)
def _odd_envs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    importlib.import_module("odd_envs")


def make(kind: str, num_envs: int = 2, env_id: str = LINE, **kwargs: Any) -> vector.VectorEnv:
    return vector.make(env_id, num_envs, kwargs={"kind": kind, **kwargs})


def run(env: vector.VectorEnv, steps: int) -> list[tuple[np.ndarray, ...]]:
    """What the environments give from seeds 0, 1, ... on under fixed actions."""
    rng = np.random.default_rng(0)
    env.restart(range(env.num_envs))
    return [env.step(rng.uniform(-1, 1, (env.num_envs, 1)).astype(np.float32)) for _ in range(steps)]


def test_steps_and_resets_are_those_of_gymnasiums_sync() -> None:
    ours = vector.make("Pendulum-v1", 3, "gymnasium", {"max_episode_steps": 5})
    theirs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("Pendulum-v1", max_episode_steps=5)] * 3)
    np.testing.assert_array_equal(ours.restart([4, 5, 6]), theirs.reset(seed=[4, 5, 6])[0])
    rng = np.random.default_rng(0)
    for _ in range(17):  # over two ends and the resets after them
        actions = rng.uniform(-2, 2, (3, 1)).astype(np.float32)
        for a, b in zip(ours.step(actions), theirs.step(actions)[:4], strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["changes its action", "buffer", "list"])
def test_nothing_that_it_does_to_its_arrays_reaches_others(kind: str) -> None:
    rows, plain = run(make(kind), 25), run(make("plain"), 25)
    for row, expected in zip(rows, plain, strict=True):
        for a, b in zip(row, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_policys_sample_is_its_own() -> None:
    env, actions = make("changes its action"), np.full((2, 1), 0.8, np.float32)
    env.restart([0, 1])
    env.step(actions)
    np.testing.assert_array_equal(actions, np.float32(0.8))


def test_each_instance_has_arguments_of_its_own() -> None:
    goal = [0.0]
    made: list[Any] = [one_by_one.make_one(LINE, {"goal": goal}, None)[0].unwrapped for _ in range(2)]
    assert [line.goal for line in made] == [[1.0], [1.0]] and goal == [0.0]


# ---- what breaks the interface ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("reward", r"step: reward: expected a number, found shape \(1,\) \(float32\)"),
        ("text reward", r"step: reward: expected a number, found str '3'"),
        ("flag", "step: terminated: expected True or False, found NoneType"),
        ("four values", r"step: expected \(observation, .*, info\), found another number of values"),
        ("reset without info", r"reset: expected \(observation, info\), found shape \(2,\)"),
        (
            "shape",
            r"reset: observation: expected shape \(2,\) .* found shape \(1, 2\) .*, as of several environments at once",
        ),
        ("dtype", r"reset: observation: 0\.\d+ \(float32\) does not fit uint8"),
        ("huge", r"step: observation: 1e\+300 \(float64\) does not fit float32"),
    ],
)
def test_one_trial_step_finds_what_breaks_the_interface(kind: str, says: str) -> None:
    with pytest.raises(UserError, match=f"environment '{LINE}': {says}") as caught:
        vector.try_out(make(kind), early_reset=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("sys.exit", r"step: it called sys\.exit\(0\) \(odd_envs\.py, line \d+\)"),
        ("raises", r"step: ZeroDivisionError: division by zero \(odd_envs\.py, line \d+\)"),
    ],
)
def test_whatever_a_step_raises_is_told_in_one_line(kind: str, says: str) -> None:
    with pytest.raises(RunError, match=says) as caught:
        run(make(kind), 30)
    assert "\n" not in str(caught.value) and LINE in str(caught.value)


def test_an_action_outside_the_bounds_is_said_beside_the_error() -> None:
    env = vector.make("toy_envs:Strict", 1, max_episode_steps=5)
    hint = "the action was outside the space's bounds, to which --actions executed clips"
    env.restart([0])
    with pytest.raises(RunError, match=f"is outside of the bounds .*; {hint}"):
        env.step(np.array([[0.0, 3.0]]))
    env.restart([0])
    env.viewed("executed").step(np.array([[0.0, 3.0]]))
    with pytest.raises(RunError) as caught:
        run(make("raises"), 30)
    assert hint not in str(caught.value)


def test_a_command_is_named_where_it_can_make_the_environment() -> None:
    for by_name in (True, False):
        with pytest.raises(UserError) as caught:
            vector.try_out(make("reward"), early_reset=False, by_name=by_name)
        assert ("trpo-gail check" in str(caught.value)) == by_name


def test_an_environment_may_refuse_a_reset_before_its_episode_is_over() -> None:
    with pytest.raises(UserError, match="--sampling episodes"):
        vector.try_out(make("refuses reset"), early_reset=True)
    env = make("refuses reset", 3)
    for _ in range(2):  # whole episodes: who has finished rests until all have, and nothing is reset early
        env.restart([0, 1, 2])
        for t in range(30):
            *_, terminated, _ = env.step(np.zeros((3, 1), np.float32))
            if t == 19:
                assert terminated.all()
                env.rest(np.ones(3, bool))


def test_who_rests_is_not_stepped() -> None:
    env = make("plain", 2)
    env.restart([0, 1])
    env.rest(np.array([True, False]))
    observation, reward, _, _ = env.step(np.zeros((2, 1), np.float32))
    assert not observation[0].any() and reward[0] == 0 and reward[1] != 0


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_an_episode_without_a_limit_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_by_one, "BOUND", 50)
    env = make("endless", env_id=ENDLESS)
    assert env.spec.max_episode_steps is None  # it has none of its own
    truncated = np.array([row[3] for row in run(env, 60)])
    assert truncated.sum(0).tolist() == [1, 1] and truncated[49].all()


@pytest.mark.parametrize("env_id", [LINE, ENDLESS, "PointNav2DContinuous-v0", "CartPole-v0"])
def test_a_limit_that_is_asked_for_is_the_limit(env_id: str) -> None:
    backend: vector.Backend = "auto"
    env = vector.make(env_id, 2, backend, max_episode_steps=3)
    assert env.spec.max_episode_steps == 3
    env.restart([0, 1])
    action = np.zeros(2, np.int64) if env.spec.actions.whole else np.zeros((2, env.spec.action_size), np.float32)
    assert [bool(env.step(action)[3].all()) for _ in range(4)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("env_id", "kwargs", "steps"),
    [
        ("odd_envs:longer", {"limit": 30}, 10),
        ("odd_envs:longer", {"limit": 5}, 5),
        ("odd_envs:longer", {"limit": 15, "again": True}, 15),
        ("odd_envs:LineWithin-v0", {"limit": 10}, 10),
        ("odd_envs:LineWithin-v0", {"limit": 70}, 50),
    ],
)
def test_of_several_limits_the_one_that_ends_episodes_is_stated(
    env_id: str, kwargs: dict[str, Any], steps: int
) -> None:
    """What is known of time limits decides which demonstrations count as terminated, and so the form of reward."""
    env = vector.make(env_id, 1, kwargs=kwargs)
    env.restart([0])
    ends = [bool(env.step(np.zeros((1, 1), np.float32))[3][0]) for _ in range(60)]
    assert env.spec.max_episode_steps == steps == ends.index(True) + 1


def test_a_limit_that_another_one_within_would_cut_short_is_refused() -> None:
    with pytest.raises(UserError, match=r"20 given, but the environment .*LineWithin-v0' is given with a limit of 10"):
        vector.make("odd_envs:LineWithin-v0", 1, kwargs={"limit": 10}, max_episode_steps=20)


def test_two_limits_that_differ_are_refused() -> None:
    with pytest.raises(UserError, match="--max_episode_steps: 3 given, but --env_kwargs has 4"):
        vector.make(LINE, 1, kwargs={"max_episode_steps": 4}, max_episode_steps=3)


class ResetsItself(gymnasium.Wrapper):
    """It begins its next episode in the last step, as vector environments do, or only tells the last observation."""

    def __init__(self, last: str, resets: bool) -> None:
        super().__init__(gymnasium.make(LINE))
        self._last, self._resets = last, resets

    def step(self, action: np.ndarray) -> Any:
        observation, reward, ended, cut, info = super().step(action)
        if ended:
            info = {self._last: observation}
            observation = self.reset()[0] if self._resets else observation
        return observation, reward, ended, cut, info


@pytest.mark.parametrize(
    ("last", "resets", "told"),
    [("final_obs", True, True), ("terminal_observation", True, True), ("final_obs", False, False), ("x", True, False)],
)
def test_an_environment_that_resets_itself_is_told(
    last: str, resets: bool, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    env = one_by_one.OneByOne(f"{last} {resets}", 2, {}, None, lambda number: (ResetsItself(last, resets), None))
    env.restart([0, 1])
    for _ in range(45):
        env.step(np.zeros((2, 1), np.float32))
    assert capsys.readouterr().err.count(f"another observation than info['{last}'], as if it reset itself;") == told


# ---- one instance alone ----------------------------------------------------------------------------------------------


def test_where_one_instance_may_live_alone_it_is_said_or_one_is_made() -> None:
    with pytest.raises(UserError, match=r"instance 2 of 2 in one process: RuntimeError: port 5005 is in use"):
        make("single")
    env = vector.make_together(LINE, 2, kwargs={"kind": "single"})  # the one above was closed again
    assert env.num_envs == 1
    env.close()
    with pytest.raises(UserError, match="no_such"):
        vector.make_together("no_such-v0", 2)


@pytest.fixture
def expert(tmp_path: Path) -> str:
    rows = np.zeros((20, 2), np.float32)
    held = Demonstrations(
        rows, rows[:, :1], np.arange(20) == 19, np.zeros(20, bool), np.arange(20), np.array([20]), rewards=rows[:, 0]
    )
    save(tmp_path / "line.h5", held)
    return str(tmp_path / "line.h5")


def train(expert: str, out: Path, kind: str, *more: str) -> int:
    line = ["train", LINE, "--expert", expert, "--env_kwargs", f'{{"kind": "{kind}"}}', "--num_envs", "1", "--quiet"]
    return main(
        [*line, "--steps", "100", "--timesteps_per_batch", "64", "--final_episodes", "3", "--out", str(out), *more]
    )


def test_a_run_in_one_instance_is_that_of_many(expert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Evaluated at the end, in one environment at a time, after the training's is closed."""
    assert train(expert, tmp_path / "many", "plain", "--eval_every", "0") == 0
    assert train(expert, tmp_path / "one", "single", "--eval_every", "0") == 0
    many, one = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("many", "one"))
    assert many["returns"] == one["returns"] != []
    capsys.readouterr()
    assert train(expert, tmp_path / "never", "single", "--eval_every", "64") == 2
    said = capsys.readouterr().err
    assert "port 5005 is in use" in said and "--eval_every 0" in said and said.count("\n") == 1
    assert not (tmp_path / "never").exists()


def test_whole_episodes_are_never_reset_early(expert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(expert, tmp_path / "steps", "refuses reset", "--eval_every", "0") == 2
    assert "--sampling episodes" in capsys.readouterr().err
    more = ("--sampling", "episodes", "--num_envs", "3", "--eval_every", "50", "--eval_episodes", "2")
    assert train(expert, tmp_path / "episodes", "refuses reset", *more) == 0


def test_cloning_never_resets_early(expert: str, tmp_path: Path) -> None:
    line = ["clone", LINE, "--expert", expert, "--env_kwargs", '{"kind": "refuses reset"}', "--iterations", "5"]
    assert main([*line, "--out", str(tmp_path / "clone"), "--final_episodes", "3", "--quiet"]) == 0
    made = functools.partial(importlib.import_module("odd_envs").Line, "refuses reset")
    with pytest.warns(UserWarning, match="has no time limit"):
        trpo_gail.BC("MlpPolicy", made, expert).learn(5)


def test_a_run_without_any_evaluation(expert: str, tmp_path: Path) -> None:
    assert train(expert, tmp_path / "run", "plain", "--eval_every", "0", "--final_episodes", "0") == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["stopped"] == "steps" and summary["return_mean"] is None and summary["returns"] == []


@pytest.mark.parametrize("kind", ["raises in close", "elsewhere", "no gradients", "on a device"])
def test_what_an_environment_does_beside_its_work_ends_no_run(
    kind: str, expert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        assert train(expert, Path("run"), kind, "--eval_every", "64", "--eval_episodes", "1") == 0
        assert torch.get_default_device() == torch.device("cpu")
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_device(None)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["stopped"] == "steps"
    told = capsys.readouterr().err
    assert ("close: RuntimeError: no simulator to close (odd_envs.py" in told) == (kind == "raises in close")


def test_what_an_environment_sets_for_all_of_torch_changes_no_run(expert: str, tmp_path: Path) -> None:
    try:
        for kind, name in (("plain", "plain"), ("no gradients from a step on", "odd")):
            assert train(expert, tmp_path / name, kind, "--eval_every", "64", "--eval_episodes", "1") == 0
            assert torch.get_default_dtype() == torch.float32
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
    plain, odd = (read_policy(tmp_path / name)[0].state_dict() for name in ("plain", "odd"))
    assert plain.keys() == odd.keys() and all(torch.equal(plain[key], odd[key]) for key in plain)


def test_an_environment_that_goes_elsewhere_takes_no_relative_path_along(
    expert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(expert, Path("run"), "elsewhere", "--eval_every", "0") == 0
    monkeypatch.chdir(tmp_path)  # a training keeps its own paths
    odd = ["--env_kwargs", '{"kind": "elsewhere"}']
    assert main(["record", LINE, "--policy", "run", "--episodes", "2", "--out", "more.h5", *odd]) == 0
    assert main(["data", "validate", "more.h5", "--env", LINE, *odd]) == 0
    assert main(["evaluate", "run", "--episodes", "2", "--env", LINE]) == 0
    assert main(["evaluate", "run", "--episodes", "2", "--video", "film.gif"]) == 2
    assert "cannot be drawn" in capsys.readouterr().err
    assert main(["report", "run"]) == 0
    assert (tmp_path / "run" / "report.html").exists() and Path.cwd() == tmp_path


def test_the_error_is_told_and_not_what_closing_does_after_it(
    expert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Both(sys.modules["odd_envs"].Line):  # type: ignore[misc]
        def _break(self) -> None:
            raise ZeroDivisionError("the real reason")

        def close(self) -> None:
            raise RuntimeError("closing failed, too")

    gymnasium.register("Both-v0", entry_point=Both, max_episode_steps=100)
    line = ["train", "Both-v0", "--expert", expert, "--num_envs", "2", "--quiet", "--out", str(tmp_path / "run")]
    assert main([*line, "--steps", "100", "--timesteps_per_batch", "64"]) == 1
    assert "the real reason" in capsys.readouterr().err
