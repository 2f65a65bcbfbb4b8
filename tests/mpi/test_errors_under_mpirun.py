"""Under mpirun a user's error ends all ranks: told once, exit code 2, no folder, nobody left waiting."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from bad_input import EXPERT, NEVER, files, flags, runs, tiny_run, write_files
from launch import HERE, PROGRAM, start, work
from repeats import every
from run_files import checkpoints, metrics

NAMES = [*files(Path()), *flags(Path()), *runs(Path(), Path())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("errors")
    write_files(path)
    return path


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    """What came of every command line on each of two ranks."""
    run = folder / "run"
    assert start(folder / "made", None, PROGRAM, *tiny_run(run)).wait(100) == 0
    work(folder / "work", 2, "worker_errors.py", str(folder), str(run))
    return [json.loads((folder / f"errors-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", NAMES)
def test_one_line_by_one_rank(name: str, folder: Path, found: list[dict[str, Any]]) -> None:
    first, second = (results[name] for results in found)
    assert (first["code"], second["code"]) == (2, 2)
    assert first["err"].startswith("trpo-gail: ") and first["err"].count("\n") == 1
    for words in (files(folder) | flags(folder) | runs(folder, folder / "run"))[name].says:
        assert words in first["err"]
    assert second["err"] == first["out"] == second["out"] == ""
    assert not first["folder"]


def test_a_full_disk_leaves_the_checkpoint_before_good(folder: Path, found: list[dict[str, Any]]) -> None:
    for rank, results in enumerate(found):
        result = results["full disk"]
        assert result["begun"]["code"] == 0 and result["full"]["code"] == 2
        assert ("could not be written" in result["full"]["err"]) == (rank == 0)
        assert result["left"] == ["iteration_0000002.pt"], "nothing half-written, and the one before"
        assert result["resumed"] == {"code": 0, "out": "", "err": ""}
    rows = metrics(folder / "full")
    assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1))
    assert checkpoints(folder / "full")[-1].stem == f"iteration_{len(rows):07d}"


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_error_of_one_rank_alone_ends_all(when: str, tmp_path: Path) -> None:
    job = start(tmp_path, 2, sys.executable, str(HERE / "worker_one_rank.py"), when)
    assert job.wait(60) == 2
    assert [line for line in job.err.splitlines() if "trpo-gail: " in line] == ["[rank 1] trpo-gail: only here"]


def few_environments(folder: Path) -> tuple[list[str], str]:
    line = tiny_run(folder / NEVER)
    line[line.index("--num_envs") + 1] = "1"
    return line, "trpo-gail: --num_envs: 1 environments for 2 ranks: every rank needs one"


def not_hdf5(folder: Path) -> tuple[list[str], str]:
    line = tiny_run(folder / NEVER)
    line[line.index(EXPERT)] = str(folder / "text.h5")
    return line, f"trpo-gail: {folder / 'text.h5'}: of no format that is read; docs/expert_data.md names those that are"


def unknown_flag(folder: Path) -> tuple[list[str], str]:
    return tiny_run(folder / NEVER, "--learning_rate", "3"), "trpo-gail: train: Unrecognized options: --learning_rate"


def several_compare(folder: Path) -> tuple[list[str], str]:
    line = ["--env", "CartPole-v0", "--expert", EXPERT, "--generators", "trpo,ppo", "--out", str(folder / NEVER)]
    return ["compare", *line], "trpo-gail: compare: started as 2 processes; start it alone: --ranks N runs each"


def several_papers(folder: Path) -> tuple[list[str], str]:
    line = ["paper", "run", "--task", "cartpole", "--runs", str(folder / NEVER), "--results", str(folder / NEVER)]
    return line, "trpo-gail: paper run: started as 2 processes; start it alone"


@pytest.mark.parametrize(
    "mistake", every(2, [few_environments, not_hdf5, unknown_flag, several_papers, several_compare])
)
def test_the_program_itself(mistake: Any, folder: Path) -> None:
    line, says = mistake(folder)
    job = start(folder / mistake.__name__, 2, PROGRAM, *line)
    assert job.wait(100) == 2
    said = [line for line in (job.err + job.out).splitlines() if line.startswith("trpo-gail: ")]
    assert len(said) == 1 and said[0].startswith(says)
    assert "Traceback" not in job.err
    assert not (folder / NEVER).exists()
