"""The scripts that read results, the jobs of a cluster, and the script that proves that no result has moved."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import digests  # noqa: E402
import scripted_experts  # noqa: E402
import try_environments  # noqa: E402


def test_success_rates_of_all_of_a_folder_skip_what_holds_none() -> None:
    folder = ROOT / "results" / "pointnav"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "success_rates.py"), *map(str, sorted(folder.iterdir()))],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line in names] == names != []
    assert done.stderr == f"{folder}/README.md: no seed_*/evaluation.json, skipped\n"


TABLES = {
    "success_rates.py": "pointnav/discrete_4096",
    "results_table.py": "pointnav/discrete_4096",
    "benchmarks_table.py": "benchmarks",
    "lead_table.py": "halfcheetah/seed_0",
    "speed_table.py": "speed",
    "tuning_table.py": "adversaries/rewards",
    "variants_table.py": "trpo_vs_ppo",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_for_a_reader_that_has_gone_ends_without_a_traceback(name: str) -> None:
    """As under `| head`."""
    words = [sys.executable, str(ROOT / "scripts" / name), str(ROOT / "results" / TABLES[name])]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("name", [*TABLES, "position_tasks.py"])
def test_a_script_without_its_folder_says_what_it_needs(name: str) -> None:
    words = [sys.executable, str(ROOT / "scripts" / name)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    assert f"scripts/{name}" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", [*TABLES])
def test_a_folder_without_results_is_named(name: str, tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "scripts" / name), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert str(tmp_path) in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""
    assert done.returncode == (0 if name == "success_rates.py" else 1)  # which skips it


# ---- train.sbatch, with stand-ins for SLURM's programs -----------------------------------------------------------------


class Batch:
    """The job in a folder. `srun` is what its ranks do, `before` what earlier starts left; both in bash."""

    def __init__(
        self, folder: Path, srun: str, before: str = ":", scontrol: str = ":", find: str = "", sleep: str = ":",
        **more: str,
    ) -> None:  # fmt: skip
        self.folder, programs = folder, folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        (folder / "out" / "checkpoints").mkdir(parents=True)
        subprocess.run(["bash", "-ec", before], cwd=folder, check=True)
        stand_ins = {
            "srun": srun,
            "scontrol": f'{scontrol}\necho "$*" >> queue',
            "sleep": f'echo "$*" >> slept\n{sleep}',
        }
        for name, does in (stand_ins | ({"find": find} if find else {})).items():
            (programs / name).write_text(f"#!/usr/bin/env bash\n{does}\n")
            (programs / name).chmod(0o755)
        slurm = {"SLURM_SUBMIT_DIR": str(folder), "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", **more}
        self.process = subprocess.Popen(
            ["bash", str(ROOT / "scripts" / "slurm" / "train.sbatch"), "out"], env=os.environ | slurm,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + 60.0
        while not (self.folder / name).exists():
            assert self.process.poll() is None and time.monotonic() < deadline, f"no {name}"
            time.sleep(0.02)

    def ends(self) -> tuple[int, str | None]:
        """Its exit code, and what is put back into the queue. A job that does not end is killed, with its step."""
        try:
            _, self.err = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return self.process.returncode, self.said("queue")

    def said(self, name: str) -> str | None:
        file = self.folder / name
        return file.read_text().strip() if file.exists() else None


def stops(why: str) -> str:
    """A run leaves its summary."""
    return f"""echo '{{"stopped": "{why}"}}' > out/s.part; mv out/s.part out/summary.json"""


def saves(name: str, when: str = "now") -> str:
    return f"touch -d '{when}' out/checkpoints/{name}.pt"


BEGUN = f"echo {{}} > out/config.json; {saves('iteration_0000050')}"
FIRST, LATER = "0", "3"  # starts of the job
AGAIN = (0, "requeue 7")


@pytest.mark.parametrize(
    ("start", "before", "srun", "ends"),
    [
        # By its summary:
        (FIRST, ":", stops("steps"), (0, None)),
        (LATER, BEGUN, stops("iterations"), (0, None)),
        (FIRST, ":", stops("SIGUSR1"), AGAIN),  # the time limit
        (LATER, stops("SIGUSR1"), stops("SIGUSR1"), AGAIN),
        (FIRST, ":", stops("SIGTERM"), AGAIN),  # preempted
        (FIRST, ":", stops("SIGINT"), (0, None)),  # by the user
        (FIRST, ":", f"{stops('steps')}; exit 138", (138, None)),  # a signal at its end
        (FIRST, ":", f"{stops('SIGTERM')}; exit 1", AGAIN),  # a rank that was slow to end
        # Without one:
        (FIRST, ":", "exit 0", (1, None)),  # Open MPI's mpirun has lost a host
        (FIRST, stops("SIGUSR1"), "exit 0", (1, None)),
        (FIRST, stops("SIGUSR1"), "exit 1", (1, None)),
        (FIRST, ":", "exit 138", AGAIN),  # the signal came before there was a run
        (FIRST, ":", "exit 143", AGAIN),
        (FIRST, ":", "exit 2", (2, None)),
        (FIRST, ":", "exit 137", (137, None)),
        # It died; by checkpoints:
        (FIRST, ":", f"{saves('iteration_0000002')}; exit 137", AGAIN),
        (FIRST, BEGUN, f"{saves('iteration_0000060', '2 hours ago')}; exit 137", AGAIN),  # a clock that is behind
        (FIRST, saves("iteration_0000050", "2 hours"), "exit 137", (137, None)),  # and one that is ahead
        (FIRST, saves("unfinished_0000057"), f"{saves('unfinished_0000057')}; exit 1", (1, None)),
        (FIRST, saves("unfinished_0000057"), f"{saves('iteration_0000057')}; exit 1", AGAIN),
        (FIRST, saves("iteration_9999999"), f"{saves('iteration_10000000')}; exit 1", AGAIN),
        (FIRST, ":", f"{saves('best')}; touch out/checkpoints/.iteration_0000001.pt.ab.part; exit 1", (1, None)),
        # It died without a new one, but had begun:
        (LATER, BEGUN, "exit 1", AGAIN),  # MPI did not start
        (LATER, BEGUN, "exit 2", AGAIN),  # the lock was still held
        (LATER, f"{BEGUN}; touch out/.failed", "exit 1", (1, None)),  # the second time
        (LATER, ":", "exit 1", (1, None)),
        (FIRST, BEGUN, "exit 2", (2, None)),  # flags may be wrong
    ],
)
def test_a_job_is_put_back_into_the_queue(
    start: str, before: str, srun: str, ends: tuple[int, str | None], tmp_path: Path
) -> None:
    job = Batch(tmp_path, srun, before, SLURM_RESTART_COUNT=start, TMPDIR="/nonexistent")
    assert job.ends() == ends
    assert job.err == "", "no more to say"


@pytest.mark.parametrize("srun", [f"{saves('iteration_0000060')}; exit 1", stops("SIGUSR1"), "exit 138"])
def test_a_start_that_failed_is_forgiven_once_in_a_row(srun: str, tmp_path: Path) -> None:
    failing, going = tmp_path / "failing", tmp_path / "going"
    assert Batch(failing, "exit 1", BEGUN, SLURM_RESTART_COUNT=LATER).ends() == AGAIN
    assert (failing / "out" / ".failed").exists()
    assert Batch(going, srun, f"{BEGUN}; touch out/.failed", SLURM_RESTART_COUNT=LATER).ends() == AGAIN
    assert (going / "out" / ".failed").exists() == (srun == "exit 138")


@pytest.mark.parametrize(("srun", "ends"), [(stops("SIGUSR1"), 1), (f"{saves('iteration_0000001')}; exit 137", 137)])
def test_a_job_is_put_back_so_many_times_and_says_if_it_is_not(srun: str, ends: int, tmp_path: Path) -> None:
    assert Batch(tmp_path / "last", srun, SLURM_RESTART_COUNT="49").ends() == AGAIN
    job = Batch(tmp_path / "over", srun, SLURM_RESTART_COUNT="50")
    assert job.ends() == (ends, None) and "out is not finished, and its job was not put back" in job.err


def test_the_queue_is_asked_three_times(tmp_path: Path) -> None:
    busy = 'echo try >> tries; [[ $(wc -l < tries) -ge 3 ]] || { echo "Unable to contact" >&2; exit 1; }'
    job = Batch(tmp_path / "busy", stops("SIGUSR1"), scontrol=busy)
    assert job.ends() == AGAIN and job.said("slept") == "0\n5\n30"
    job = Batch(tmp_path / "gone", stops("SIGUSR1"), scontrol="echo try >> tries; exit 1")
    assert job.ends() == (1, None) and job.said("tries") == "try\ntry\ntry"
    assert "out is not finished, and its job was not put back" in job.err


def test_a_task_of_an_array_is_put_back_alone(tmp_path: Path) -> None:
    """The id of one of its tasks is that of the array."""
    job = Batch(tmp_path, stops("SIGUSR1"), SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="4")
    assert job.ends() == (0, "requeue 7_4")


# Ranks that save on SIGUSR1, which takes them a moment.
RANKS = f"""
stop() {{
    echo heard >> heard
    /bin/sleep 0.3
    {stops("SIGUSR1")}
    exit 0
}}
trap stop USR1
touch began
while :; do /bin/sleep 0.05; done
"""


def test_the_signal_to_the_script_reaches_the_ranks(tmp_path: Path) -> None:
    job = Batch(tmp_path, RANKS)
    job.wait_for("began")
    job.process.send_signal(signal.SIGUSR1)
    job.wait_for("heard")
    job.process.send_signal(signal.SIGUSR1)  # it does not cut their saving short
    assert job.ends() == AGAIN
    assert (job.said("slept") or "").split()[0] in ("8", "9", "10"), "not while srun starts them"


def test_a_signal_before_there_are_ranks_is_kept_for_them(tmp_path: Path) -> None:
    looks, until = (f"while [[ ! -e {name} ]]; do /bin/sleep 0.02; done" for name in ("go", "began"))
    job = Batch(tmp_path, RANKS, find=f"touch looks; {looks}", sleep=until)
    job.wait_for("looks")
    job.process.send_signal(signal.SIGUSR1)
    (tmp_path / "go").touch()
    assert job.ends() == AGAIN and (job.said("slept") or "").split()[0] in ("9", "10")


@pytest.mark.parametrize("code", [0, 1, 138])
def test_a_job_whose_time_is_up_is_put_back_however_its_ranks_ended(code: int, tmp_path: Path) -> None:
    job = Batch(tmp_path, f"trap 'exit {code}' USR1; touch began; while :; do /bin/sleep 0.05; done")
    job.wait_for("began")
    job.process.send_signal(signal.SIGUSR1)
    assert job.ends() == AGAIN


def test_a_rank_that_fails_ends_the_step(tmp_path: Path) -> None:
    """srun alone lets the others wait for a rank that MPI could not start."""
    Batch(tmp_path, 'echo "$*" > step').ends()
    assert "--kill-on-bad-exit=1 trpo-gail train " in (tmp_path / "step").read_text()


# ---- paper.sbatch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [
        ([], 9),
        (["--seeds", "0", "1"], 9),
        (["--ranks", "4", "--seeds", "0"], 2),
        (["--seeds", "0", "--ranks=2", "--trajectories=11"], 4),
        (["--ranks", "16"], 1),  # more than there are cores: one cell, slowly
        (["--ranks", "1", "--ranks", "3"], 3),  # the last holds, as in the program
        (["--ranks", "many"], 9),  # which the program refuses
    ],
)
def test_an_array_job_runs_as_many_cells_as_its_tasks_have_cores(
    arguments: list[str], jobs: int, tmp_path: Path
) -> None:
    job = array_task(tmp_path, f'echo "$*" > {tmp_path}/cells', *arguments)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    said = (tmp_path / "cells").read_text()
    assert said == " ".join(["paper run --shard 1/2 --jobs", str(jobs), *arguments]) + "\n"


def test_the_tasks_of_a_comparison_share_its_folder(tmp_path: Path) -> None:
    job = array_task(tmp_path, f'echo "$*" > {tmp_path}/said', "compare", "--env", "Hopper-v4", "--ranks", "2")
    _, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert (tmp_path / "said").read_text() == "compare --jobs 4 --env Hopper-v4 --ranks 2\n"


@pytest.mark.parametrize(
    ("arguments", "code", "ends"), [(["compare"], 3, 0), ([], 3, 3), (["compare"], 1, 1), (["compare"], 2, 2)]
)
def test_a_task_of_a_comparison_leaves_runs_to_the_others(
    arguments: list[str], code: int, ends: int, tmp_path: Path
) -> None:
    """A task of the grid has its cells for itself: nobody else collects them."""
    job = array_task(tmp_path, f"exit {code}", *arguments)
    _, err = job.communicate(timeout=60)
    assert job.returncode == ends, err


@pytest.mark.parametrize(("fails", "ends"), [(0, 0), (2, 0), (3, 3)])
def test_an_array_task_whose_time_is_up_asks_the_queue_three_times(fails: int, ends: int, tmp_path: Path) -> None:
    """Its cells take a moment to save, in which a second signal comes."""
    cells = f"trap 'touch heard; /bin/sleep 0.3; touch saved; exit 3' USR1; touch {tmp_path}/began"
    job = array_task(
        tmp_path, f"{cells}; while :; do /bin/sleep 0.05; done",
        scontrol=f'echo "$*" >> tries; [[ $(wc -l < tries) -gt {fails} ]]',
    )  # fmt: skip
    for name in ("began", "heard"):
        deadline = time.monotonic() + 60.0
        while not (tmp_path / name).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        job.send_signal(signal.SIGUSR1)
    _, err = job.communicate(timeout=60)
    assert job.returncode == ends and (tmp_path / "saved").exists()
    assert (tmp_path / "tries").read_text() == "requeue 7_1\n" * min(fails + 1, 3)
    assert ("paper.sbatch: task 7_1 was not put back" in err) == bool(ends)


def array_task(folder: Path, cells: str, *arguments: str, scontrol: str = "exit 1") -> subprocess.Popen[str]:
    """The first of two tasks of paper.sbatch, with nine cores. `cells` is what its cells do, in bash."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, does in {"trpo-gail": cells, "scontrol": scontrol, "sleep": ":"}.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{does}\n")
        (programs / name).chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(folder), "SLURM_CPUS_PER_TASK": "9"}
    slurm |= {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_JOB_ID": "7"}
    return subprocess.Popen(
        ["bash", str(ROOT / "scripts" / "slurm" / "paper.sbatch"), *arguments], env=os.environ | slurm,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


# ---- try.sh ------------------------------------------------------------------------------------------------------------


def test_the_cluster_that_cannot_be_made_is_skipped_in_one_line(tmp_path: Path) -> None:
    for name in ("dirname", "realpath"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    script, log = ROOT / "scripts" / "slurm" / "try.sh", tmp_path / "log"
    done = subprocess.run(
        [shutil.which("bash") or "bash", str(script), str(log)], env={"PATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    why = "it needs root, to start slurmd" if os.geteuid() else "no trpo-gail on the PATH"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"try.sh: skipped: {why}\n", "")
    assert not log.exists()


# A cluster of stand-ins. `apt-get` and `dpkg-deb` bring its plugins, and its node runs one job.
CLUSTER = {
    "apt-get": "touch a.deb",
    "dpkg-deb": 'mkdir -p "$3/usr/lib/slurm-wlm"',
    "munged": "true",
    "slurmctld": "true",
    "slurmd": "echo slurm 22",
    "sinfo": "echo idle",
    "srun": "true",
    "sbatch": "touch slurm-7.log; echo 7",
    "squeue": "true",
    "scontrol": 'echo "JobId=7 JobState=COMPLETED Restarts=1 ExitCode=0:0"',
    "scancel": "true",
    "mpirun": "echo HYDRA Version: 5",
    "trpo-gail": "true",
    "python": "true",
    "sleep": "true",
}


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The system's programs but for those."""
    folder = tmp_path_factory.mktemp("tools")
    for path in [*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()]:
        if path.name not in CLUSTER and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    return folder


def try_cluster(folder: Path, tools: Path, **other: str) -> tuple[int, str]:
    """Exit code and output of try.sh with these programs, one of them another (empty: missing)."""
    for name, does in (CLUSTER | {name.replace("_", "-"): does for name, does in other.items()}).items():
        if does:
            (folder / name).write_text(f"#!/bin/sh\n{does}\n")
            (folder / name).chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "slurm" / "try.sh"), str(folder / "log")],
        env={"PATH": f"{folder}:{tools}", "TRIES": "start", "TMPDIR": str(folder)}, cwd=folder,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert not list(folder.glob("tmp.*")), "its folder goes"
    return done.returncode, done.stdout


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="try.sh needs root")


@needs_root
@pytest.mark.parametrize(
    ("program", "does", "why"),
    [
        ("apt_get", "", "there is neither SLURM nor apt-get"),
        ("apt_get", "echo E: no route >&2; exit 100", "apt-get finds no SLURM: E: no route"),
        ("dpkg_deb", "echo torn >&2; exit 2", "a.deb cannot be unpacked: torn"),
        ("dpkg_deb", "true", "the packages of SLURM hold no plugins"),
        ("scontrol", "", "the packages of SLURM hold no scontrol"),
        ("slurmd", "echo no libhwloc; exit 127", "slurmd does not run: no libhwloc"),
        ("munged", "exit 1", "munged does not start: it says nothing"),
        ("slurmctld", "echo port in use >&2; exit 1", "slurmctld does not start: port in use"),
        ("slurmd", '[ "$1" = -V ] || exit 1', "slurmd does not start: it says nothing"),
        ("sinfo", "echo down", "the node does not come up: slurm 22"),
        ("srun", "echo plugin pmi2 >&2; exit 1", "it runs no step: plugin pmi2"),
    ],
)
def test_a_cluster_that_does_not_come_up_is_skipped(
    program: str, does: str, why: str, tools: Path, tmp_path: Path
) -> None:
    assert try_cluster(tmp_path, tools, **{program: does}) == (0, f"try.sh: skipped: {why}\n")
    assert not (tmp_path / "log").exists()


@needs_root
@pytest.mark.parametrize(
    ("program", "does", "says"),
    [
        ("sleep", "true", ""),
        ("scontrol", 'echo " JobState=FAILED Restarts=1 ExitCode=1:0"', "FAILED: it is completed"),
        ("scontrol", 'echo " JobState=COMPLETED Restarts=0 ExitCode=0:0"', "FAILED: it was put back once"),
        ("python", "exit 1", "FAILED: it is bit-equal to the run that nothing interrupted"),
        (
            "mpirun",
            "echo HYDRA out of memory; [ $1 = --version ]",
            "FAILED: the run outside SLURM: HYDRA out of memory",
        ),
        ("sbatch", "exit 1", "FAILED: sbatch does not take the job"),
    ],
)
def test_a_job_that_fails_is_a_failure(program: str, does: str, says: str, tools: Path, tmp_path: Path) -> None:
    code, out = try_cluster(tmp_path, tools, **{program: does})
    assert code == bool(says) and says in out and ("FAILED" in out) == bool(says), out
    assert (tmp_path / "log").read_text().splitlines()[-1].split(" ", 1)[1] == out.splitlines()[-1].split(" ", 1)[1]


# ---- digests.py ------------------------------------------------------------------------------------------------------

# A package that trains nothing: it leaves a run folder that lies beside it.
PROGRAM = """
import shutil, sys
from pathlib import Path
kind = Path(__file__).parents[1] / ("resumed" if "--resume" in sys.argv else "whole")
sys.exit("no such flag") if not kind.exists() else shutil.copytree(kind, sys.argv[-1], dirs_exist_ok=True)
"""

Say = Callable[..., tuple[int, str]]
KINDS = ("whole", "resumed")
SECONDS = count()  # no two runs take the same


def leave(folder: Path, kl: float = 0.5, weight: float = 1.0, **more: float) -> None:
    """A run folder anew, of a policy with one weight; `more` are further counters and columns."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "checkpoints").mkdir(parents=True)
    learner = {"policy": {"weight": torch.tensor([weight])}, "progress": {"steps": 7, "wall_s": next(SECONDS), **more}}
    torch.save({"learner": learner, "config": more}, folder / "checkpoints" / "iteration_0000002.pt")
    rows = [{"iteration": n, "kl": [0.25, kl][n], "sample_s": next(SECONDS), **more} for n in range(2)]
    lines = [",".join(map(str, values)) for values in (rows[0], *(row.values() for row in rows))]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    (folder / "summary.json").write_text(json.dumps({"returns": [3.0], "wall_s": next(SECONDS)}))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    program = tmp_path / "checkout" / "trpo_gail" / "__main__.py"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.with_name("__init__.py").touch()
    for kind in KINDS:
        leave(tmp_path / "checkout" / kind)
    return tmp_path / "checkout"


@pytest.fixture
def say(tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """The script on `cartpole`, which is resumed, with the toy package; its exit code and what it prints."""

    def call(*arguments: str) -> tuple[int, str]:
        code = digests.main(["--package", str(checkout), "--only", "cartpole", *arguments])
        return code, capsys.readouterr().out

    assert call("--out", str(tmp_path / "before.json"))[0] == 0
    return call


def test_a_change_of_results_is_told_and_fails_unless_it_is_expected(tmp_path: Path, checkout: Path, say: Say) -> None:
    against = ("--against", str(tmp_path / "before.json"))
    code, said = say(*against)
    assert code == 0 and "s  same\n" in said and "\n1 case in " in said
    code, said = say(*against, "--expect", "cartpole=a better step")
    assert code == 1 and "s  SAME, but should differ (a better step)\n" in said

    for kind in KINDS:
        leave(checkout / kind, kl=0.75, weight=2.0)
    code, said = say(*against)
    assert code == 1 and "s  DIFFERS\n" in said
    assert "    policy: 1 of 1, first policy.weight: float32[1] " in said and "progress" not in said
    assert "    metrics: iteration 1, kl: 0.5 before, 0.75 now\n" in said
    (tmp_path / "expected").write_text("--expect=cartpole=a better step\n")
    code, said = say(*against, f"@{tmp_path}/expected")
    assert code == 0 and "s  differs as expected (a better step)\n" in said and "iteration 1, kl" in said


def test_what_is_new_is_told_and_what_is_gone_differs(tmp_path: Path, checkout: Path, say: Say) -> None:
    for kind in KINDS:
        leave(checkout / kind, patience=4.0)
    code, said = say("--against", str(tmp_path / "before.json"), "--out", str(tmp_path / "after.json"))
    assert code == 0 and "s  same\n    new, state: progress.patience\n    new, metrics: patience\n" in said

    for kind in KINDS:
        leave(checkout / kind)
    code, said = say("--against", str(tmp_path / "after.json"))
    assert code == 1 and "first progress.patience: 4.0 before, gone now" in said
    assert "metrics: iteration 0, patience: 4.0 before, gone now" in said


def test_a_resume_that_gives_another_run_fails_and_is_no_expected_change(
    tmp_path: Path, checkout: Path, say: Say
) -> None:
    leave(checkout / "resumed", weight=1.5)
    code, said = say("--against", str(tmp_path / "before.json"), "--expect", "cartpole=a better step")
    assert code == 1 and "s  DIFFERS" in said and "not the same with a resume after 2: policy: 1 of 1" in said
    code, said = say("--out", str(tmp_path / "broken.json"))
    assert code == 1 and "s  FAILED\n" in said
    shutil.rmtree(checkout / "whole")
    assert "exit code 1: no such flag" in say("--against", str(tmp_path / "before.json"))[1]


def test_a_record_of_another_machine_is_refused(tmp_path: Path, say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "before.json"
    record = json.loads(path.read_text())
    record["machine"]["torch"] = "0.1"
    path.write_text(json.dumps(record))
    with pytest.raises(SystemExit) as stop:
        say("--against", str(path))
    assert stop.value.code == 2
    assert f"{path}: recorded elsewhere" in (said := capsys.readouterr().err) and "torch: 0.1 there, " in said
    assert say("--against", str(path), "--anyway")[0] == 0


def test_the_cases_mix_what_can_be_chosen() -> None:
    """Each value in two cases at least, which differ in something else that can be chosen, too."""
    met: dict[str, set[str]] = defaultdict(set)
    for case in digests.read_cases():
        command, env, *words = case.command.split()
        flags = {" ".join(pair) for pair in pairwise(words) if pair[0].startswith("--")}
        values = {*flags, command, env, f"{case.ranks} ranks", f"{len(case.stages)} sessions"}
        for value in values:
            met[value].add(" ".join(sorted(values - {value, env})))
    wanted = """train|expert|clone|CartPole-v0|Hopper-v4|HalfCheetah-v4|PointNav2D-v0|1 ranks|2 ranks|2 sessions
        --preset paper|--preset stable-baselines|--generator trpo|--generator ppo|--dtype float32|--dtype float64
        --adversary gail|--adversary fem|--adversary gtal|--adversary constant|--adversary env_reward|--g_step 2
        --sampling steps|--sampling episodes|--actions raw|--actions executed|--backend envpool|--backend gymnasium"""
    words = [value.strip() for line in wanted.splitlines() for value in line.split("|")]
    assert {word: len(met[word]) for word in words if len(met[word]) < 2} == {}


@pytest.mark.long
def test_the_same_code_trains_the_same_twice(tmp_path: Path) -> None:
    """By the command line; but for what is changed in the record by hand, nothing differs."""
    path = tmp_path / "record.json"
    command = [sys.executable, str(ROOT / "scripts" / "digests.py"), "--only", "pointnav"]
    subprocess.run([*command, "--out", str(path)], check=True, timeout=240)
    record = json.loads(path.read_text())
    case = record["cases"]["pointnav"]
    parts = {name.split(".")[0] for name in case["state"]}
    assert {"policy", "critic", "adversary", "sampler", "progress", "evaluation"} <= parts
    assert {"critic.adam.state.0.exp_avg", "adversary.network.normaliser.mean"} <= set(case["state"])
    assert not any(name.endswith("_s") for name in [*case["state"], *case["metrics"][0].split(",")])
    case["state"]["progress.steps"] = "939"
    path.write_text(json.dumps(record))
    done = subprocess.run([*command, "--against", str(path)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 1, done.stderr
    told = [line.strip() for line in done.stdout.splitlines() if line.startswith("    ")]
    assert told == ["progress: 1 of 8, first progress.steps: 939 before, 943 now"]


def view(**cells: tuple[tuple[int, int], int]) -> dict[str, np.ndarray]:
    """MiniGrid's view of an empty room: `key=((3, 5), 5)` puts a 5 there."""
    image = np.zeros((7, 7, 3), np.uint8)
    image[..., 0] = 1
    for (x, y), kind in cells.values():
        image[x, y] = kind, 4, 2  # yellow, locked
    return {"image": image}


@pytest.mark.parametrize(
    ("cells", "action"),
    [
        ({"goal": ((3, 2), 8)}, 2),  # walk
        ({"goal": ((0, 6), 8)}, 0),  # turn to the left
        ({"key": ((3, 5), 5)}, 3),  # pick it up
        ({"key": ((4, 6), 5)}, 1),  # turn to it
        ({"door": ((3, 5), 4)}, 1),  # locked, and no key in sight: look around
        ({"door": ((3, 5), 4), "mine": ((3, 6), 5)}, 5),  # open it
        ({}, 1),
    ],
)
def test_the_expert_of_door_key(cells: dict[str, tuple[tuple[int, int], int]], action: int) -> None:
    assert scripted_experts.door_key(view(**cells)) == action


def test_the_expert_of_fetch_reach() -> None:
    seen = {"achieved_goal": np.zeros(3), "desired_goal": np.array([0.01, -0.5, 0.0])}
    assert scripted_experts.fetch_reach(seen) == pytest.approx([0.1, -1.0, 0.0, 0.0])


def test_the_table_of_environments() -> None:
    row = {
        "env": "A-v0", "kwargs": {"n": 1}, "check": 0, "record": 0, "train": 1,
        "observation": ["camera: image of shape (8, 8, 3) (uint8), 192 columns", "finite, 0 to 255"],
        "action": ["labels of 5, 5, from MultiDiscrete([5 5])"], "speed": ["1,000 steps per second on one core"],
    }  # fmt: skip
    line = try_environments.table({"suites": {"Toys": {"versions": {}, "environments": [row]}}}).splitlines()[-1]
    assert line == '| Toys | A-v0 `{"n": 1}` | camera: image (8, 8, 3) | labels of 5, 5 | ok | ok | failed | 1,000 |'
