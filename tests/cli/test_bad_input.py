"""Whatever a user gets wrong: one line on stderr that names it, exit code 2, and no run folder left."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from bad_input import NEVER, Bad, files, flags, runs, tiny_run, write_files

from trpo_gail.cli import main

ANY = Path()  # for the names alone


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No run, but full of files."""
    path = tmp_path_factory.mktemp("bad")
    write_files(path)
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    path = folder / "run"
    assert main(tiny_run(path, "--quiet")) == 0
    return path


def check(bad: Bad, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(list(bad.arguments))
    out, err = capsys.readouterr()
    assert code == 2
    assert err.startswith("trpo-gail: ") and err.endswith("\n") and err.count("\n") == 1
    for words in bad.says:
        assert words in err
    assert "---" not in err, "a box's rule in the line"
    assert out == ""
    assert not (folder / NEVER).exists()


@pytest.mark.parametrize("name", files(ANY))
def test_a_file_of_demonstrations(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(files(folder)[name], folder, capsys)


@pytest.mark.parametrize("name", flags(ANY))
def test_a_flag(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(flags(folder)[name], folder, capsys)


@pytest.mark.parametrize("name", runs(ANY, ANY))
def test_a_run_folder(name: str, folder: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"}
    check(runs(folder, run)[name], folder, capsys)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"} == before


def test_unknown_arguments_of_envpool(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("envpool")
    line = tiny_run(folder / NEVER, "--env_kwargs", '{"size": 1}', "--backend", "envpool")
    check(Bad(tuple(line), ("'CartPole-v0'", "envpool", "{'size': 1}", "unexpected")), folder, capsys)


def test_on_a_terminal_without_importing_torch(folder: Path) -> None:
    """There the parser's message comes with colours and boxes, and a person waits for it."""
    ours, theirs = pty.openpty()
    line = "import sys; from trpo_gail.cli import main; code = main(sys.argv[1:]); print('torch' in sys.modules, code)"
    command = [sys.executable, "-c", line, *flags(folder)["wrong type"].arguments]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # how Linux ends a terminal whose last process has gone
        while more := os.read(ours, 4096):
            said += more
    os.close(ours)
    assert process.wait(100) == 0
    told, rest = said.decode().splitlines()
    assert told.startswith("trpo-gail: train: Error parsing --steps: ") and told.endswith("(trpo-gail train --help)")
    assert rest == "False 2"


def test_the_program_itself(folder: Path) -> None:
    bad = files(folder)["not HDF5"]
    program = Path(sys.executable).with_name("trpo-gail")
    done = subprocess.run([program, *bad.arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    said = "of no format that is read; docs/expert_data.md names those that are"
    assert done.stderr == f"trpo-gail: {folder / 'text.h5'}: {said}\n"
    assert done.stdout == ""
    assert not (folder / NEVER).exists()
