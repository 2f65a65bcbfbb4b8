"""The scripts that read results, the jobs of a cluster, and the script that proves that no result has moved."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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


@pytest.mark.parametrize(
    ("code", "earlier", "summary", "ends", "requeued"),
    [
        (0, None, "steps", 0, False),
        (0, "SIGUSR1", "SIGUSR1", 0, True),
        (0, None, None, 1, False),  # Open MPI's mpirun has lost a host
        (0, "SIGUSR1", None, 1, False),
        (138, None, None, 0, True),  # the signal came before there was a run
        (1, "SIGUSR1", None, 1, False),
        (2, None, None, 2, False),
        (137, None, None, 137, False),  # died before it had saved anything
    ],
)
def test_a_job_is_put_back_into_the_queue_if_its_time_is_up(
    code: int, earlier: str | None, summary: str | None, ends: int, requeued: bool, tmp_path: Path
) -> None:
    """`earlier` is the summary of the session before, `summary` that of the job's."""
    (tmp_path / "out").mkdir()
    if earlier:
        (tmp_path / "out" / "summary.json").write_text(f'{{"stopped": "{earlier}"}}')
    (tmp_path / "new").write_text(f'{{"stopped": "{summary}"}}')
    assert job(tmp_path, f"{f'mv {tmp_path}/new out/summary.json; ' if summary else ''}exit {code}") == (ends, requeued)


@pytest.mark.parametrize(("restarts", "requeued"), [("0", True), ("49", True), ("50", False)])
def test_a_job_that_died_after_a_checkpoint_is_put_back_so_many_times(
    restarts: str, requeued: bool, tmp_path: Path
) -> None:
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    (tmp_path / "out" / "checkpoints" / "iteration_0000001.pt").touch()
    os.utime(tmp_path / "out" / "checkpoints" / "iteration_0000001.pt", (0, 0))
    assert job(tmp_path, "exit 137") == (137, False), "that checkpoint is of an earlier start"
    # Times of files are as coarse as the kernel's clock: without the pause, both could have the same.
    saves = f"sleep 0.05; touch {tmp_path}/out/checkpoints/iteration_0000002.pt; exit 137"
    assert job(tmp_path, saves, SLURM_RESTART_COUNT=restarts) == (0 if requeued else 137, requeued)


def test_a_rank_that_fails_ends_the_step(tmp_path: Path) -> None:
    """srun alone lets the others wait for a rank that MPI could not start."""
    job(tmp_path, f'echo "$*" > {tmp_path}/step')
    assert "--kill-on-bad-exit=1 trpo-gail train " in (tmp_path / "step").read_text()


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
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "trpo-gail").write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/cells\n')
    (programs / "trpo-gail").chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_CPUS_PER_TASK": "9"}
    slurm |= {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_JOB_ID": "7"}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "slurm" / "paper.sbatch"), *arguments], env=os.environ | slurm,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "cells").read_text()
    assert said == " ".join(["paper run --shard 1/2 --jobs", str(jobs), *arguments]) + "\n"


def job(folder: Path, srun: str, **more: str) -> tuple[int, bool]:
    """Exit code, and whether it was put back, of train.sbatch with stand-ins for SLURM's programs."""
    out, programs, queue = folder / "out", folder / ".venv" / "bin", folder / "queue"
    programs.mkdir(parents=True, exist_ok=True)
    for name, does in (("srun", srun), ("scontrol", f'echo "$*" > {queue}')):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(folder), "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", **more}
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "slurm" / "train.sbatch"), str(out)], env=os.environ | slurm,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = queue.read_text() if queue.exists() else None
    assert said in (None, "requeue 7\n"), done.stderr
    return done.returncode, said is not None


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
