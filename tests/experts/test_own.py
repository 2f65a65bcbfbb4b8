"""Demonstrations from a user's own arrays and trajectories, by hand, and a training from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trpo_gail
from trpo_gail.cli import main
from trpo_gail.config.tree import DiscriminatorConfig, PolicyConfig
from trpo_gail.errors import UserError

EXPERT = Path(__file__).parents[2] / "expert_data" / "CartPole-v1.h5"
OBSERVED = np.arange(14.0).reshape(7, 2)
ACTED = np.arange(7.0)[:, None]
LAST = np.array([0, 0, 1, 0, 0, 0, 1], bool)


def made(**given: Any) -> trpo_gail.Demonstrations:
    return trpo_gail.Demonstrations.from_arrays(OBSERVED, ACTED, **given)


@pytest.mark.parametrize(
    "ends",
    [
        {"episode_ends": LAST},
        {"episode_ends": LAST.astype(int)},
        {"episode_ends": [3, 7]},
        {"episode_lengths": [3, 4]},
        {"terminals": LAST},
        {"timeouts": LAST},
        {"terminals": LAST & (np.arange(7) < 3), "timeouts": LAST & (np.arange(7) > 3)},
    ],
)
def test_every_way_to_say_where_episodes_end(ends: dict[str, Any]) -> None:
    held = made(**ends, rewards=np.arange(7))
    assert held.episode_lengths.tolist() == [3, 4] and held.steps.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert held.episode_returns is not None and held.episode_returns.tolist() == [3.0, 18.0] and not held.unfinished
    assert (held.ends is not None) == bool({"terminals", "timeouts"} & set(ends))


def test_rows_behind_the_last_end_are_unfinished() -> None:
    for held in (made(episode_ends=[3]), made(episode_ends=LAST & (np.arange(7) < 3))):
        assert held.episode_lengths.tolist() == [3, 4] and held.unfinished
    assert made(episode_ends=np.zeros(7, bool)).episode_lengths.tolist() == [7]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected episode_ends, terminals, timeouts or episode_lengths, found nothing"),
        ({"episode_ends": LAST[:5]}, r"'episode_ends': expected 7 booleans as actions, found \[5\]"),
        ({"episode_ends": [3, 9]}, "'episode_ends': expected increasing rows from 1 to 7"),
        ({"episode_ends": [4, 3]}, "'episode_ends': expected increasing rows"),
        ({"episode_ends": [2, 6]}, "'episode_ends': expected the number of the row behind .*, 7 at the end, found 6"),
        ({"episode_ends": [0.5]}, r"'episode_ends': expected integers \[episodes\], found float64 \[1\]"),
        ({"episode_ends": [7], "episode_lengths": [7]}, "expected episode_ends or episode_lengths, found both"),
        ({"episode_lengths": [3, 0, 4]}, "'episode_lengths': expected 1 or more, found 0"),
        ({"episode_lengths": [3, 5]}, "'steps': expected 7 rows as in 'observations', found 8"),
        ({"episode_ends": [7], "rewards": np.zeros(6)}, "'rewards': expected 7 rows as in 'observations', found 6"),
        ({"episode_ends": [7], "color": "red"}, "color: expected names among"),
        ({"episode_ends": [7], "rewards": np.full(7, np.nan)}, "'rewards': expected finite values, found nan"),
    ],
)
def test_what_is_wrong_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^demonstrations: .*{message}"):
        made(**given)


def test_parts_and_labels() -> None:
    parts = {"camera": np.zeros((7, 4, 4, 3), np.uint8), "pose": {"x": OBSERVED, "n": np.arange(7)}}
    held = trpo_gail.Demonstrations.from_arrays(parts, np.arange(7), episode_ends=[7])
    assert held.observations.dtype.names == ("camera", "pose") and held.actions.dtype == np.int64
    assert held.observations["pose"]["x"].tolist() == OBSERVED.tolist()
    with pytest.raises(UserError, match="expected as many rows of each part, found a 2, b 3"):
        trpo_gail.Demonstrations.from_arrays(
            {"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}, np.zeros(2), episode_ends=[2]
        )


# --- Trajectories -------------------------------------------------------------------------------------------------


@dataclass
class Trajectory:
    """As `imitation` has it."""

    obs: np.ndarray
    acts: np.ndarray
    rews: np.ndarray
    terminal: bool
    infos: None = None


def test_trajectories_are_mappings_or_objects() -> None:
    pairs = [(OBSERVED[:4], ACTED[:3], True), (OBSERVED[3:], ACTED[3:6], False)]
    objects = [Trajectory(obs, acts, np.ones(len(acts)), terminal) for obs, acts, terminal in pairs]
    dicts = [
        {"observation": o.obs, "action": o.acts, "reward": o.rews, "terminals": [0, 0, o.terminal]} for o in objects
    ]
    for episodes in (objects, dicts):
        held = trpo_gail.Demonstrations.from_trajectories(episodes, env_id="Toy-v0")
        assert held.terminals.tolist() == [0, 0, 1, 0, 0, 0] and held.timeouts.tolist() == [0, 0, 0, 0, 0, 1]
        assert held.final_observations is not None and held.final_observations.tolist() == OBSERVED[[3, 6]].tolist()
        assert held.observations.tolist() == OBSERVED[[0, 1, 2, 3, 4, 5]].tolist() and held.env_id == "Toy-v0"


def test_episodes_whose_parts_have_several_dtypes() -> None:
    """NumPy's own concatenation makes other numbers of these, without a word."""
    episodes = [
        {"obs": {"a": np.full((3, 2), 1.5, dtype), "b": np.arange(3)}, "acts": np.zeros((3, 1), dtype)}
        for dtype in (np.float32, np.float64, np.float16)
    ]
    held = trpo_gail.Demonstrations.from_trajectories(episodes)
    assert held.observations["a"].dtype == np.float64 and held.observations["a"].tolist() == [[1.5, 1.5]] * 9
    assert held.observations["b"].tolist() == [0, 1, 2] * 3


@pytest.mark.parametrize(
    ("episodes", "message"),
    [
        ([], "expected at least 1 episode, found 0"),
        (
            [{"obs": OBSERVED, "acts": ACTED, "termnal": 1}],
            "'episode 0': 'termnal': unexpected here, did you mean terminal",
        ),
        (
            [{"obs": OBSERVED, "acts": ACTED, "rewrds": ACTED}],
            "'episode 0': 'rewrds': unexpected here, did you mean rewards",
        ),
        (
            [[{"obs": OBSERVED[0], "acts": ACTED[0]}]],
            r"'episode 0': expected a mapping or an object of observations and actions \[steps, ...\], found list of 1$",
        ),
        ([{"obs": OBSERVED}], "'episode 0' has no actions, expected one of actions, action, acts"),
        ([{"obs": OBSERVED, "acts": ACTED[:3]}], "'episode 0': expected 3 observations as actions, found 7"),
        ([{"obs": OBSERVED[:0], "acts": ACTED[:0]}], "'episode 0': expected at least 1 step, found 0"),
        (
            [{"obs": OBSERVED, "acts": ACTED}, {"obs": OBSERVED[:, :1], "acts": ACTED}],
            r"'episode 1': expected observations of float64 \[2\] as 'episode 0', found float64 \[1\]",
        ),
        (
            [{"obs": OBSERVED, "acts": ACTED, "rews": ACTED}, {"obs": OBSERVED, "acts": ACTED}],
            "'episode 1' has no rewards, expected it of each episode or of no episode",
        ),
    ],
)
def test_what_is_wrong_with_an_episode(episodes: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^demonstrations: {message}"):
        trpo_gail.Demonstrations.from_trajectories(episodes)


def test_other_keys_of_an_episode_are_welcome() -> None:
    """Also one that is like a field's name, if the field is there or the name goes on behind it."""
    more = {"reward_std": 1.0, "rewards2": 2.0, "terminal_obs": 3.0, "infos": [], "next_acts": ACTED}
    held = trpo_gail.Demonstrations.from_trajectories([{"obs": OBSERVED, "acts": ACTED, "rews": ACTED[:, 0], **more}])
    assert len(held.actions) == len(ACTED)


# --- Saved, and learned from --------------------------------------------------------------------------------------


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    held = made(terminals=LAST, rewards=np.ones(7), final_observations=OBSERVED[:2], env_id="Toy-v0")
    held.save(tmp_path / "x.h5")
    again = trpo_gail.Demonstrations.load(tmp_path / "x.h5")
    assert isinstance(again, trpo_gail.Demonstrations) and again.env_id == "Toy-v0"
    for name in ("observations", "actions", "terminals", "rewards", "final_observations"):
        np.testing.assert_array_equal(getattr(again, name), getattr(held, name))
    with pytest.raises(UserError, match="expected a format that is written"):
        held.save(tmp_path / "x", "tarot")
    with pytest.raises(UserError, match=r"the format native is HDF5, expected a name that ends in \.h5"):
        held.save(tmp_path / "x.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["x.h5"]
    for folder in (".", tmp_path):  # the current folder's name is empty for pathlib
        with pytest.raises(UserError, match="cannot be written: Is a directory"):
            held.save(folder)


def cartpole(seed: int) -> trpo_gail.Demonstrations:
    rng = np.random.default_rng(seed)
    return trpo_gail.Demonstrations.from_arrays(
        rng.normal(size=(40, 4)), rng.integers(2, size=40), episode_ends=[20, 40]
    )


def small(steps: int) -> trpo_gail.Config:
    return trpo_gail.Config(
        "CartPole-v1", steps=steps, num_envs=2, timesteps_per_batch=40, eval_every=0, final_episodes=0,
        policy=PolicyConfig(hidden_sizes=(8,)),
    )  # fmt: skip


def test_a_run_keeps_what_it_was_given(tmp_path: Path) -> None:
    """So that it is resumed without it, even where it was moved to, and as if it had not been interrupted."""
    held = cartpole(0)
    whole = trpo_gail.run(small(120), tmp_path / "whole", quiet=True, expert=held)
    trpo_gail.run(small(80), tmp_path / "parts", quiet=True, expert=held)
    (tmp_path / "parts").rename(tmp_path / "moved")
    parts = trpo_gail.run(small(120), tmp_path / "moved", resume=True, quiet=True)
    assert whole["steps"] == parts["steps"] >= 120
    rows = [(tmp_path / name / "metrics.csv").read_text().splitlines()[-1] for name in ("whole", "moved")]
    assert rows[0].split(",")[:8] == rows[1].split(",")[:8]


def test_demonstrations_are_given_once(tmp_path: Path) -> None:
    config = small(80)
    with pytest.raises(UserError, match=r"expert: a file of demonstrations is needed"):
        trpo_gail.run(config, tmp_path / "none", quiet=True)
    trpo_gail.run(config, tmp_path / "run", quiet=True, expert=cartpole(0))
    with pytest.raises(UserError, match="keeps the demonstrations that it was made with: expert is not expected"):
        trpo_gail.run(config, tmp_path / "run", resume=True, quiet=True, expert=cartpole(0))
    named = trpo_gail.Config("CartPole-v1", expert=str(tmp_path / "run" / "checkpoints" / "expert.h5"))
    with pytest.raises(UserError, match=r"config\.expert is the file .*expert\.h5: one expected"):
        trpo_gail.run(named, tmp_path / "two", quiet=True, expert=cartpole(0))
    assert not (tmp_path / "none").exists() and not (tmp_path / "two").exists()


def test_they_must_fit_the_environment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^demonstrations: dataset 'observations': expected rows of shape \[4\]"):
        trpo_gail.run(small(80), tmp_path / "run", quiet=True, expert=made(episode_ends=[7]))
    assert not (tmp_path / "run").exists()


# ---- without actions -------------------------------------------------------------------------------------------------


def without_actions(path: Path) -> Path:
    """CartPole's demonstrations, as of somebody who saw states alone."""
    held = trpo_gail.Demonstrations.load(EXPERT)
    trpo_gail.Demonstrations.from_arrays(
        held.observations, terminals=held.terminals, timeouts=held.timeouts, rewards=held.rewards, env_id="CartPole-v1"
    ).save(path)
    return path


def test_states_alone_are_kept_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = without_actions(tmp_path / "states.h5")
    held = trpo_gail.Demonstrations.load(path)
    assert not held.has_actions and held.actions.shape == (len(held.observations), 0) and held.return_mean is not None
    assert main(["data", "validate", str(path), "--env", "CartPole-v1"]) == 0
    assert "no actions" in capsys.readouterr().out
    assert main(["data", "convert", str(path), str(tmp_path / "again.h5")]) == 0
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_states_alone_are_imitated_by_what_does_not_see_actions(tmp_path: Path) -> None:
    path, paid = without_actions(tmp_path / "states.h5"), []
    for file in (path, EXPERT):  # the actions of the other are not looked at
        out = tmp_path / file.stem
        config = trpo_gail.Config(
            "CartPole-v1", expert=str(file), iterations=2, timesteps_per_batch=200, num_envs=2, final_episodes=0,
            eval_every=0, discriminator=DiscriminatorConfig(inputs=("state", "next_state")),
        )  # fmt: skip
        trpo_gail.run(config, out, quiet=True)
        paid.append([line.split(",")[:12] for line in (out / "metrics.csv").read_text().splitlines()])
    assert paid[0] == paid[1]


@pytest.mark.parametrize("flags", [[], ["--adversary", "fem"], ["--adversary", "airl"], ["--init_policy", "bc"]])
def test_states_alone_are_refused_by_what_sees_actions(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = without_actions(tmp_path / "states.h5")
    assert main(["train", "CartPole-v1", "--expert", str(path), "--out", str(tmp_path / "run"), *flags]) == 2
    assert f"{path}: holds no actions, at which this run would look" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
