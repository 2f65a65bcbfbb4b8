"""What is said of files of demonstrations: help, what they hold, what to be warned of, and a run's score on them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from bad_input import EXPERT, tiny_run
from run_files import metrics

import trpo_gail
from trpo_gail.cli import main
from trpo_gail.runs.closing import closing_lines

POINT_NAV = str(Path(EXPERT).with_name("PointNav2D-v0.h5"))
SHORT = ["--iterations", "1", "--timesteps_per_batch", "64", "--num_envs", "2", "--final_episodes", "1", "--quiet"]


@pytest.mark.parametrize(
    "line",
    [
        "data --help",
        "data -h",
        "help data",
        "data info --help",
        "data info -h",
        "data info FILE --help",
    ],
)
def test_help(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 0
    out, err = capsys.readouterr()
    usage = "data info [-h] [OPTIONS] FILE" if "info" in line else "data SUBCOMMAND ..."
    assert out.startswith(f"usage: trpo-gail {usage}\n") and err == ""


def test_info_says_what_the_default_reward_goes_by(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", POINT_NAV]) == 0
    out, err = capsys.readouterr()
    assert "290 terminal, 10 by time limit" in out and err == ""
    assert "290 of 300 episodes end by termination: --discriminator.reward auto goes by that" in out
    assert main(["data", "info", EXPERT]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "--discriminator.reward" not in out


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        ([], False),  # auto
        (["--discriminator.reward=-log(1-D)"], True),
        (["--adversary", "fem", "--discriminator.reward=-log(1-D)"], True),
        (["--discriminator.reward", "log(D)"], False),
    ],
)
def test_training_warns_of_a_reward_that_success_ends(
    flags: list[str], warned: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "PointNav2D-v0", "--expert", POINT_NAV, "--out", str(tmp_path / "run"), *SHORT, *flags]
    assert main(line) == 0
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == int(warned)
    assert ("--discriminator.reward 'log(D)'" in err) == warned


@pytest.mark.parametrize("line", ["expert PointNav2D-v0", "clone PointNav2D-v0"])
def test_what_is_not_paid_by_it_does_not(line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flags = SHORT if line.startswith("expert") else ["--iterations", "1", "--final_episodes", "1", "--quiet"]
    assert main([*line.split(), "--expert", POINT_NAV, "--out", str(tmp_path / "run"), *flags]) == 0
    assert capfd.readouterr() == ("", "")


def test_one_pair_that_is_left_is_warned_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(tiny_run(tmp_path / "run", "--subsample", "199", "--quiet")) == 0
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "of 200 steps 1 pair of observation and action is left to learn from; a --subsample below 199" in err


def test_training_on_numbers_of_other_types(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of the same numbers in other types the same is learnt."""

    def learn(observations: str, actions: str) -> list[dict[str, str]]:
        path = tmp_path / f"{observations}.h5"
        shutil.copy(EXPERT, path)
        with h5py.File(path, "a") as file:
            for field, dtype in (("observations", observations), ("actions", actions)):
                values = file[field][()].astype(dtype)
                del file[field]
                file[field] = values
        line = tiny_run(tmp_path / observations, "--quiet")
        line[line.index(EXPERT)] = str(path)
        assert main(line) == 0
        return metrics(tmp_path / observations)

    ours = learn("<f4", "<i8")
    assert learn(">f4", ">i2") == learn("longdouble", ">u4") == ours
    assert "nan" not in str(learn(">f2", "u1"))
    assert capfd.readouterr() == ("", "")


SUMMARY = {"stopped": "steps", "steps": 1, "episodes": 26, "return_mean": 3.0, "return_std": 0.0, "scaled_score": 9.0}
SUMMARY |= {"expert_return_mean": 12.0, "random_return_mean": 10.0}


@pytest.mark.parametrize(("std", "said"), [(5.0, True), (4.9, False)])
def test_a_score_on_a_short_scale_is_told_to_say_little(std: float, said: bool) -> None:
    told = closing_lines(SUMMARY | {"random_return_std": std})  # two standard errors of 26 are 2 if std is 5
    score = next(i for i, text in enumerate(told) if text.startswith("scaled score"))
    assert [("hardly differ" in text) for text in told[score + 1 :]] == [True] * said


@pytest.mark.parametrize(("random", "said"), [(30.0, True), (12.5, False), (1.0, False), (None, False)])
def test_a_scale_that_is_upside_down_is_told(random: float | None, said: bool) -> None:
    ends = {"random_return_mean": random, "random_return_std": 5.0}
    assert any("less than random actions" in text for text in closing_lines(SUMMARY | ends)) is said


@pytest.mark.parametrize(("random", "said"), [(0.25, "25.0%"), (0.0, "0.0%"), (None, "unknown")])
def test_a_success_rate_of_random_actions_that_is_unknown_is_said_to_be(random: float | None, said: str) -> None:
    rates = {"random_return_std": 5.0, "success_rate": 1.0, "random_success_rate": random}
    assert closing_lines(SUMMARY | rates)[1] == f"success rate    100.0% (random {said})"


def test_a_run_on_a_short_scale_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The toy's return depends on its starts alone, so that an expert is no better than random."""
    path = tmp_path / "demos.h5"
    with h5py.File(path, "w") as file:
        file["observations"], file["actions"] = np.ones((4, 2)), np.zeros((4, 1))
        file["terminals"], file["timeouts"] = np.zeros(4, bool), np.arange(4) == 3
        file["steps"], file["episode_lengths"] = np.arange(4), np.array([4])
        file["rewards"] = np.arange(4.0)  # episode 0 of the toy pays 0 + 1 + 2
        file["episode_returns"] = np.array([3.0])
    line = ["train", "toys:Script-v0", "--expert", str(path), "--out", str(tmp_path / "run"), *SHORT[:-1]]
    assert main([*line, "--eval_every", "0"]) == 0
    assert "expert and random return hardly differ" in capsys.readouterr().out


def test_a_policy_recorded_in_another_task_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The two point masses of toys: same sizes, other names."""
    run = tmp_path / "run"
    assert main(["expert", "toys:Script-v0", "--out", str(run), *SHORT]) == 0
    for name, warned in (("toys:Script-v0", False), ("toys:Script-v7", False), ("toys:Other-v0", True)):
        out = tmp_path / f"{name}.h5"
        assert main(["record", name, "--policy", str(run), "--episodes", "1", "--out", str(out)]) == 0
        err = capsys.readouterr().err.splitlines()
        told = f"warning: {run}: the policy is one for toys:Script-v0, not for {name}: its episodes are no expert's"
        assert ([text for text in err if "no expert's" in text] == [told]) == warned


# ---- what can be installed -------------------------------------------------------------------------------------------


def test_what_is_suggested_can_be_installed() -> None:
    """The package itself is on no index: its extras are installed from a checkout, or by their packages' names."""
    root = Path(trpo_gail.__file__).parent
    files = [*root.rglob("*.py"), root.parent / "README.md", *(root.parent / "docs").glob("*.md")]
    assert len(files) > 100
    for path in files:
        assert not re.search(r"pip install '?trpo_gail", path.read_text()), path


def test_a_plot_overwrites_no_demonstrations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(EXPERT, tmp_path / "mine.h5")
    before = (tmp_path / "mine.h5").read_bytes()
    assert main(["data", "plot", str(tmp_path / "mine.h5"), str(tmp_path / "mine.h5")]) == 2
    assert "a name that ends in .png expected" in capsys.readouterr().err
    assert (tmp_path / "mine.h5").read_bytes() == before


def test_a_link_that_leads_nowhere_is_no_new_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.h5").symlink_to(tmp_path / "elsewhere.h5")
    for out, said in ((str(tmp_path / "out.h5"), "exists"), ("", "OUT: '' given, the name of a file expected")):
        assert main(["data", "convert", str(EXPERT), out]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "elsewhere.h5").exists()


@pytest.mark.parametrize(
    ("saved", "said"), [(True, "saved; --resume goes on"), (False, "too early for a checkpoint; --resume begins anew")]
)
def test_a_run_that_was_stopped_says_what_a_resume_does(saved: bool, said: str) -> None:
    """A signal may come while the first policy is cloned."""
    stopped = SUMMARY | {"stopped": "SIGTERM", "return_mean": None, "steps": 0}
    assert closing_lines(stopped, saved) == [f"stopped by SIGTERM at 0 steps, {said}"]
