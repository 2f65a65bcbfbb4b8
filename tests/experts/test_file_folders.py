"""Folders of files with an episode each, or several: what many programs record."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from trpo_gail.cli import main
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load, pieces, read

Episode = dict[str, Any]


def write_h5(file: Path, episode: Episode) -> None:
    with h5py.File(file, "w") as held:
        for name, values in episode.items():
            held[name] = values


WRITERS: dict[str, Callable[[Path, Episode], Any]] = {
    ".npz": lambda file, episode: np.savez(file, **episode),
    ".pkl": lambda file, episode: file.write_bytes(pickle.dumps(episode)),
    ".pickle": lambda file, episode: file.write_bytes(pickle.dumps(episode)),
    ".pt": lambda file, episode: torch.save({name: torch.as_tensor(v) for name, v in episode.items()}, file),
    ".h5": write_h5,
}


def episode(number: int, steps: int, **more: Any) -> Episode:
    """Observations say which episode and step they are of."""
    rows = np.stack([np.full(steps, number), np.arange(steps)], axis=1).astype(np.float32)
    return {"observations": rows, "actions": -rows, "rewards": np.ones(steps), **more}


def ends(steps: int, ended: bool = True) -> np.ndarray:
    return (np.arange(steps) == steps - 1) & ended


def numbers(held: Demonstrations) -> list[float]:
    """The first number of each episode's observations."""
    firsts = np.cumsum(held.episode_lengths) - held.episode_lengths
    return [float(x) for x in held.observations[firsts, 0]]


@pytest.mark.parametrize("kind", WRITERS)
def test_files_come_in_the_order_of_their_numbers(kind: str, tmp_path: Path) -> None:
    for number in range(11):
        WRITERS[kind](tmp_path / f"episode_{number}{kind}", episode(number, 3 + number, dones=ends(3 + number)))
    held = read(tmp_path)
    assert numbers(held) == list(range(11)) and held.episode_lengths.tolist() == list(range(3, 14))
    assert held.ends is not None and held.ends.terminal == 11 and not held.unfinished
    assert held.finished_returns is not None and held.finished_returns.tolist() == [float(n) for n in range(3, 14)]
    assert held.notes == ("11 files, in the order of the numbers in their names",)
    assert held.path == str(tmp_path) and held.format == "a folder of files" and len(held.sha256) == 64
    assert numbers(load(tmp_path, 2)) == [0.0, 1.0]
    assert sum(piece.trajectories for piece in pieces(tmp_path)) == 11


def test_a_file_that_no_flag_ends_was_cut_by_time_if_flags_end_others(tmp_path: Path) -> None:
    for number in range(3):
        np.savez(tmp_path / f"{number}.npz", **episode(number, 4, terminated=ends(4, ended=number == 1)))
    held = read(tmp_path)
    assert held.ends is not None and (held.ends.terminal, held.ends.limit) == (1, 2)
    assert np.flatnonzero(held.terminals).tolist() == [7] and np.flatnonzero(held.timeouts).tolist() == [3, 11]
    assert "2 of 3 files end without a flag: their ends are taken for time limits" in held.notes


@pytest.mark.parametrize("flags", [{}, {"dones": np.zeros(4, bool)}])
def test_without_any_flag_it_is_not_known_how_they_end(flags: Episode, tmp_path: Path) -> None:
    for number in range(3):
        np.savez(tmp_path / f"{number}.npz", **episode(number, 4, **flags))
    held = read(tmp_path)
    assert held.ends is None and not held.says_ends and not held.unfinished
    assert held.episode_lengths.tolist() == [4, 4, 4] and not (held.terminals | held.timeouts).any()
    assert held.notes == ("3 files, in the order of the numbers in their names",)


def test_a_file_may_hold_several_episodes_or_one_observation_more(tmp_path: Path) -> None:
    for folder in ("several", "more"):
        (tmp_path / folder).mkdir()
    for number in range(2):
        np.savez(tmp_path / "several" / f"{number}.npz", **episode(number, 6, dones=np.arange(6) % 3 == 2))
        one = episode(number, 5)
        np.savez(tmp_path / "more" / f"{number}.npz", **one | {"actions": one["actions"][:4], "rewards": np.ones(4)})
    assert read(tmp_path / "several").episode_lengths.tolist() == [3] * 4
    held = read(tmp_path / "more")
    assert held.episode_lengths.tolist() == [4, 4] and held.final_observations is not None
    assert held.final_observations.tolist() == [[0.0, 4.0], [1.0, 4.0]]


def test_what_not_all_hold_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", **episode(0, 4, dones=ends(4)))
    one = episode(1, 4, dones=ends(4))
    del one["rewards"]
    np.savez(tmp_path / "1.npz", **one)
    held = read(tmp_path)
    assert held.rewards is None and "not in all sources, and so left out: rewards, episode_returns" in held.notes


def test_one_file_alone_and_files_of_other_kinds_beside_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "demos.npz", **episode(0, 6, dones=np.arange(6) % 3 == 2))
    for name in ("README.md", "._demos.npz", ".hidden.pkl"):
        (tmp_path / name).write_text("something")
    held = read(tmp_path)
    assert held.episode_lengths.tolist() == [3, 3] and held.notes == ()


def test_it_is_trained_on_and_resumed_until_it_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        labels: Episode = {
            "observations": rng.normal(size=(20, 4)),
            "actions": rng.integers(0, 2, 20),
            "dones": ends(20),
        }
        np.savez(folder / f"{number}.npz", **labels)
    run = str(tmp_path / "run")
    small = ["--num_envs", "2", "--timesteps_per_batch", "64", "--eval_every", "0", "--final_episodes", "1", "--quiet"]
    flags = ["CartPole-v1", "--expert", str(folder), "--iterations", "1", *small]
    assert main(["train", *flags, "--out", run]) == 0, capsys.readouterr().err
    assert main(["train", "--resume", "--out", run, "--iterations", "2", "--quiet"]) == 0, capsys.readouterr().err
    (folder / "1.npz").rename(folder / "3.npz")
    assert main(["train", "--resume", "--out", run, "--iterations", "3", "--quiet"]) == 2
    assert str(folder) in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("9.npz", b"", "9.npz: an empty file"),
        ("9.npz", b"PK\x03\x04 and no archive", "9.npz: of no format that is read, expected demonstrations as in"),
        ("9.pkl", pickle.dumps(3), "files of one kind expected, found 2 .npz, 1 .pkl"),
    ],
)
def test_what_is_wrong_with_one_is_one_line(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    for number in range(2):
        np.savez(tmp_path / f"{number}.npz", **episode(number, 4, dones=ends(4)))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as told:
        read(tmp_path)
    assert says in str(told.value) and "\n" not in str(told.value)


def test_files_of_other_columns_or_environments_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", **episode(0, 4, dones=ends(4)))
    one = episode(1, 4, dones=ends(4))
    np.savez(tmp_path / "1.npz", **one | {"actions": one["actions"][:, :1]})
    with pytest.raises(UserError, match=r"1\.npz: 'actions': expected rows of float32 \[2\] as .*0\.npz has"):
        read(tmp_path)
    experts = Path(__file__).parents[2] / "expert_data"
    with pytest.raises(UserError, match=r"Ant-v4\.h5: of Ant-v4, expected Acrobot-v1 as Acrobot-v1\.h5: name the file"):
        read(experts)


@pytest.mark.parametrize("marks", [("is_first", "is_last", "is_terminal"), ("is_first",), ("is_terminal",)])
def test_steps_whose_actions_may_be_of_the_observation_before_are_refused(
    marks: tuple[str, ...], tmp_path: Path
) -> None:
    given = episode(0, 4) | {name: ends(4) for name in marks}
    np.savez(tmp_path / "x.npz", **given)
    with pytest.raises(UserError, match=rf"x\.npz: '{marks[0]}': steps as of RLDS or Dreamer, where an action may be"):
        read(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", **given | {"terminated": ends(4)})
    assert read(tmp_path / "x.npz").trajectories == 1, "its ends are called by names that are known"
