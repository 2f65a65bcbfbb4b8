"""Which rank is the slowest, in ranks.csv, in the warning and in the line at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from trpo_gail.runs.stragglers import HEADER, NAME, PATIENCE, Stragglers

HOSTS = ("a", "b", "c")
EVEN = ({"sample": 1.0, "critic": 0.5},) * 3
SLOW = ({"sample": 1.0, "critic": 0.5}, {"sample": 3.0, "critic": 0.5}, {"sample": 1.25, "critic": 0.75})


def test_rows_name_the_slowest_rank_of_each_phase(tmp_path: Path) -> None:
    assert list(Stragglers(HOSTS, tmp_path).look(1, SLOW)) == []
    rows = [HEADER, "1,sample,1.250000,3.000000,1,b", "1,critic,0.500000,0.750000,2,c"]
    assert (tmp_path / NAME).read_text().splitlines() == rows


def test_other_ranks_write_nothing_and_warn_alike() -> None:
    stragglers = Stragglers(HOSTS, None)
    stragglers.begin(0)
    warnings = [w for number in range(PATIENCE) for w in stragglers.look(number + 1, SLOW)]
    assert warnings == [
        "rank 1 on b worked 70.0 s in the last 20 iterations, the median rank 40.0 s: the others wait for it "
        "(ranks.csv shows in which phases)"
    ]


def test_the_next_warning_takes_twice_as_long() -> None:
    stragglers = Stragglers(HOSTS, None)
    spoke = [number for number in range(1, 8 * PATIENCE) if list(stragglers.look(number, SLOW))]
    assert spoke == [PATIENCE, 3 * PATIENCE, 7 * PATIENCE]


@pytest.mark.parametrize("ranks", [EVEN, ({"sample": 0.001}, {"sample": 0.03}, {"sample": 0.001})])
def test_even_ranks_and_moments_are_not_worth_a_warning(ranks: tuple[dict[str, float], ...]) -> None:
    stragglers = Stragglers(HOSTS, None)
    assert [w for number in range(100) for w in stragglers.look(number, ranks)] == []


def test_of_two_ranks_the_faster_is_the_median() -> None:
    stragglers = Stragglers(HOSTS, None)
    assert list(stragglers.lines()) == []
    list(stragglers.look(1, SLOW[:2]))
    assert list(stragglers.lines()) == [
        "slowest ranks   sample 3.0 s on rank 1 of b (median 1.0 s), critic 0.5 s on rank 0 of a (median 0.5 s)"
    ]


def test_a_resume_cuts_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    first = Stragglers(HOSTS, tmp_path)
    for number in (1, 2, 3):
        list(first.look(number, EVEN))
    with open(tmp_path / NAME, "a") as file:
        file.write("4,sam")  # a kill
    Stragglers(HOSTS, tmp_path).begin(2)
    assert [line.split(",")[0] for line in (tmp_path / NAME).read_text().splitlines()] == ["iteration", *"1122"]


def test_damaged_rows_are_told_on_a_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Stragglers(HOSTS, tmp_path)
    for number in (1, 2):
        list(first.look(number, EVEN))
    file = tmp_path / NAME
    file.write_text(before := file.read_text().replace("1,critic", "\0\0critic"))
    Stragglers(HOSTS, tmp_path).begin(2)
    says = f"{file}: 1 row is damaged or missing, the first in line 3: they stay out; the file as it was is {NAME}.old"
    assert capsys.readouterr().err == f"warning: {says}\n"
    assert (tmp_path / f"{NAME}.old").read_text() == before
    assert [line.split(",")[0] for line in file.read_text().splitlines()] == ["iteration", *"122"]


def test_a_file_that_cannot_be_written_is_one_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / NAME).mkdir()
    stragglers = Stragglers(HOSTS, tmp_path)
    for number in (1, 2):
        list(stragglers.look(number, EVEN))
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "ranks.csv: no longer written, and the run goes on without" in err
