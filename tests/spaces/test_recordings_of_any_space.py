"""Recorded in an environment of any space, kept in a file, read, shown in the tables, and trained on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Space
from repeats import every
from test_any_space import ACTIONS, CASES, OBSERVATIONS, toy_envs

import trpo_gail
from trpo_gail.cli import main
from trpo_gail.config.tree import PolicyConfig
from trpo_gail.errors import UserError
from trpo_gail.experts import structured
from trpo_gail.reports import run_data
from trpo_gail.reports.state_section import look_at_states, states_section
from trpo_gail.runs.record import record
from trpo_gail.spaces.layout import left_out


@pytest.fixture
def expert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the name of a function that draws actions of a space; it looks whether observations are the space's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "somebody", raising=False)

    def policy(observation_space: Space, action_space: Space) -> str:
        code = "def act(seen):\n    assert SEEN is None or SEEN.contains(seen), seen\n    return ACTIONS.sample()\n"
        (tmp_path / "somebody.py").write_text(code)
        import somebody  # type: ignore[import-not-found]

        action_space.seed(0)
        seen = None if left_out(observation_space) else observation_space  # a text is not handed on
        somebody.SEEN, somebody.ACTIONS = seen, action_space
        return "somebody:act"

    return policy


@pytest.mark.parametrize(("observation", "action"), every(3, CASES))
def test_it_is_recorded_and_trained_on(
    observation: str, action: str, expert: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = OBSERVATIONS[observation], ACTIONS[action]
    name, file = toy_envs.env_id(*spaces), tmp_path / "x.h5"
    told: list[str] = []
    record(name, expert(*spaces), 3, file, num_envs=2, warn=told.append)
    assert ["is a text, which is left out" in text for text in told] == [True] * ("words" in observation)
    held = trpo_gail.Demonstrations.load(file)
    assert held.trajectories == 3 and held.finished_returns is not None
    assert held.finished_returns.tolist() == [5.0] * 3, "every action was the environment's"
    kinds = {part.dtype.kind for _, part in structured.parts(held.observations)}
    assert kinds <= set("fiu") and held.final_observations is not None
    assert main(["data", "info", str(file)]) == 0 == main(["data", "head", str(file)])
    assert main(["data", "validate", str(file), "--env", name]) == 0, capsys.readouterr()
    config = trpo_gail.Config(
        name, expert=str(file), steps=40, num_envs=2, timesteps_per_batch=20, d_step=2, eval_every=0, final_episodes=2,
        policy=PolicyConfig(hidden_sizes=(8,)),
    )  # fmt: skip
    assert trpo_gail.run(config, tmp_path / "run", quiet=True)["steps"] >= 40
    (run,) = run_data.load([tmp_path / "run"])
    states = look_at_states([run], 2)
    assert states.missing == [] and states.experts[0].rows.shape[1:] == states.learners[0].rows.shape[1:]
    assert states_section([run], states).parts


def test_parts_are_matched_by_name(expert: Any, tmp_path: Path) -> None:
    spaces = OBSERVATIONS["robot"], ACTIONS["from 1"]
    name, file = toy_envs.env_id(*spaces), tmp_path / "x.h5"
    record(name, expert(*spaces), 2, file)
    held = trpo_gail.Demonstrations.load(file)
    parts = structured.mapped(held.observations)

    def run(observations: dict[str, np.ndarray], out: str) -> Any:
        given = trpo_gail.Demonstrations.from_arrays(observations, held.actions, terminals=held.terminals)
        config = trpo_gail.Config(
            name, steps=20, num_envs=2, timesteps_per_batch=20, d_step=2, eval_every=0, final_episodes=0,
            policy=PolicyConfig(hidden_sizes=(8,)),
        )  # fmt: skip
        return trpo_gail.run(config, tmp_path / out, quiet=True, expert=given)

    run(dict(reversed(parts.items())) | {"extra": np.zeros(10)}, "more")
    without = {key: values for key, values in parts.items() if key != "mode"}
    with pytest.raises(
        UserError, match=r"expected the part 'mode' of the environment .*; the file holds camera, speed"
    ):
        run(without, "less")
    with pytest.raises(UserError, match=r"part 'camera': expected rows of shape \[3, 8, 6\] as .*, found \[8, 6, 3\]"):
        run(parts | {"camera": np.moveaxis(parts["camera"], 1, -1)}, "last")
    with pytest.raises(UserError, match=r"part 'mode': 2 is no label"):
        run(parts | {"mode": parts["mode"] + 1}, "label")
    camera = parts["camera"].astype(np.int64)
    for wrong in (camera / 255, camera - 300, camera + 256):
        with pytest.raises(UserError, match=r"part 'camera': expected whole numbers from 0 to 255"):
            run(parts | {"camera": wrong}, "scaled")
    with pytest.raises(UserError, match=r"expected rows of shape \[\d+\] as the environment"):
        run(parts["speed"], "plain")


@pytest.mark.parametrize("name", ["left/right", "", ".", ".."])
def test_names_that_no_file_can_hold_are_refused_before_anything_is_played(
    name: str, expert: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Dict({"a": Dict({name: Box(-1, 1, (2,))}), "b": Discrete(2)})
    env = toy_envs.env_id(space, Discrete(2))
    monkeypatch.setattr(toy_envs.AnySpace, "step", None)
    with pytest.raises(UserError, match=rf"observations 'a\.{name}': no file can hold a part by the name '{name}'$"):
        record(env, expert(space, Discrete(2)), 1, tmp_path / "x.h5")
