"""The subcommands of `trpo-gail data` that check files and make others of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import trpo_gail
from trpo_gail.cli import main
from trpo_gail.experts.load import read
from trpo_gail.experts.save import save

FOLDER = Path(__file__).parents[2] / "expert_data"
POLE, NAV = str(FOLDER / "CartPole-v0.h5"), str(FOLDER / "PointNav2D-v0.h5")


def test_validate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "validate", POLE, "--env", "CartPole-v0"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\nvalid\n") and "of 100 steps that were replayed 100 come out" in out
    assert main(["data", "validate", POLE, "--env", "Acrobot-v1", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["valid"] is False and "expected rows of shape [6]" in report["errors"][0]["text"]


@pytest.mark.parametrize("content", [None, b"\x89HDF\r\n\x1a\n and no more"])
def test_a_program_gets_a_report_of_what_cannot_be_read(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.h5"
    if content is not None:
        file.write_bytes(content)
    assert main(["data", "validate", POLE, "--json"]) == 0
    good = json.loads(capsys.readouterr().out)
    assert main(["data", "validate", str(file), "--json"]) == 2
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert report.keys() == good.keys() and report["file"] == str(file) and report["valid"] is False
    assert told.err == f"trpo-gail: {report['errors'][0]['text']}\n" and str(file) in told.err
    assert main(["data", "validate", str(file)]) == 2 and capsys.readouterr().out == ""


def test_select_merge_convert_head_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, two, whole, same = (str(tmp_path / name) for name in ("good.h5", "two.h5", "whole.h5", "same.h5"))
    assert main(["data", "select", NAV, good, "--min_return", "0"]) == 0
    assert read(good).trajectories == 290
    assert main(["data", "select", NAV, two, "--episodes", "3", "13", "--max_length", "59"]) == 0
    assert read(two).trajectories == 1  # number 13 has failed, after 60 steps
    assert main(["data", "merge", whole, good, two]) == 0
    assert read(whole).trajectories == 291
    assert main(["data", "convert", whole, same, "--to", "native"]) == 0
    assert Path(same).read_bytes() == Path(whole).read_bytes()
    capsys.readouterr()
    assert main(["data", "head", two, "--rows", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].split()[:2] == ["episode", "step"] and lines[2].split()[:2] == ["0", "1"]
    assert main(["data", "plot", whole, str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"convert {POLE} {POLE}", "exists; remove it or choose another name"),
        (f"convert {POLE} new.h5 --to nothing", "expected a format that is written: native"),
        (
            f"convert {POLE} o.csv",
            "o.csv: the format native is HDF5, expected a name that ends in .h5; no format that is",
        ),
        (f"convert {POLE} o.NPZ", "expected a name that ends in .h5; data convert --to stable_baselines writes .npz"),
        (f"convert {POLE} o.h5 --to stable_baselines", "ends in .npz; data convert --to native writes .h5"),
        (f"convert {POLE} o.npz --to minari", "is a folder, expected a name without such an end; data convert --to"),
        (f"merge o.pkl {POLE}", "o.pkl: the format native is HDF5"),
        (f"select {POLE} o.jsonl", "o.jsonl: the format native is HDF5"),
        (f"select {POLE} new.h5 --min_return 1e9", "none of its 50 episodes is selected"),
        (f"select {POLE} new.h5 --episodes 50", "expected numbers from 0 to 49, found 50"),
        ("merge new.h5", "no IN given, at least 1 expected"),
        (f"validate {POLE} --env Nothing-v0", "Nothing"),
        ("validate", "no FILE given"),
    ],
)
def test_mistakes(
    line: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *line.split()]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "to"), [("a.hdf5", "d4rl"), ("a", "native"), ("a.v1", "paper"), ("a.v0", "minari")])
def test_names_that_say_nothing_else_are_free(name: str, to: str, tmp_path: Path) -> None:
    assert main(["data", "convert", POLE, str(tmp_path / name), "--to", to]) == 0
    assert read(tmp_path / name).trajectories == 50


@pytest.mark.parametrize("name", ["validate", "convert", "merge", "head", "select", "plot"])
def test_help_of_each(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", name, "--help"]) == 0
    assert f"trpo-gail data {name}" in capsys.readouterr().out
    assert main(["data", "--help"]) == 0
    assert f"\n  {name}  " in re.sub(" +", "  ", capsys.readouterr().out)


def test_plot_without_rewards(tmp_path: Path) -> None:
    save(tmp_path / "x.h5", read(NAV))
    with h5py.File(tmp_path / "x.h5", "a") as file:
        del file["rewards"], file["episode_returns"]
        assert np.asarray(file["observations"]).ndim == 2
    assert main(["data", "plot", str(tmp_path / "x.h5"), str(tmp_path / "p.png")]) == 0


def test_what_a_new_file_does_not_say_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A guess about the source, and what was left out."""
    rows = "\n".join(f"{x},{x + 1},0" for x in range(9))
    (tmp_path / "x.csv").write_text(f"obs_0,obs_1,action\n{rows}\n")
    assert main(["data", "convert", str(tmp_path / "x.csv"), str(tmp_path / "x.h5")]) == 0
    err = capsys.readouterr().err.splitlines()
    assert [line for line in err if "no column marks the episodes" in line and line.startswith("warning: ")]
    merged = str(tmp_path / "m.h5")
    one = [str(tmp_path / f"{number}.h5") for number in (0, 1)]
    for number, env in enumerate(("A-v0", "B-v0")):
        trpo_gail.Demonstrations.from_arrays(
            np.zeros((4, 2)), np.zeros(4, np.int64), episode_lengths=[4], env_id=env
        ).save(one[number])
    capsys.readouterr()
    assert main(["data", "merge", merged, *one]) == 0
    assert "of several environments: A-v0, B-v0\n" in capsys.readouterr().err


@pytest.mark.parametrize(("to", "said"), [("d4rl", True), ("minari", True), ("native", False)])
def test_a_layout_that_must_say_how_episodes_end_is_warned_of(
    to: str, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stable-Baselines' files do not; D4RL's and Minari's do."""
    first = np.zeros(6, bool)
    first[[0, 3]] = True
    source = tmp_path / "a.npz"
    np.savez(
        source,
        obs=np.arange(12.0).reshape(6, 2),
        actions=np.arange(6.0)[:, None],
        rewards=np.ones(6),
        episode_starts=first,
        episode_returns=np.array([3.0, 3.0]),
    )
    out = tmp_path / ("b" if to == "minari" else "b.h5")
    assert main(["data", "convert", str(source), str(out), "--to", to]) == 0
    line = f"{out}: says of each episode how it ends, which its source does not: 0 by termination, 2 by time limit"
    assert (line in capsys.readouterr().err) == said
