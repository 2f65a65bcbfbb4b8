"""k + save + resume + m iterations give the bit pattern of k + m, whatever a run did after its last checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from launch import work
from run_files import apart, checkpoints, differing, events, metrics, state

CASES = (
    "CartPole-v0,envpool,steps,1,float32",
    "CartPole-v0,gymnasium,steps,3,float32",
    "CartPole-v0,envpool,episodes,1,float32",
    "CartPole-v0,gymnasium,episodes,1,float32",
    "PointNav2D-v0,gymnasium,steps,1,float32",  # says of each episode whether it was a success
    "Hopper-v4,envpool,steps,1,float64",
    "Hopper-v4,envpool,steps,2,float64,ppo",
    "Hopper-v4,envpool,steps,1,float64,bc",  # begins with a clone
    "CartPole-v0,envpool,steps,1,float32,run",  # begins with the policy of the first of these
)
OTHER_RANKS = ("CartPole-v0,envpool,steps,1,float32", "Hopper-v4,envpool,steps,1,float64", CASES[-3])
SUCCESSES = next(case for case in CASES if "PointNav" in case)
SHORT = {CASES[0], SUCCESSES, *OTHER_RANKS}  # of one rank, those that the other tests need anyhow
LONG = {CASES[1], CASES[3]}  # whose parts others have, too
SAVED = 3  # the iteration that is resumed
DAMAGED = f"iteration_{SAVED + 1:07d}.pt"


class Runs(NamedTuple):
    """Folders of one case: in one go; as they were when the first checkpoint was the last; and resumed from there."""

    whole: Path
    died: Path
    resumed: Path


@pytest.fixture(scope="module")
def cases(request: pytest.FixtureRequest) -> dict[int, list[str]]:
    """By number of ranks, those that this session's tests ask for, in their order."""
    given = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = {(params["ranks"], params["case"]) for params in given if params.keys() == {"ranks", "case"}}
    return {ranks: [case for case in CASES if case in SHORT or (ranks, case) in asked] for ranks in (1, 2)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cases: dict[int, list[str]]) -> Callable[[int, int, str], Runs]:
    """A case's runs on so many ranks, resumed on so many."""

    @cache
    def whole(ranks: int) -> Path:
        folder = tmp_path_factory.mktemp(f"whole{ranks}")
        work(folder, ranks, "worker_resume.py", "whole", str(folder / "runs"), *cases[ranks])
        return folder / "runs"

    @cache
    def died(ranks: int) -> Path:
        """The same, killed late: metrics and events of more iterations than the checkpoint's, and half a row."""
        folder = tmp_path_factory.mktemp(f"died{ranks}") / "runs"
        shutil.copytree(whole(ranks), folder)
        for case in cases[ranks]:
            for path in checkpoints(folder / case):
                if path.stem != f"iteration_{SAVED:07d}":
                    path.unlink()
            (folder / case / "summary.json").unlink()
            with open(folder / case / "metrics.csv", "a") as file:
                file.write("17,31")
        return folder

    @cache
    def resumed(on: int) -> Path:
        """All that are resumed on so many ranks, in one start: RANKS/CASE."""
        folder, paths = tmp_path_factory.mktemp(f"resumed{on}"), []
        for ranks in (1, 2):
            for case in cases[ranks] if ranks == on else OTHER_RANKS:
                paths.append(folder / str(ranks) / case)
                shutil.copytree(died(ranks) / case, paths[-1])
                (paths[-1] / "checkpoints" / DAMAGED).write_bytes(b"torn")  # all ranks go on from the one before
        work(folder, on, "worker_resume.py", "resume", *map(str, paths))
        return folder

    return lambda ranks, on, case: Runs(whole(ranks) / case, died(ranks) / case, resumed(on) / str(ranks) / case)


@pytest.mark.parametrize(
    ("ranks", "case"),
    [
        *(pytest.param(2, case, marks=[pytest.mark.long] * (case in LONG)) for case in CASES),
        *(pytest.param(1, case, marks=[pytest.mark.long] * (case not in SHORT)) for case in CASES),
    ],
)
def test_resumed_on_as_many_ranks(ranks: int, case: str, runs: Callable[[int, int, str], Runs]) -> None:
    whole, died, resumed = runs(ranks, ranks, case)
    rows = metrics(whole)
    assert len(rows) > SAVED and len(metrics(died)) == len(rows) + 1
    assert [path.stem for path in checkpoints(died)] == [f"iteration_{SAVED:07d}"]

    assert checkpoints(resumed)[-1].name == checkpoints(whole)[-1].name
    assert (resumed / "checkpoints" / f"{DAMAGED}.damaged").read_bytes() == b"torn"
    a, b = state(checkpoints(whole)[-1]), state(checkpoints(resumed)[-1])
    assert {"policy.net.layers.0.weight", "critic.adam.state.0.exp_avg", "adversary.adam.state.0.step"} <= a.keys()
    assert {"policy.normaliser.mean", "sampler.restarts", "progress.best_return"} <= a.keys()
    assert ("generator.adam.state.0.exp_avg_sq" in a) == ("generator.kl_coeff" in a) == case.endswith("ppo")
    assert differing(a, b) == []
    assert differing(a, state(checkpoints(died)[-1])) != []

    assert metrics(resumed) == rows
    assert (resumed / "episodes.csv").read_bytes() == (whole / "episodes.csv").read_bytes()
    assert ("success_rate" in rows[0]) == ("eval_success_rate" in rows[0]) == case.startswith("PointNav")
    assert any(row["eval_return_mean"] for row in rows[:SAVED]) and any(row["eval_return_mean"] for row in rows[SAVED:])
    assert events(resumed, "kl") == [int(row["steps"]) for row in rows]
    assert differing(*(_policy(folder) for folder in (whole, resumed))) == []
    assert _returns(resumed) == _returns(whole)


def test_successes_are_those_of_all_ranks(runs: Callable[[int, int, str], Runs]) -> None:
    """The first iterations, before rounding has led the policies apart."""
    one, two = (runs(ranks, ranks, SUCCESSES).whole for ranks in (1, 2))
    pairs = list(zip(metrics(one), metrics(two), strict=True))[:2]
    assert [a["success_rate"] for a, _ in pairs] == [b["success_rate"] for _, b in pairs]
    firsts = [(run / "episodes.csv").read_text().split("\n2,")[0] for run in (one, two)]
    assert firsts[0] == firsts[1] and firsts[0].count("\n") > 3


@pytest.mark.parametrize("ranks", [1, 2])
def test_one_rank_alone_writes_events(ranks: int, runs: Callable[[int, int, str], Runs]) -> None:
    """One file for TensorBoard, whatever the number of ranks; a resume goes on in a copy of it."""
    whole, _, resumed = runs(ranks, ranks, CASES[0])
    assert [len(list(folder.rglob("*tfevents*"))) for folder in (whole, resumed)] == [1, 1]


@pytest.mark.parametrize("case", OTHER_RANKS)
@pytest.mark.parametrize(("ranks", "on"), [(1, 2), (2, 1)])
def test_resumed_on_another_number_of_ranks(
    ranks: int, on: int, case: str, runs: Callable[[int, int, str], Runs]
) -> None:
    whole, _, resumed = runs(ranks, on, case)
    a, b = state(checkpoints(whole)[-1]), state(checkpoints(resumed)[-1])
    bound = {"float32": 1e-4, "float64": 1e-8}[case.split(",")[4]]
    gaps = {name: gap for name, gap in apart(a, b).items() if "idle_rows" not in name}
    worst = max(gaps, key=lambda name: gaps[name])
    assert gaps[worst] <= bound, f"{worst}: {gaps[worst]:.1e}"
    sessions = json.loads((resumed / "config.json").read_text())["sessions"]
    assert [(s["ranks"], s["from_iteration"]) for s in sessions] == [(ranks, 0), (on, SAVED)]


def _policy(run: Path) -> dict:
    return state(run / "checkpoints" / "best.pt")


def _returns(run: Path) -> dict:
    content = json.loads((run / "summary.json").read_text())
    return {name: value for name, value in content.items() if not name.endswith("_s")}
