"""Folders of files with an episode each, or several: what many programs record."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from io import BytesIO
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


def npz_of(**arrays: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


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
    assert held.notes == (f"11 files, from episode_0{kind} to episode_10{kind}",)
    assert held.path == str(tmp_path) and held.format == "a folder of files" and len(held.sha256) == 64
    assert numbers(load(tmp_path, 2)) == [0.0, 1.0]
    assert sum(piece.trajectories for piece in pieces(tmp_path)) == 11


def test_names_of_files_may_be_no_text(tmp_path: Path) -> None:
    for number in (1, 2):
        WRITERS[".npz"](tmp_path / os.fsdecode(b"caf\xe9%d.npz" % number), episode(number, 3))
    assert load(tmp_path).observations[:, 0].tolist() == [1, 1, 1, 2, 2, 2]


def test_a_file_that_no_flag_ends_was_cut_by_time_if_flags_end_others(tmp_path: Path) -> None:
    for number in range(3):
        np.savez(tmp_path / f"{number}.npz", **episode(number, 4, terminated=ends(4, ended=number == 1)))
    held = read(tmp_path)
    assert held.ends is not None and (held.ends.terminal, held.ends.limit) == (1, 2)
    assert np.flatnonzero(held.terminals).tolist() == [7] and np.flatnonzero(held.timeouts).tolist() == [3, 11]
    assert "2 of 3 files end without a flag: these ends are taken for time limits" in held.notes


def test_where_nothing_marks_ends_a_file_is_an_episode_and_that_is_said(tmp_path: Path) -> None:
    for number in range(3):
        np.savez(tmp_path / f"{number}.npz", **episode(number, 4))
    held = read(tmp_path)
    assert held.ends is None and not held.says_ends and not held.unfinished
    assert held.episode_lengths.tolist() == [4, 4, 4] and not (held.terminals | held.timeouts).any()
    assert held.notes[1:] == ("nothing in 3 of 3 files marks episodes: each of these is taken for one",)


@pytest.mark.parametrize("more", [0, 1])
def test_what_one_file_does_not_say_is_not_known_of_all(more: int, tmp_path: Path) -> None:
    """Whether it has next observations or not; nothing is left of the flags of the other."""
    for number, flags in enumerate(({"dones": ends(4)}, {})):
        one = episode(number, 4, **flags)
        following: Episode = {"next_observations": one["observations"] + [0.0, 1.0]} if more else {}
        np.savez(tmp_path / f"{number}.npz", **one, **following)
    held = read(tmp_path)
    assert held.ends is None and not (held.terminals | held.timeouts).any()
    assert any(note.startswith("how episodes end is left out, since ") for note in held.notes)


def test_a_file_that_marks_its_episodes_without_flags_says_nothing_of_their_ends(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", **episode(0, 9), episode_ends=[3, 6])
    np.savez(tmp_path / "1.npz", **episode(1, 4, dones=ends(4)))
    held = read(tmp_path)
    assert held.episode_lengths.tolist() == [3, 3, 3, 4] and held.ends is None and not held.unfinished


def test_an_episode_that_goes_on_in_the_next_file_is_refused(tmp_path: Path) -> None:
    """As in a buffer that was written in pieces of as many rows."""
    rows = np.arange(42.0).reshape(21, 2)
    for number in range(2):
        piece = slice(10 * number, 10 * number + 10)
        flags = np.isin(np.arange(20), [7, 19])[piece]
        following = rows[1:][piece]
        one: Episode = {
            "obs": rows[:-1][piece],
            "action": np.ones((10, 1)),
            "reward": np.ones(10),
            "next_obs": following,
        }
        np.savez(tmp_path / f"{number}.npz", **one, done=flags)
    with pytest.raises(UserError, match=r"0\.npz: its last episode goes on in 1\.npz: put their rows into one file"):
        read(tmp_path)


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
    np.savez(tmp_path / "demos.npz", **episode(0, 6))
    held, alone = read(tmp_path), read(tmp_path / "demos.npz")
    assert held.unfinished and held.notes == alone.notes and "no column marks the episodes" in held.notes[0]


@pytest.mark.parametrize("given", [{"terminated": True}, {"done": True, "truncated": False}, {"done": np.True_}])
@pytest.mark.parametrize("kind", [".npz", ".pkl", ".h5"])
def test_one_value_says_how_the_episode_of_a_file_ends(kind: str, given: Episode, tmp_path: Path) -> None:
    for number in range(2):
        more = given if number else {name: np.zeros_like(value) for name, value in given.items()}
        if kind == ".h5":
            with h5py.File(tmp_path / f"{number}.h5", "w") as held:
                for name, values in (episode(number, 4) | more).items():
                    held[f"episode_{number}/{name}"] = values
        else:
            WRITERS[kind](tmp_path / f"{number}{kind}", episode(number, 4) | more | {"episode_id": 3, "length": 4})
    held = read(tmp_path)
    assert held.ends is not None and (held.ends.terminal, held.ends.limit) == (1, 1)
    assert np.flatnonzero(held.terminals).tolist() == [7]


def test_flags_of_one_value_beside_numbered_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "dump.h5", "w") as held:
        for number in range(2):
            for name, values in (episode(number, 4) | {"terminated": number == 1}).items():
                held[f"{name}_{number}"] = values
    found = read(tmp_path / "dump.h5")
    assert found.ends is not None and (found.ends.terminal, found.ends.limit) == (1, 1)
    assert sum(piece.trajectories for piece in pieces(tmp_path / "dump.h5")) == 2


def test_whole_numbers_in_one_text_and_floats_in_another(tmp_path: Path) -> None:
    for number, first in enumerate((0, 0.5)):
        steps = [{"obs": [first, 1], "action": 0, "done": step == 2} for step in range(3)]
        (tmp_path / f"{number}.p").write_bytes(pickle.dumps(steps))
    held = read(tmp_path)
    assert held.observations.dtype == np.float64 and held.observations[:, 0].tolist() == [0.0] * 3 + [0.5] * 3


def test_notes_of_many_files_are_one(tmp_path: Path) -> None:
    for number in range(4):
        flags = np.isin(np.arange(6 + number), [number % 3, 5 + number])
        one = episode(number, 6 + number)
        one["observations"] = np.concatenate([one["observations"], one["observations"][-1:]])
        (tmp_path / f"{number}.pkl").write_bytes(pickle.dumps([one | {"dones": flags}]))
    notes = read(tmp_path).notes
    assert len(notes) == 2 and notes[0].startswith("0.pkl: flags end something within the episode")
    assert notes[0].endswith("; 3 other files have notes, too")


def test_links_that_lead_nowhere_are_not_passed_over(tmp_path: Path) -> None:
    np.savez(tmp_path / "1.npz", **episode(1, 4, dones=ends(4)))
    (tmp_path / "0.npz").symlink_to(tmp_path / "not_fetched")
    with pytest.raises(UserError, match=r"0\.npz: a link to .*not_fetched, which does not exist"):
        read(tmp_path)


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
        ("00.npz", b"", "00.npz: an empty file"),
        (
            "9.npz",
            b"PK\x03\x04 and no archive",
            "9.npz: not an HDF5 file but a zip archive that is cut short or broken",
        ),
        ("0.npz", b"\x1f\x8b in a gzip", "0.npz: not an HDF5 file but a gzip archive; unpack it first"),
        ("stats.npz", npz_of(mean=np.zeros(3)), "stats.npz: a NumPy archive (.npz) of mean; expected arrays called"),
        ("9.npz", npz_of(image=np.zeros(3), is_first=np.zeros(3)), "9.npz: 'is_first': steps as of RLDS or Dreamer"),
        (
            "9.pkl",
            pickle.dumps(3),
            "files of one kind expected, found 2 .npz (0.npz, 1.npz), 1 .pkl (9.pkl): move what is no demonstration",
        ),
    ],
)
def test_what_is_wrong_with_one_is_one_line(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    for number in range(2):
        np.savez(tmp_path / f"{number}.npz", **episode(number, 4, dones=ends(4)))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as told:
        read(tmp_path)
    assert says in str(told.value) and "\n" not in str(told.value)


ROWS = [f"{i},1,0,{int(i == 3)}" for i in range(4)]
TABLES: dict[str, str] = {
    "a.csv": "\n".join(["obs_0,obs_1,action,done", *ROWS]),
    "a.jsonl": "\n".join(json.dumps({"obs": [1.0, 2.0], "action": 0, "done": i == 3}) for i in range(4)),
}


@pytest.mark.parametrize("reading", [read, lambda path: list(pieces(path))], ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    ("table", "other", "says"),
    [
        ("a.csv", "b.pkl", "found b.pkl beside CSV: move"),
        ("a.csv", "b.h5", "found b.h5 beside CSV: move"),
        ("a.jsonl", "b.npz", "found b.npz beside JSON"),
        ("a.jsonl", "a.csv", "found CSV beside JSON"),
    ],
)
def test_a_table_and_another_kind_are_refused(
    table: str, other: str, says: str, reading: Callable[[Path], Any], tmp_path: Path
) -> None:
    """Either alone is read; together one of them would be left out without a word."""
    (tmp_path / table).write_text(TABLES[table])
    reading(tmp_path)
    if other in TABLES:
        (tmp_path / other).write_text(TABLES[other])
    else:
        WRITERS[Path(other).suffix](tmp_path / other, episode(0, 4))
    with pytest.raises(UserError, match=f"files of one kind expected, {says}"):
        reading(tmp_path)


def test_files_that_say_which_array_they_are_may_lie_beside_others(tmp_path: Path) -> None:
    rows = episode(0, 4, dones=ends(4))
    for name, values in rows.items():
        np.savetxt(tmp_path / f"{name}.csv", values, delimiter=",")
    (tmp_path / "policy.pkl").write_bytes(pickle.dumps(3))
    assert read(tmp_path).observations.shape == (4, 2)


def test_files_of_other_columns_or_environments_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "0.npz", **episode(0, 4, dones=ends(4)))
    one = episode(1, 4, dones=ends(4))
    np.savez(tmp_path / "1.npz", **one | {"actions": one["actions"][:, :1]})
    with pytest.raises(UserError, match=r"1\.npz: 'actions': expected rows of float32 \[2\] as .*0\.npz has"):
        read(tmp_path)
    experts = Path(__file__).parents[2] / "expert_data"
    with pytest.raises(UserError, match=r"Ant-v4\.h5 is of Ant-v4, but Acrobot-v1\.h5 of Acrobot-v1: name one file"):
        read(experts)


@pytest.mark.parametrize("marks", [("is_first", "is_last", "is_terminal"), ("is_first",), ("is_terminal",)])
def test_steps_whose_actions_may_be_of_the_observation_before_are_refused(
    marks: tuple[str, ...], tmp_path: Path
) -> None:
    given = episode(0, 4) | {name: ends(4) for name in marks}
    np.savez(tmp_path / "x.npz", **given)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(given))
    for place in ("", "data/demo_0/"):
        write_h5(tmp_path / f"x{len(place)}.h5", {place + name: values for name, values in given.items()})
    for file in tmp_path.iterdir():
        with pytest.raises(
            UserError, match=rf"{file.name}: '{marks[0]}': steps as of RLDS or Dreamer, where an action"
        ):
            read(file)


@pytest.mark.parametrize("name", ["terminated", "done", "dones", "not_done", "next.done"])
@pytest.mark.parametrize("kind", [".npz", ".pkl", ".csv", ".jsonl"])
def test_such_marks_are_welcome_beside_ends_of_known_names(kind: str, name: str, tmp_path: Path) -> None:
    flags = ends(4) == (name != "not_done")
    steps = [{"obs": [float(i), 1.0], "action": 0, name: int(flags[i]), "is_first": int(i == 0)} for i in range(4)]
    file = tmp_path / f"x{kind}"
    if kind == ".csv":
        lines = [f"obs_0,obs_1,action,{name},is_first", *(f"{i},1,0,{int(flags[i])},{int(i == 0)}" for i in range(4))]
        file.write_text("\n".join(lines))
    elif kind == ".jsonl":
        file.write_text("\n".join(map(json.dumps, steps)))
    elif kind == ".pkl":
        file.write_bytes(pickle.dumps(steps))
    else:
        np.savez(file, **{key: np.array([step[key] for step in steps]) for key in steps[0]})  # type: ignore[arg-type]
    held = read(file)
    assert held.episode_lengths.tolist() == [4] and held.terminals.tolist() == [False, False, False, True]


@pytest.mark.parametrize("dummy", [True, False])
def test_a_first_row_that_may_be_a_dummy_is_noted(dummy: bool, tmp_path: Path) -> None:
    one = episode(1, 4, discount=np.ones((4, 1)))
    one["rewards"][0] = 0.0 if dummy else 1.0
    one["actions"] = np.ones((4, 2)) * (np.arange(4) > 0)[:, None] if dummy else one["actions"]
    np.savez(tmp_path / "x.npz", **one)
    assert (
        any("where an action belongs to the observation before" in note for note in read(tmp_path / "x.npz").notes)
        == dummy
    )


def test_a_run_and_its_checkpoints_are_no_demonstrations(tmp_path: Path) -> None:
    flags = ["CartPole-v1", "--expert", "CartPole-v1", "--num_envs", "2", "--timesteps_per_batch", "64", "--quiet"]
    run = tmp_path / "run"
    assert main(["train", *flags, "--iterations", "1", "--final_episodes", "1", "--out", str(run)]) == 0
    with pytest.raises(UserError, match=rf"{run}: a run folder, expected demonstrations; record .* --policy {run} "):
        read(run)
    with pytest.raises(UserError, match=r"\.pt: a checkpoint of trpo_gail, expected demonstrations; record some with"):
        read(run / "checkpoints")


@pytest.mark.parametrize("settings", ['{"lr": 1e-3}', '{"config": {"lr": 1e-3}}', "[1]", "no JSON"])
def test_demonstrations_beside_settings_and_metrics_of_another_program_are_read(settings: str, tmp_path: Path) -> None:
    for number in range(2):
        np.savez(tmp_path / f"{number}.npz", **episode(number, 4))
    (tmp_path / "config.json").write_text(settings)
    (tmp_path / "metrics.csv").write_text("epoch,loss\n1,0.5\n")
    assert len(read(tmp_path).episode_lengths) == 2
