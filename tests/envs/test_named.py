"""Environments by the names of Python, and by which name what Python code gave is made again."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics
from toy_envs import AnySpace, Counter

from trpo_gail import UserError
from trpo_gail.config import choices
from trpo_gail.envs import named, sources, vector
from trpo_gail.experts.policies import function


def counter() -> gymnasium.Env:
    return Counter(length=5)


class Pendulum(Counter):
    """Has the name of one of gymnasium's environments."""


def wrapped() -> gymnasium.Env:
    return RecordEpisodeStatistics(gymnasium.make("ToyCounter-v0"))


def test_a_class_or_a_function_at_the_top_of_a_module_is_an_environment() -> None:
    for name, kwargs, length in (("toy_envs:Counter", {"length": 4}, 4), ("test_named:counter", {}, 5)):
        env = vector.make(name, 2, kwargs=kwargs)
        assert (env.spec.id, env.spec.backend, env.spec.max_episode_steps) == (name, "gymnasium", None)
        env.restart([0, 1])
        ends = [bool(env.step(env.spec.actions.zeros(2))[2].all()) for _ in range(length)]
        assert ends == [False] * (length - 1) + [True]
        env.close()
    limited = vector.make("toy_envs:Counter", 1, max_episode_steps=2)
    assert limited.spec.max_episode_steps == 2


def test_a_class_that_is_called_as_one_of_gymnasiums_is_that_class() -> None:
    env = vector.make("test_named:Pendulum", 2, kwargs={"length": 4})
    assert isinstance(env.spec.action_space, type(Counter().action_space)) and env.spec.max_episode_steps is None
    assert isinstance(named.maker("test_named:Pendulum")(), Pendulum)  # type: ignore[misc]
    assert named.maker("gymnasium:Pendulum-v1") is None


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("toy_envs.py:ToyCounter-v0", "toy_envs.py given, toy_envs:ToyCounter-v0 expected, without .py"),
        ("./toy_envs.py:Counter", "./toy_envs.py given, toy_envs:Counter expected, without .py"),
        ("mine/toy_envs.py:Counter", "mine/toy_envs.py given, mine.toy_envs:Counter expected, without .py"),
        ("/of/mine/toy_envs.py:Counter", "/of/mine/toy_envs.py given, toy_envs:Counter expected, without .py"),
        ("no_such_module:Thing-v0", "no module 'no_such_module': modules are looked for in the current folder, in PY"),
        ("toy_envs:Nothing-v0", "; module toy_envs neither registers it nor has a class or function Nothing-v0"),
        ("Docking-v0", "Environment `Docking` doesn't exist; if a module of yours registers it, MODULE:Docking-v0 expected"),
        ("./toy_envs:Counter", "'./toy_envs' is no module's name, such as package.module; modules are looked for in"),
        ("test_named:Spaceless", "observation_space: expected a space of gymnasium.spaces, found nothing"),
        ("test_named:Listed", "observation_space: expected a space of gymnasium.spaces, found list [1, 2]"),
        ("test_named:Empty", "observations: a MultiDiscrete without numbers"),
        ("test_named:pathless", "int made, a gymnasium.Env expected"),
    ],
)  # fmt: skip
def test_a_name_that_makes_none_is_one_clear_line(name: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        vector.make(name, 1)
    assert line in str(caught.value)


def pathless() -> int:
    return 3


class Spaceless(Counter):
    """Says nothing of what it shows."""

    def __init__(self) -> None:
        super().__init__()
        del self.observation_space


class Listed(Counter):
    """Says it in a way of its own."""

    observation_space: Any

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = [1, 2]


class Empty(Counter):
    """Shows no number."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gymnasium.spaces.MultiDiscrete([])


class Catalogued(Counter):
    """Calls something else `spec`."""

    spec: Any = "a sheet of paper"


gymnasium.register("ToyGoals-v0", entry_point=f"{__name__}:goals", kwargs={"goals": np.zeros(2)})


def goals(goals: np.ndarray) -> Counter:
    return Counter()


@pytest.mark.parametrize(
    ("given", "name", "task", "lacks"),
    [
        (lambda: gymnasium.make("CartPole-v1"), "CartPole-v1", "CartPole-v1", None),
        (gymnasium.make("CartPole-v1", render_mode="rgb_array"), "CartPole-v1", "CartPole-v1", None),
        (lambda: gymnasium.make("ToyCounter-v0"), "toy_envs:ToyCounter-v0", "ToyCounter-v0", None),
        (Counter, "toy_envs:Counter", "Counter", None),
        (Catalogued, "test_named:Catalogued", "Catalogued", None),
        (lambda: gymnasium.make("ToyGoals-v0", goals=np.zeros(2)), "test_named:ToyGoals-v0", "ToyGoals-v0", None),
        (gymnasium.make("ToyGoals-v0", goals=np.ones(2)), "ToyGoals-v0", "ToyGoals-v0", "ToyGoals-v0 has other arg"),
        (counter, "test_named:counter", "Counter", None),
        (wrapped, "test_named:wrapped", "ToyCounter-v0", None),
        (wrapped(), "ToyCounter-v0", "ToyCounter-v0", "ToyCounter-v0 is wrapped in RecordEpisodeStatistics"),
        (gymnasium.make("ToyCounter-v0", length=9), "ToyCounter-v0", "ToyCounter-v0", "ToyCounter-v0 has other arguments"),
        (lambda: Counter(9), "Counter", "Counter", "<lambda> is not at the top of a module"),
        (AnySpace(gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(2)), "AnySpace", "AnySpace", "AnySpace is not reg"),
    ],
)  # fmt: skip
def test_what_python_code_gave_has_the_name_that_makes_it_again(
    given: Any, name: str, task: str, lacks: str | None
) -> None:
    found = sources.of(given).reference
    assert (
        found[:2] == (name, task) and (found.lacks or "").startswith(lacks or "") and (not found.lacks) == (not lacks)
    )
    if lacks is None:
        vector.make(name, 1).close()


def test_what_is_of_the_script_that_was_started_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine() -> gymnasium.Env:
        return Counter()

    mine.__module__, mine.__qualname__ = "__main__", "mine"
    monkeypatch.setitem(sys.modules, "__main__", types.SimpleNamespace(mine=mine))
    assert named.of_maker(mine, mine()).lacks == "mine is of the script that was started"


def test_an_error_within_the_module_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_task.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        UserError, match=r"^environment 'broken_task:X-v0': ModuleNotFoundError: No module .*no_such_lib"
    ):
        vector.make("broken_task:X-v0", 1)


def test_modules_of_the_current_folder_are_found_behind_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a script of another folder finds them: an environment, a network, an adversary, and a policy to record."""
    (tmp_path / "found_here.py").write_text(
        "from toy_envs import Counter\nfrom torch import nn\n"
        "def net(inputs, outputs): return nn.Linear(inputs, outputs)\ndef act(observation): return 0.5\n"
    )
    (tmp_path / "math.py").write_text("raise RuntimeError('hides what is installed')\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(UserError, match="no module 'found_here'"):
        vector.make("found_here:Counter", 1)
    monkeypatch.chdir(tmp_path)
    assert vector.make("found_here:Counter", 1).spec.observation_size == 2
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "found_here")
    assert callable(choices.Choice("found_here", function="net").load())
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "found_here")
    assert function.load("found_here:act").description == "found_here:act"  # type: ignore[attr-defined]
    assert sys.path[-1] == str(tmp_path)
