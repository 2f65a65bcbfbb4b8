"""Every command of `trpo-gail`, as a user calls it, but in this process."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from bad_input import EXPERT, tiny_run
from run_files import checkpoints, differing, events, metrics, state

from trpo_gail import load_policy
from trpo_gail.cli import main
from trpo_gail.commands import COMMANDS
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.runs.run_folder import RunFolder

SUMMARY = {
    "env", "seed", "ranks", "steps", "wall_s", "env_steps_per_s", "return_mean", "return_std", "episodes",
    "expert_env", "expert_return_mean", "random_return_mean", "scaled_score", "stopped", "returns", "lengths",
}  # fmt: skip
FLAGS = (  # not the defaults, so that what ignores them is seen
    "--max_kl", "0.02", "--trpo.cg_iters", "5", "--critic.vf_batch_size", "32", "--policy.hidden_sizes", "16", "8",
    "--hidden_size_adversary", "24", "--seed", "3", "--dtype", "float64",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `train` with flags of all kinds."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert main(tiny_run(path, "--quiet", *FLAGS)) == 0
    return path


def read(path: Path) -> dict:
    return json.loads(path.read_text())


# ---- what needs no torch ---------------------------------------------------------------------------------------------

_LIGHT = """
import contextlib, io, resource, sys
from trpo_gail.cli import main
from trpo_gail.commands import COMMANDS
said = {}
also = (["help"], ["help", "train"], ["train", "help"], ["help", "data", "convert"], ["data", "convert", "--help"])
for line in (["--version"], ["--help"], [], *also, *([name, "--help"] for name in COMMANDS)):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            code = main(line)
        except SystemExit as stop:
            code = stop.code
    assert not code, (line, code)
    said[" ".join(line)] = out.getvalue()
heavy = {"torch", "mpi4py", "gymnasium", "envpool", "h5py", "matplotlib", "mujoco"} & set(sys.modules)
print(repr((said, heavy, sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))))
"""


def test_version_and_help_answer_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", _LIGHT], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    said, heavy, seconds = eval(done.stdout)  # what our own script printed
    assert heavy == set()
    assert seconds < 5.0, "of processor time, for all answers"
    assert said["--version"] == f"trpo-gail {version('trpo_gail')}\n"
    assert said[""] == said["--help"] == said["help"]
    assert said["help train"] == said["train help"] == said["train --help"] != said["help"]
    assert said["help data convert"] == said["data convert --help"] != said["data --help"]
    assert all(name in said["--help"] for name in COMMANDS)
    for field in flatten(Config("")):
        assert field == "env" or f"--{field}" in said["train --help"], field
    for alias in ("--max_kl", "--hidden_size_adversary", "--out", "--resume", "--quiet"):
        assert alias in said["train --help"]


# ---- train -----------------------------------------------------------------------------------------------------------


def test_a_run_folder_holds_what_it_should(run: Path) -> None:
    names = {path.name for path in run.iterdir() if "tfevents" not in path.name}
    assert names == {
        ".lock", "config.json", "metrics.csv", "episodes.csv", "summary.json", "checkpoints", "learning_curve.png",
    }  # fmt: skip
    summary, rows = read(run / "summary.json"), metrics(run)
    assert summary.keys() >= SUMMARY
    assert summary["env"] == "CartPole-v0" and summary["seed"] == 3 and summary["ranks"] == 1
    assert summary["stopped"] == "steps" and summary["episodes"] == 1
    assert summary["expert_return_mean"] == 200.0
    assert summary["scaled_score"] == pytest.approx(
        (summary["return_mean"] - summary["random_return_mean"]) / (200.0 - summary["random_return_mean"])
    )
    assert [int(row["iteration"]) for row in rows] == list(range(1, len(rows) + 1))
    assert int(rows[-1]["steps"]) == summary["steps"] >= 100 > int(rows[-2]["steps"])
    assert 0.0 < float(rows[0]["kl"]) <= 1.5 * 0.02
    assert events(run, "kl") == [int(row["steps"]) for row in rows]


def test_flags_reach_the_config_by_path_and_by_alias(run: Path) -> None:
    config = read(run / "config.json")["config"]
    assert config["trpo"]["max_kl"] == 0.02 and config["trpo"]["cg_iters"] == 5
    assert config["critic"]["vf_batch_size"] == 32
    assert config["policy"]["hidden_sizes"] == [16, 8]
    assert config["discriminator"]["hidden_size_adversary"] == 24
    assert config["seed"] == 3 and config["dtype"] == "float64"
    shapes = {name: value.shape for name, value in state(checkpoints(run)[-1]).items()}
    assert shapes["policy.net.layers.1.weight"] == (8, 16)
    assert shapes["adversary.network.net.layers.0.weight"] == (24, 4)


def test_the_config_file_says_what_ran(run: Path) -> None:
    content = read(run / "config.json")
    setting, (session,) = content["setting"], content["sessions"]
    assert setting["backend"] in ("envpool", "gymnasium")
    assert setting["actions"] == "raw"
    assert Path(setting["expert"]) == Path(EXPERT) and len(setting["expert_sha256"]) == 64
    assert {"torch", "numpy", "gymnasium", "trpo_gail"} <= session["versions"].keys()
    assert session["ranks"] == 1 and session["threads"] >= 1 and len(session["hosts"]) == 1
    assert {"python", "commit", "time", "command", "device"} <= session.keys()


def test_quiet_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(tiny_run(tmp_path / "run", "--quiet")) == 0
    assert capfd.readouterr() == ("", "")


def test_what_is_quiet_logs_everything(tmp_path: Path) -> None:
    """The discriminator's numbers as the others, in both files."""
    run = tmp_path / "run"
    assert main(tiny_run(run, "--quiet")) == 0
    rows = metrics(run)
    names = [
        "d_loss",
        "d_accuracy_learner",
        "d_accuracy_expert",
        "d_entropy",
        "explained_variance",
        "kl",
        "return_mean",
    ]
    assert len(rows) == 2 and set(names) <= rows[0].keys()
    for name in names[:-1]:
        assert events(run, name) == [int(row["steps"]) for row in rows], name


@pytest.mark.parametrize("command", ["train", "clone"])
def test_demonstrations_of_another_environment_are_warned_of_though_quiet(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, short = tmp_path / "run", ["--iterations", "1", "--final_episodes", "1", "--trajectories", "1", "--quiet"]
    assert main([command, "CartPole-v1", "--expert", EXPERT, "--out", str(out), *short]) == 0
    told = f"warning: {EXPERT} was recorded on CartPole-v0, not CartPole-v1: "
    out_text, err = capfd.readouterr()
    assert out_text == "" and err.startswith(told) and err.count("\n") == 1
    assert read(out / "summary.json")["expert_env"] == "CartPole-v0"


def test_a_run_says_what_it_does_and_ends_with_the_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = tiny_run(Path("unused"), "--eval_every", "60", "--save_every", "1", "--eval_episodes", "2", "--steps", "400")
    del line[line.index("--out") : line.index("--out") + 2]
    assert main(line) == 0
    out, err = capfd.readouterr()
    assert err == ""
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("CartPole-v0-seed0-")
    pairs = "200 pairs of the first of 50 trajectories, whose return is 200.0 (all 50: 200.0)"
    for words in (
        folder.name,
        "2 environments",
        pairs,
        "learned return",
        "expert return",
        "random return",
        "scaled score",
    ):
        assert words in out
    assert "learning_curve.png" in out.splitlines()[-1]
    rows = metrics(folder)
    assert len(rows) >= 4 and all(row["eval_return_mean"] for row in rows)
    assert [path.stem for path in checkpoints(folder)] == [f"iteration_{len(rows) - k:07d}" for k in (2, 1, 0)]
    assert (folder / "checkpoints" / "best.pt").exists()


def test_steps_may_grow_and_the_run_is_what_it_would_have_been(run: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(tiny_run(whole, "--quiet", *FLAGS, "--steps", "300")) == 0
    shutil.copytree(run, parts)
    assert main(["train", "--out", str(parts), "--resume", "--steps", "300", "--quiet"]) == 0
    assert differing(state(checkpoints(whole)[-1]), state(checkpoints(parts)[-1])) == []
    assert metrics(parts) == metrics(whole)
    assert len(metrics(run)) < len(metrics(whole))
    assert events(parts, "kl") == events(whole, "kl")
    assert [s["from_iteration"] for s in read(parts / "config.json")["sessions"]] == [0, len(metrics(run))]
    assert read(parts / "config.json")["config"]["steps"] == 300


def test_a_resume_may_name_a_copy_of_the_demonstrations_but_no_others(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, copy = tmp_path / "run", tmp_path / "copy.h5"
    shutil.copytree(run, out)
    shutil.copy(EXPERT, copy)
    words = ["train", "--out", str(out), "--resume", "--quiet", "--expert"]
    assert main([*words, str(copy)]) == 0
    other = str(Path(EXPERT).with_name("CartPole-v1.h5"))
    assert main([*words, other]) == 2
    assert f"--resume: {other} is not the file that {out} was made with" in capsys.readouterr().err
    copy.rename(tmp_path / "typo.h5")
    assert main([*words, str(copy)]) == 2
    assert f"--expert {copy}: no such file, the demonstrations of {out} expected" in capsys.readouterr().err
    assert read(out / "config.json")["setting"]["expert"] == str(copy), "the last that was named, and was the same"


def test_a_run_finds_its_demonstrations_from_a_folder_that_has_others_of_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, name in ((here, "CartPole-v0.h5"), (there, "CartPole-v1.h5")):
        folder.mkdir()
        shutil.copy(Path(EXPERT).with_name(name), folder / "demo.h5")
    monkeypatch.chdir(here)
    assert main(tiny_run(Path("run"), "--quiet", "--expert", "demo.h5")) == 0
    monkeypatch.chdir(there)
    resume = ["train", "--resume", "--out", "../here/run", "--quiet", "--steps"]
    assert main([*resume, "300"]) == 0
    assert main(["export", "../here/run", "--reward", "reward.pt"]) == 0
    capsys.readouterr()
    assert main([*resume, "400", "--expert", "demo.h5"]) == 2
    assert f"--resume: {there}/demo.h5 is not the file that" in capsys.readouterr().err
    (here / "demo.h5").unlink()
    for words in ([*resume, "400"], ["export", "../here/run", "--reward", "again.pt"]):
        assert main(words) == 2
        assert f"{there}/demo.h5" in capsys.readouterr().err


def test_a_resume_may_go_on_on_another_device(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    assert read(run / "config.json")["config"]["device"] == "auto"
    assert main(["train", "--out", str(out), "--resume", "--quiet", "--steps", "300", "--device", "cpu"]) == 0
    assert len(metrics(out)) > len(metrics(run))
    assert read(out / "config.json")["config"]["device"] == "cpu"


@pytest.mark.parametrize("limit", ["--steps", "--iterations"])
def test_a_run_that_is_done_says_so_and_is_what_it_was(
    limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    more = {"--steps": [], "--iterations": ["--iterations", "1"]}[limit]
    assert main(tiny_run(out, "--quiet", *more)) == 0
    before = metrics(out), read(out / "summary.json")
    assert main(["train", "--out", str(out), "--resume"]) == 0
    reached = before[1][limit.removeprefix("--")]
    assert (
        f"done already, with {reached} {limit.removeprefix('--')}: a larger {limit} goes on" in capsys.readouterr().out
    )
    assert (metrics(out), read(out / "summary.json")) == before


@pytest.mark.parametrize(("backend", "another"), [("envpool", True), ("gymnasium", False)])
def test_a_film_of_another_episode_is_told(
    backend: str, another: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trpo_gail.runs.video.record_video", lambda *given: {"video": "film.gif"})
    monkeypatch.setattr("trpo_gail.runs.evaluate.evaluate_run", lambda *given: ({"backend": backend}, None))
    assert main(["evaluate", "run", "--video", "film.gif"]) == 0
    assert ("shows none of the evaluated episodes" in capsys.readouterr().out) == another


def test_a_run_in_use_is_locked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    assert main(["train", "--out", str(tmp_path / "run"), "--resume", "--steps", "300"]) == 2
    assert capsys.readouterr().err == f"trpo-gail: {tmp_path / 'run'}: another process is writing this run\n"
    folder.close()
    assert main(["train", "--out", str(tmp_path / "run"), "--resume", "--quiet"]) == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_ends_the_iteration_and_saves(name: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    before = [signal.getsignal(number) for number in signal.Signals]

    def ask() -> None:  # once the run is under way
        deadline = time.monotonic() + 60.0
        while not (out / "metrics.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        signal.raise_signal(signal.Signals[name])

    thread = threading.Thread(target=ask)
    thread.start()
    assert main(tiny_run(out, "--quiet", "--steps", "100000000")) == 0
    thread.join()
    summary, rows = read(out / "summary.json"), metrics(out)
    assert summary["stopped"] == name
    assert summary["return_mean"] is None and summary["scaled_score"] is None and summary["episodes"] == 0
    assert checkpoints(out)[-1].stem == f"iteration_{len(rows):07d}"
    assert [signal.getsignal(number) for number in signal.Signals] == before


# ---- the other commands ----------------------------------------------------------------------------------------------


def test_expert_learns_from_the_environments_reward(tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = ["expert", "CartPole-v0", "--steps", "16000", "--timesteps_per_batch", "1024", "--num_envs", "8"]
    assert main([*line, "--eval_every", "0", "--out", str(out), "--quiet"]) == 0
    rows, summary = metrics(out), read(out / "summary.json")
    assert "d_loss" not in rows[0]
    assert float(rows[0]["return_mean"]) < 40.0
    assert summary["return_mean"] > 150.0
    assert summary["expert_return_mean"] is None and summary["scaled_score"] is None
    assert main(["expert", "--out", str(out), "--resume", "--steps", "17000", "--quiet"]) == 0
    assert len(metrics(out)) > len(rows)


def test_evaluate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def evaluate(*more: str) -> dict:
        assert main(["evaluate", str(run), "--episodes", "5", "--json", *more]) == 0
        return json.loads(capsys.readouterr().out)

    first = evaluate()
    assert first["episodes"] == 5 and first["deterministic"] and first["env"] == "CartPole-v0"
    assert first["return_min"] <= first["return_mean"] <= first["return_max"]
    assert evaluate() == first
    assert not evaluate("--stochastic")["deterministic"]
    assert main(["evaluate", str(run), "--episodes", "5"]) == 0
    assert f"{first['return_mean']:.4g}" in capsys.readouterr().out


def test_record_inspect_and_train_on_a_runs_episodes(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "demos.h5"
    assert main(["record", "CartPole-v0", "--policy", str(run), "--episodes", "3", "--out", str(file)]) == 0
    recorded = capsys.readouterr().out
    assert main(["data", "info", str(file)]) == 0
    assert capsys.readouterr().out == recorded
    facts = {line[:14].strip(): line[14:].strip() for line in recorded.splitlines()}
    assert facts["episodes"] == "3" and facts["environment"].startswith("CartPole-v0")
    assert main(["record", "CartPole-v0", "--policy", str(run), "--episodes", "3", "--out", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
    line = tiny_run(tmp_path / "run", "--quiet")
    line[line.index(EXPERT)] = str(file)
    assert main(line) == 0


def test_a_policy_of_another_environment_is_not_recorded(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "x.h5")
    assert main(["record", "Pendulum-v1", "--policy", str(run), "--episodes", "1", "--out", out]) == 2
    said = f"{run}: observation_size: expected 3 as the environment 'Pendulum-v1' has, found 4\n"
    assert capsys.readouterr().err == f"trpo-gail: {said}"


def test_five_lines_of_python(run: Path) -> None:
    policy = load_policy(run)
    assert policy.predict(np.zeros(4)) in (0, 1)
    assert policy.predict(np.zeros((3, 4))).shape == (3,)


def test_modules_in_the_current_folder_are_found(tmp_path: Path) -> None:
    text = "import gymnasium\ngymnasium.register('Mine-v0', entry_point='gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "mine_here.py").write_text(text)
    program = str(Path(sys.executable).with_name("trpo-gail"))
    done = subprocess.run(
        [program, "check", "mine_here:Mine-v0"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
