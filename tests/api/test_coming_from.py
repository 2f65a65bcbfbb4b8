"""Each row of docs/coming_from.md answers something, and what has code is run: by tests that `coming_from.toml` names, by a
short training with the row's flags, or as columns of the metrics."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from small import EXPERT

from trpo_gail.api import settings, words
from trpo_gail.cli import main
from trpo_gail.config import others
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

import coming_from  # noqa: E402

ROWS = coming_from.recorded()
TINY = [
    ("--steps", "64"), ("--num_envs", "2"), ("--timesteps_per_batch", "64"), ("--eval_every", "0"), ("--quiet",),
    ("--final_episodes", "1"), ("--d_step", "2"), ("--backend", "gymnasium"),
]  # fmt: skip


def with_(name: str) -> list[Any]:
    """The rows that have this field."""
    return [pytest.param(row, id=row["row"]) for row in ROWS if name in row]


def train(out: Path, flags: list[str], env: str = "CartPole-v0") -> int:
    """Train for a moment; the row's own flags come last and count."""
    expert = str(EXPERT) if env == "CartPole-v0" else str(EXPERT.with_name(f"{env}.h5"))
    given = {word.split("=")[0] for word in flags}
    given |= {"--steps"} if "--iterations" in given else {"--d_step"} if "env_reward" in flags else set()
    tiny = [word for pair in TINY if pair[0] not in given for word in pair]
    shown = ["--expert", expert, *([] if "--trajectories" in given else ["--trajectories", "1"])]
    return main(["train", env, *([] if "env_reward" in flags else shown), *tiny, *flags, "--out", str(out)])


def test_page_record_and_list_agree() -> None:
    assert coming_from.mistakes() == []


def test_every_row_of_the_list_has_its_answer() -> None:
    names = coming_from.listed()
    if names is None:
        pytest.skip("the list is not beside this checkout")
    answered = [name for row in ROWS for name in row["listed"]]
    assert sorted(answered) == sorted(names) and len(names) == 117


# Of these the row's flags say no more than a keyword that is one here, and "actor" or "type" may mean anything.
ANYTHING = {"actor", "critic", "type", "hidden_size", "max_steps"}


@pytest.mark.parametrize("row", with_("flags"))
def test_a_name_of_theirs_is_told_its_own_here(row: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """As a keyword, and as a flag: each name of the row that is neither is answered by one of the row's flags."""
    last = {word.rpartition(".")[2].lstrip("-") for word in row["flags"].split() if word.startswith("--")}
    for name in re.findall(r"`([a-z_]+)`", row["row"]):
        try:
            settings.path_of(Config, name, "trpo")
        except UserError as error:
            said = words.in_python(str(error))
            assert name in ANYTHING or (
                "no name of a setting here" in said and last & set(re.split(r"\W+|__", said))
            ), said
        if name in others.NAMES:
            assert main(["train", "CartPole-v0", f"--{name}", "3"]) == 2
            assert f"Unrecognized options: --{name}, 3; here it is {others.NAMES[name]} (" in capsys.readouterr().err


def test_a_row_is_run_or_says_why_not() -> None:
    for row in ROWS:
        run = [name for name in coming_from.RUN if name in row]
        assert bool(run) != ("answer" in row), row["row"]
        assert row.get("answer", "a page") in ("not planned", "not needed", "a page", "results")
        here = cells_of_the_page()[row["system"], row["row"]][1]
        assert (row.get("answer") == "not planned") == (here == "not planned"), row["row"]


def cells_of_the_page() -> dict[tuple[str, str], list[str]]:
    return {(title, cells[0]): cells for title, cells in coming_from.tables(coming_from.PAGE)}


@pytest.mark.parametrize("row", with_("flags"))
def test_the_flags_of_a_row_train(row: dict[str, Any], tmp_path: Path) -> None:
    """And they are those that the page names."""
    here = " ".join(cells_of_the_page()[row["system"], row["row"]][1:])
    flags = row["flags"].split()
    if "tests" not in row and "--ppo.*" not in here:
        named = set(re.findall(r"(--[\w.]+)", here))
        assert named <= {flag.replace("--no-", "--").split("=")[0] for flag in flags}, "a flag of the page is not tried"
    assert train(tmp_path / "run", flags, row.get("env", "CartPole-v0")) == 0
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) >= 1


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Those columns of a run's metrics that have a value."""
    out = tmp_path_factory.mktemp("columns") / "run"
    assert train(out, ["--steps", "512", "--timesteps_per_batch", "256", "--eval_every", "256"]) == 0
    with (out / "metrics.csv").open(newline="") as file:
        return {name for row in csv.DictReader(file) for name, value in row.items() if value}


@pytest.mark.parametrize("row", with_("metrics"))
def test_the_columns_of_a_row_are_measured(row: dict[str, Any], columns: set[str]) -> None:
    assert set(row["metrics"]) <= columns


def test_a_fixed_horizon_is_asked_of_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the demonstrations before the run, and of the learner as soon as an episode of its own ends early."""
    long = ["--steps", "512", "--timesteps_per_batch", "256"]
    assert train(tmp_path / "learner", ["--fixed_horizon", *long]) != 0
    assert re.search(
        r"--fixed_horizon: an episode ended after \d+ steps, and another after \d+: expected", told(capsys)
    )
    expert = str(EXPERT.with_name("PointNav2D-v0.h5"))  # they end at the goal
    line = ["train", "PointNav2D-v0", "--expert", expert, "--fixed_horizon", "--quiet", "--out", str(tmp_path / "e")]
    assert main(line) != 0
    assert re.search(r"--fixed_horizon: .*PointNav2D-v0\.h5 has episodes of \d+ to \d+ steps", told(capsys))


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())
