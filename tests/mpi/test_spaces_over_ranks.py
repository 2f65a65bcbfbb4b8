"""Images, several parts and several labels: the same on 1, 2 and 4 ranks, up to rounding, and resumed to the bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from launch import work
from run_files import apart, checkpoints, differing, metrics, state

TASKS = ("Images-v0", "Parts-v0", "Labels-v0")
BOUND = 1e-7  # one minibatch has all rows here, so that the critic's roundings come to the advantages
CRITICS_BOUND = 1e-6  # see test_rank_invariance.py


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folders of all tasks' runs, by number of ranks."""

    @cache
    def runs(ranks: int) -> Path:
        folder = tmp_path_factory.mktemp("spaces")
        work(folder, ranks, "worker_spaces.py", str(folder))
        return folder

    return runs


def last(folder: Path) -> dict:
    return state(checkpoints(folder)[-1])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.long)])
def test_the_number_of_ranks_does_not_matter(ranks: int, task: str, trained: Callable[[int], Path]) -> None:
    one, several = (last(trained(n) / f"{task}-whole") for n in (1, ranks))
    networks = ("policy.", "critic.network.", "adversary.network.")
    mine, theirs = ({k: v for k, v in found.items() if k.startswith(networks)} for found in (one, several))
    assert any("images" in name for name in mine) == (task != "Labels-v0")
    gaps = apart(mine, theirs)
    for critics, bound in ((False, BOUND), (True, CRITICS_BOUND)):
        some = [name for name in gaps if ("critic" in name) == critics]
        worst = max(some, key=lambda name: gaps[name])
        assert gaps[worst] <= bound, f"{worst} is {gaps[worst]:.1e} apart"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_resume_is_exact(ranks: int, task: str, trained: Callable[[int], Path]) -> None:
    whole, parts = (trained(ranks) / f"{task}-{name}" for name in ("whole", "parts"))
    assert not differing(last(whole), last(parts))
    assert metrics(whole) == metrics(parts) and len(metrics(whole)) >= 2
