"""scripts/restarts.py: which ends are followed by another start, and that a run which crashes stays one run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = str(Path(__file__).parents[1] / "scripts" / "restarts.py")

# Ends with the next of the codes in the file `codes` (negative: a signal kills it), and keeps its arguments. A code that
# ends in "+" leaves a checkpoint, in "~" that of the unfinished iteration 57, in "!" that of 57, and one that begins with
# "s" leaves a summary.
PROGRAM = """
import os, sys, time
from pathlib import Path
Path("run/checkpoints").mkdir(parents=True, exist_ok=True)
lines = Path("codes").read_text().split()
Path("codes").write_text(" ".join(lines[1:]))
with open("calls", "a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
code = lines[0]
if code.endswith("+"):
    Path(f"run/checkpoints/iteration_{len(Path('calls').read_text().splitlines()):07d}.pt").touch()
if code.endswith("~"):
    Path("run/checkpoints/unfinished_0000057.pt").touch()
if code.endswith("!"):
    Path("run/checkpoints/iteration_0000057.pt").touch()
if code.startswith("s"):
    Path("run/summary.part").touch()
    Path("run/summary.part").replace("run/summary.json")
    code = code[1:]
if code == "wait":
    import signal
    signal.signal(signal.SIGTERM, lambda *given: sys.exit(1))
    Path("waits").touch()
    time.sleep(60)
code = int(code.rstrip("+~!"))
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def command(folder: Path, most: int, codes: str) -> list[str]:
    (folder / "codes").write_text(codes)
    (folder / "program.py").write_text(PROGRAM)
    return [sys.executable, SCRIPT, str(most), sys.executable, "program.py", "train", "--out", "run"]


@pytest.mark.parametrize(
    ("most", "codes", "ends", "sessions"),
    [
        (3, "s0", 0, 1),
        (3, "2", 2, 1),
        (3, "2+ s0", 0, 2),  # a disk that failed for a moment
        (3, "2+ 2", 2, 2),
        (3, "1+ -9+ -11+ s0", 0, 4),
        pytest.param(2, "1+ 1+ 1+ s0", 1, 3, marks=pytest.mark.long),
        (0, "1+ s0", 1, 1),
        pytest.param(9, "1+ 1 1 s0", 1, 3, marks=pytest.mark.long),
        (9, "1 1+ 1 -9 s0", 137, 4),
        (3, "0+ s0", 0, 2),  # Open MPI has lost a host
        pytest.param(3, "s1+ 0+ s0", 0, 3, marks=pytest.mark.long),  # the summary is of a session before
        (1, "0+ 0+", 1, 2),
        pytest.param(9, "0+ 0 0 s0", 1, 3, marks=pytest.mark.long),
        (9, "1~ 1~ 1~ s0", 1, 3),  # a crash in an evaluation, for which every session saves first
        pytest.param(3, "1~ 1~ 1! s0", 0, 4, marks=pytest.mark.long),
    ],
)
def test_which_ends_are_followed_by_another_start(
    most: int, codes: str, ends: int, sessions: int, tmp_path: Path
) -> None:
    done = subprocess.run(command(tmp_path, most, codes), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == ends, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["train --out run", *["train --out run --resume"] * (sessions - 1)]
    assert done.stderr.count("started again, ") == sessions - 1
    assert ("twice without a new checkpoint" in done.stderr) == (most == 9)


def test_a_signal_is_passed_on_and_ends_it(tmp_path: Path) -> None:
    process = subprocess.Popen(command(tmp_path, 3, "wait s0"), cwd=tmp_path)
    deadline = time.monotonic() + 60.0
    while not (tmp_path / "waits").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1
    assert (tmp_path / "codes").read_text() == "s0", "not started again"


def test_a_signal_that_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    words = command(tmp_path, 3, "wait s0")
    process = subprocess.Popen(["nohup", *words], cwd=tmp_path, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60.0
    while not (tmp_path / "waits").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1


def test_open_mpis_launcher_is_asked_by_a_signal_on_which_ranks_can_save(tmp_path: Path) -> None:
    """On the first SIGTERM; it would kill them. A stand-in for it says which signal it got."""
    fake = tmp_path / "mpirun"
    fake.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'mpirun (Open MPI) 5.0.11'; exit; }\n"
        "trap 'echo USR1 > got; exit 1' USR1\ntrap 'echo TERM > got; exit 1' TERM\ntouch waits\n"
        "while :; do sleep 0.05; done\n"
    )
    fake.chmod(0o755)
    words = [sys.executable, SCRIPT, "3", str(fake), "-n", "2", "trpo-gail", "train", "--out", "run"]
    process = subprocess.Popen(words, cwd=tmp_path)
    deadline = time.monotonic() + 60.0
    while not (tmp_path / "waits").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1 and (tmp_path / "got").read_text() == "USR1\n"


def test_a_program_that_is_not_there_is_one_line() -> None:
    words = [sys.executable, SCRIPT, "3", "no_such_program", "train", "--out", "run"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr == "restarts.py: no_such_program: No such file or directory\n"


@pytest.mark.parametrize("named", [["--out=run"], ["--out", "other", "--out=run"], ["--out=other", "--out", "run"]])
def test_the_last_name_of_the_run_counts(named: list[str], tmp_path: Path) -> None:
    words = [*command(tmp_path, 3, "1+ s0")[:-2], *named]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "calls").read_text().splitlines()[1] == f"train {' '.join(named)} --resume"


@pytest.mark.parametrize("arguments", [[], ["3"], ["many", "x", "--out", "run"], ["3", "trpo-gail", "train", "--out"]])
def test_its_arguments_are_asked_for(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("Run a training, and resume it when it dies: ")


@pytest.mark.long
def test_a_training_that_crashes_twice_is_one_run(tmp_path: Path) -> None:
    """Its environment dies twice, at a step after a checkpoint."""
    here = Path(__file__).parent
    (tmp_path / "dying.py").write_text(
        "import os, signal\nfrom pathlib import Path\nimport gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "class Dying(CartPoleEnv):\n"
        "    def step(self, action):\n"
        "        saved = len(list(Path('run/checkpoints').glob('iteration_*.pt')))\n"
        "        died = len(list(Path('.').glob('died.*')))\n"
        "        if saved > died and died < 2:\n"
        "            Path(f'died.{died}').touch()\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().step(action)\n"
        "gymnasium.register('Dying-v0', entry_point='dying:Dying', max_episode_steps=200)\n"
    )
    program = [sys.executable, "-m", "trpo_gail", "train", "dying:Dying-v0"]
    program += [
        "--expert",
        str(here.parent / "expert_data" / "CartPole-v0.h5"),
        "--trajectories",
        "1",
        "--num_envs",
        "2",
    ]
    program += ["--timesteps_per_batch", "64", "--iterations", "4", "--save_every", "1", "--eval_every", "0"]
    program += ["--final_episodes", "0", "--quiet", "--out", "run"]
    path = os.pathsep.join([str(tmp_path), str(here.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, SCRIPT, "5", *program], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("exit code 137; started again") == 2
    sessions = json.loads((tmp_path / "run" / "config.json").read_text())["sessions"]
    assert [session["from_iteration"] for session in sessions] == [0, 1, 2]
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 5
