"""A person's episodes: keys are pressed by the test, in a window that nobody sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Dict, Text

sys.path.append(str(Path(__file__).parents[1] / "envs"))
import toy_envs

from trpo_gail.cli import main
from trpo_gail.errors import RunError, UserError
from trpo_gail.experts.load import load
from trpo_gail.runs.play import play

pygame = pytest.importorskip("pygame", reason="pygame is not installed")


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[tuple[str, str]]], None]:
    """Events of the keyboard, one a step; a step without events once they are used up."""

    def press(events: list[tuple[str, str]]) -> None:
        waiting: Iterator[tuple[str, str]] = iter(events)

        def get(*_: Any) -> list[Any]:
            what, key = next(waiting, ("nothing", ""))
            if what == "close":
                return [pygame.event.Event(pygame.QUIT)]
            kind = {"down": pygame.KEYDOWN, "up": pygame.KEYUP}.get(what)
            return [pygame.event.Event(kind, key=pygame.key.key_code(key))] if kind else []

        monkeypatch.setattr(pygame.event, "get", get)

    return press


def test_keys_become_actions(tmp_path: Path, hands: Callable[[list[tuple[str, str]]], None]) -> None:
    hands([("nothing", ""), ("down", "right"), ("nothing", ""), ("up", "right"), ("nothing", "")])
    held = play("CartPole-v1", 2, tmp_path / "x.h5", fps=1000, seed=3)
    assert held.actions[:5].tolist() == [0, 1, 1, 0, 0] and set(held.actions[5:].tolist()) == {0}
    assert held.trajectories == 2 and held.finished_returns is not None and held.rewards is not None
    assert held.finished_returns.tolist() == held.episode_lengths.tolist() and held.terminals.sum() == 2
    again = load(tmp_path / "x.h5")
    assert again.env_id == "CartPole-v1" and again.provenance.policy == "a person" and again.action_view == "raw"
    np.testing.assert_array_equal(again.observations, held.observations)


def test_an_episode_is_what_the_environment_does(tmp_path: Path, hands: Callable[..., None]) -> None:
    """The recorded actions from the recorded start give the recorded observations; the episodes start differently."""
    hands([("down", "right"), ("up", "right")] * 4)
    held = play("CartPole-v1", 2, tmp_path / "x.h5", fps=1000)
    starts = held.observations[held.steps == 0]
    assert (starts[0] != starts[1]).any()
    env: Any = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    env.unwrapped.state = starts[0].astype(np.float64)
    seen = [env.step(int(action))[0] for action in held.actions[: held.episode_lengths[0] - 1]]
    np.testing.assert_allclose(held.observations[1 : held.episode_lengths[0]], seen, atol=1e-5)


class Told(gymnasium.ObservationWrapper):
    """Says what to do beside what is seen."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.observation_space = Dict({"seen": env.observation_space, "mission": Text(20)})

    def observation(self, observation: np.ndarray) -> dict[str, Any]:
        return {"seen": observation, "mission": "keep it upright"}


def test_texts_are_left_out(tmp_path: Path, hands: Callable[..., None]) -> None:
    gymnasium.register("ToyTold-v0", lambda **given: Told(gymnasium.make("CartPole-v1", **given)))
    hands([("nothing", "")])
    play("ToyTold-v0", 1, tmp_path / "x.h5", keys='{"left": 0, "": 0}', fps=1000)
    held = load(tmp_path / "x.h5")
    assert held.observations.dtype.names == ("seen",) and held.observations["seen"].shape[1:] == (4,)


class Drawn(toy_envs.Counter):
    """A class that no id is registered for, and that has no time limit of its own."""

    def __init__(self, render_mode: str = "rgb_array") -> None:
        super().__init__(length=10**9, action_space=gymnasium.spaces.Discrete(2))
        self.render_mode = render_mode

    def render(self) -> np.ndarray:
        return np.zeros((8, 8, 3), np.uint8)


class Forgetful(Drawn):
    """It does not keep how it draws."""

    render_mode = property(lambda self: None, lambda self, value: None)


def test_a_class_of_a_module_is_played(tmp_path: Path, hands: Callable[..., None]) -> None:
    hands([("nothing", "")])
    held = play("test_play:Drawn", 1, tmp_path / "x.h5", fps=1000, max_episode_steps=4)
    assert held.episode_lengths.tolist() == [4] and held.timeouts.sum() == 1


class Reusing(Drawn):
    """It writes into the arrays that it gives and gets; 0.5 more at each step."""

    def __init__(self, render_mode: str = "rgb_array") -> None:
        super().__init__(render_mode)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
        self._seen = np.zeros(2)

    def reset(self, **given: Any) -> tuple[np.ndarray, dict]:
        self._seen[:] = super().reset(**given)[0]
        return self._seen, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._seen[:], *others = super().step(action)
        action *= 0.5
        return self._seen, *others  # type: ignore[return-value]


def test_an_environment_may_write_into_its_arrays(tmp_path: Path, hands: Callable[..., None]) -> None:
    hands([("down", "right")])
    held = play("test_play:Reusing", 2, tmp_path / "x.h5", fps=1000, max_episode_steps=4)
    assert held.observations[:, 1].tolist() == [0, 1, 2, 3] * 2  # steps made; the first was that of the step after it
    assert (held.actions == 1).all()  # the table's action was halved again and again


def test_a_closed_window_keeps_what_is_finished(tmp_path: Path, hands: Callable[..., None]) -> None:
    told: list[str] = []
    hands([("nothing", "")] * 30 + [("close", "")])
    held = play("CartPole-v1", 99, tmp_path / "x.h5", fps=1000, warn=told.append)
    assert 1 <= held.trajectories < 30 and f"after {held.trajectories} of 99 episodes" in told[0]
    hands([("nothing", ""), ("close", "")])
    with pytest.raises(UserError, match=r"closed before an episode ended; .*y\.h5 is not written"):
        play("CartPole-v1", 1, tmp_path / "y.h5", fps=1000)
    assert not (tmp_path / "y.h5").exists()


class Breaking(Drawn):
    """Its second episode breaks at the third step, and it cannot be closed. `how` says in which way."""

    how: Callable[[], Any]
    resets = 0

    def reset(self, **given: Any) -> Any:
        self.resets += 1  # the first is the look at its picture, the second the player's
        return super().reset(**given)

    def step(self, action: Any) -> Any:
        observation, reward, *more = super().step(action)
        if self.resets == 4 and self._step == 3:
            reward = type(self).how()
        return (observation, reward, *more)

    def close(self) -> None:
        raise RuntimeError("no window to close")


def _lose() -> None:
    raise RuntimeError("the server is gone")


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        (_lose, RunError, r"'test_play:Breaking': step: RuntimeError: the server is gone \(test_play"),
        (lambda: sys.exit(0), RunError, r"'test_play:Breaking': step: it called sys.exit\(0\) \(test_play"),
        (lambda: np.nan, RunError, "FloatingPointError: observations and rewards must be finite, found nan"),
        (_interrupt, KeyboardInterrupt, None),
    ],
)
def test_what_breaks_a_game_off_loses_no_finished_episode(
    how: Callable[[], Any], kind: type[BaseException], message: str | None, tmp_path: Path, hands: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(Breaking, "how", staticmethod(how), raising=False)
    hands([("nothing", "")])
    with pytest.raises(kind, match=message) as raised:
        play("test_play:Breaking", 3, tmp_path / "x.h5", fps=1000, max_episode_steps=4)
    assert raised.value.__notes__ == [f"finished episodes, written to {tmp_path / 'x.h5'}: 1 of 3"]
    assert load(tmp_path / "x.h5").episode_lengths.tolist() == [4]
    assert "close: RuntimeError: no window to close" in capsys.readouterr().err


def test_it_waits_for_a_key(tmp_path: Path, hands: Callable[..., None]) -> None:
    hands([("nothing", "")] * 5 + [("down", "d"), ("nothing", "")] * 40)
    keys = '{"A": 0, "d": 2, "up+left": 3, "": null}'
    held = play("FrozenLake-v1", 1, tmp_path / "x.h5", keys=keys, fps=1000, env_kwargs={"is_slippery": False},
                max_episode_steps=4)  # fmt: skip
    assert held.actions.tolist() == [2] * 4 and held.observations.dtype.kind == "i" and held.timeouts.sum() == 1


def test_floats_by_arrows(tmp_path: Path, hands: Callable[..., None]) -> None:
    hands([("down", "left"), ("nothing", ""), ("up", "left"), ("nothing", "")])
    held = play("Pendulum-v1", 1, tmp_path / "x.h5", fps=1000, max_episode_steps=5)
    assert held.actions[:, 0].tolist() == [-2, -2, 0, 0, 0]


@pytest.mark.parametrize(
    ("env", "keys", "message"),
    [
        ("Acrobot-v1", "[1]", r"--keys: expected a JSON object of keys and actions, found '\[1\]'"),
        ("Acrobot-v1", "{", "--keys: expected a JSON object"),
        ("Acrobot-v1", '{"lleft": 0}', "--keys: 'lleft' is no key; names are left, right"),
        ("Acrobot-v1", '{"left": 3}', r"--keys: 'left': expected an action of Discrete\(3\), found 3"),
        ("Acrobot-v1", '{"left": "x"}', "--keys: 'left': expected an action of"),
        ("Acrobot-v1", '{"left": null}', "--keys: 'left': expected an action, found null"),
        ("Acrobot-v1", '{"": 0}', "--keys: expected at least one key"),
        ("Pendulum-v1", '{"left": [1, 2]}', "--keys: 'left': expected an action of Box"),
        ("Pendulum-v1", '{"left": 9}', "--keys: 'left': expected an action of Box"),
        ("test_play:Forgetful", None, "render_mode: expected 'rgb_array', its argument, as an attribute, found None"),
        ("FrozenLake-v1", None, r"--keys: expected keys for the actions Discrete\(4\), such as"),
        ("Nowhere-v0", None, "environment 'Nowhere-v0': Environment `Nowhere` doesn't exist"),
    ],
)
def test_mistakes(tmp_path: Path, env: str, keys: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        play(env, 1, tmp_path / "x.h5", keys=keys)


def test_the_command(tmp_path: Path, hands: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    hands([])
    line = ["record", "CartPole-v1", "--policy", "human", "--episodes", "1", "--out", str(tmp_path / "x.h5")]
    assert main([*line, "--fps", "1000"]) == 0
    assert "policy         a person" in capsys.readouterr().out
    assert main([*line, "--noise", "0.5"]) == 2
    assert "--noise 0.5: is not expected with --policy human" in capsys.readouterr().err
    other = ["record", "PointNav2D-v0", "--policy", "greedy", "--episodes", "1", "--out", str(tmp_path / "y.h5")]
    assert main([*other, "--keys", "{}"]) == 2
    assert "--keys {}: expected with --policy human alone, found with --policy greedy" in capsys.readouterr().err
