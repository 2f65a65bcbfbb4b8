"""The rule of the verdicts on hand-made results, what the formats hold, and the figure."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from trpo_gail.cli import main
from trpo_gail.studies import store
from trpo_gail.studies.reproduction.formats import as_csv, as_latex, as_markdown
from trpo_gail.studies.reproduction.grid import Cell, load_grid
from trpo_gail.studies.reproduction.paper import load_paper
from trpo_gail.studies.reproduction.results import Result
from trpo_gail.studies.reproduction.runs import Runs
from trpo_gail.studies.reproduction.table import Row, make_table, our_scales

GRID, PAPER = load_grid(), load_paper()


def write(folder: Path, found: Result) -> None:
    store.write(folder, found.cell.name, found)


def result(cell: Cell, returns: Sequence[float], expert: float | None = 200.0, random: float = 20.0) -> Result:
    return Result(
        grid=GRID.version, **dataclasses.asdict(cell), env="", returns=list(returns), lengths=[1] * len(returns),
        return_mean=float(np.mean(returns)), return_std=float(np.std(returns)), expert_return_mean=expert,
        random_return_mean=random, iterations=1, steps=1, wall_s=1.0, eval_s=1.0, env_steps_per_s=1.0, ranks=1,
        peak_memory_mb=None, command=[], commit=None, python="", versions={},
        curve={"iteration": [], "steps": [], "return_mean": []},
    )  # fmt: skip


def runs(group: tuple[str, str, int], means: Sequence[float], **more: float | None) -> list[Result]:
    """Seeds whose two episodes lie 1 on either side of their mean."""
    return [result(Cell(*group, seed), [mean - 1, mean + 1], **more) for seed, mean in enumerate(means)]  # type: ignore[arg-type]


def markdown(table: list[Row]) -> str:
    return as_markdown(table, GRID, table)


def row(group: tuple[str, str, int], found: list[Result]) -> Row:
    [chosen] = [row for row in make_table(GRID, found, PAPER) if row.group == group]
    return chosen


CARTPOLE, HOPPER = ("cartpole", "gail", 1), ("hopper", "gail", 4)  # the paper: 7 runs of 200; one run, 3614.22


def test_a_row_by_hand() -> None:
    found = row(HOPPER, runs(HOPPER, [3600.0, 3610.0, 3620.0], expert=3500.0, random=0.0))
    assert found.ours == Runs((3600.0, 3610.0, 3620.0), (1.0, 1.0, 1.0), (2, 2, 2))
    assert found.ours.mean == 3610 and found.ours.std == pytest.approx(np.sqrt(200 / 3 + 1))
    assert found.interval == pytest.approx((3610 - 4.3027 * 10 / 3**0.5, 3610 + 4.3027 * 10 / 3**0.5), abs=1e-3)
    assert found.scaled == pytest.approx(3610 / 3500)
    assert found.paper_scaled == pytest.approx(1.012, abs=5e-4)
    assert found.verdict == "matches"


def test_all_at_the_limit_on_both_sides_matches() -> None:
    found = row(CARTPOLE, [result(Cell(*CARTPOLE, seed), [200.0] * 50) for seed in range(7)])
    assert (found.p, found.verdict, found.interval) == (1.0, "matches", (200.0, 200.0))


@pytest.mark.parametrize(
    ("group", "means", "verdict"),
    [
        (CARTPOLE, [150.0 + k for k in range(7)], "below"),
        (("cartpole", "bc", 1), [190.0 + k for k in range(7)], "above"),
        (("cartpole", "bc", 1), [60.0, 80.0], "matches"),  # two of ours suffice against seven
        (CARTPOLE, [200.0], "n/a (1 seed)"),
        (HOPPER, [3614.0], "n/a (1 seed)"),
        (HOPPER, [3614.0, 3615.0], "n/a (2 seeds)"),
        (HOPPER, [3700.0, 3701.0, 3702.0], "above"),
        (HOPPER, [3500.0, 3501.0, 3502.0], "below"),
        (("hopper", "constant", 0), [900.0, 1000.0, 1100.0], "n/a (not in the paper)"),
        (HOPPER, [], ""),
    ],
)
def test_verdicts(group: tuple[str, str, int], means: list[float], verdict: str) -> None:
    assert row(group, runs(group, means)).verdict == verdict


def test_the_correction_is_over_the_table() -> None:
    """p = 0.03 alone is a difference; among many cells it is none."""
    lone = runs(HOPPER, [3614.22 + d for d in (20.0, 30.0, 41.0)])
    alone = row(HOPPER, lone)
    assert alone.p is not None and 0.01 < alone.p < 0.05 and alone.verdict == "above"
    others = [r for n in (11, 18, 25) for r in runs(("hopper", "bc", n), [PAPER.runs["hopper", "bc", n].mean] * 3)]
    among = row(HOPPER, [*lone, *others])
    assert among.p == alone.p and among.verdict == "matches"
    told = " ".join(markdown(make_table(GRID, [*lone, *others], PAPER)).split())
    assert "4 a verdict: 0 above, 4 matching, 0 below" in told
    assert "Matching by the correction alone: Hopper, GAIL, 4 (ours is higher, p = 0.0" in told


def test_the_control_has_the_scale_of_its_task() -> None:
    """Its runs know no expert; the others' do."""
    control = runs(("hopper", "constant", 0), [1000.0], expert=None, random=0.0)
    assert row(("hopper", "constant", 0), control).scaled is None
    found = [*control, *runs(HOPPER, [3600.0], expert=4000.0, random=100.0)]
    assert row(("hopper", "constant", 0), found).scaled == pytest.approx((1000 - 50) / (4000 - 50))
    assert our_scales(found)["hopper"].expert == 4000


def test_csv() -> None:
    table = make_table(GRID, runs(HOPPER, [3600.0, 3610.0, 3620.0], expert=3500.0, random=0.0), PAPER)
    lines = as_csv(table, GRID, table).splitlines()
    assert lines[0] == (
        "task,algorithm,trajectories,seeds,return_mean,return_std,ci_low,ci_high,paper_mean,paper_std,scaled,verdict"
    )
    assert "hopper,gail,4,3,3610.0,8.226,3585.1586,3634.8414,3614.2203,7.1695,1.0314,matches" in lines
    assert len(lines) == 1 + len(GRID.groups())
    rows = {(r["task"], r["algorithm"], r["trajectories"]): r for r in csv.DictReader(io.StringIO("\n".join(lines)))}
    missing = rows["hopper", "gail", "11"]
    assert (missing["seeds"], missing["return_mean"], missing["ci_low"], missing["verdict"]) == ("0", "", "", "")
    assert missing["paper_mean"] == "3614.9965"


def test_markdown_and_latex() -> None:
    table = make_table(GRID, runs(CARTPOLE, [199.0, 200.0, 201.0]), PAPER)
    lines = markdown(table).splitlines()
    assert (
        "| Cartpole | GAIL | 1 | 3 | 200.00 ± 1.29 | 197.5 to 202.5 | 200.00 ± 0.00 | 7 | 1.000 | 1.000 | 1 | matches |"
        in lines
    )
    assert "| Cartpole | GAIL | 4 | — | — | — | 200.00 ± 0.00 | 7 | — | 1.000 | — | — |" in lines
    assert {line.count("|") for line in lines if line.startswith("|")} == {13}
    assert any("Holm-corrected over the table" in line for line in lines), "the rule is not stated"
    tex = as_latex(table, GRID, table)
    assert r" & GAIL & $1$ & $3$ & $200.00 \pm 1.29$ & $200.00 \pm 0.00$ & $1.000$ & matches \\" in tex
    assert r"GAIL, $\lambda$ = 0.001" in tex
    body = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in body} == {7} and all(line.isascii() for line in body)


def test_the_commands_on_a_folder_of_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for found in [*runs(HOPPER, [3600.0, 3610.0]), *runs(("ant", "fem", 4), [-9000.0])]:
        write(tmp_path, found)
    began = time.process_time()
    for words in (["--format", "csv"], ["--format", "md"], ["--format", "latex"], []):
        assert main(["paper", "table", "--results", str(tmp_path), *words]) == 0
        assert "opper" in capsys.readouterr().out
    assert main(["paper", "figure", "--results", str(tmp_path)]) == 0
    assert time.process_time() - began < 10
    picture = tmp_path / "figure1.png"
    assert capsys.readouterr().out == f"{picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG") and not list(tmp_path.glob("*.part"))
    before = picture.read_bytes()
    assert main(["paper", "figure", "--results", str(tmp_path), "--out", str(tmp_path / "again.png")]) == 0
    assert (tmp_path / "again.png").read_bytes() == before, "the same results, another picture"
    capsys.readouterr()
    nowhere = tmp_path / "none" / "figure.png"
    assert main(["paper", "figure", "--results", str(tmp_path), "--out", str(nowhere)]) == 2
    assert capsys.readouterr().err == f"trpo-gail: --out {nowhere}: the folder {nowhere.parent} does not exist\n"
    assert main(["paper", "figure", "--results", str(tmp_path), "--out", str(tmp_path / "figure.jpg")]) == 2
    assert "figure.jpg: FILE.png expected" in capsys.readouterr().err


def test_a_part_of_the_table_keeps_the_verdicts_of_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = runs(HOPPER, [3614.22 + d for d in (20.0, 30.0, 41.0)])
    others = [r for n in (11, 18, 25) for r in runs(("hopper", "bc", n), [PAPER.runs["hopper", "bc", n].mean] * 3)]
    for found in (*lone, *others):
        write(tmp_path, found)

    def table(*words: str) -> list[str]:
        assert main(["paper", "table", "--results", str(tmp_path), *words]) == 0
        return capsys.readouterr().out.splitlines()

    whole, part = table(), table("--task", "hopper", "ant", "--algorithm", "gail", "--measured")
    assert [line for line in part if line.startswith("| Hopper")] == [
        line for line in whole if line.startswith("| Hopper | GAIL | 4 ")
    ]
    notes = whole[whole.index("") :]
    assert len(part) == 2 + 1 + len(notes) and part[3:] == notes, "the rule and the counts are the whole table's"
    assert max(map(len, notes)) <= 120, "as all pages have it"
    assert len(table("--format", "csv", "--measured")) == 1 + 4
    assert main(["paper", "table", "--results", str(tmp_path), "--task", "hooper"]) == 2
    assert "--task: 'hooper' is not in the grid" in capsys.readouterr().err


def test_a_table_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, result(Cell(*HOPPER, 0), [1.0]))
    words = ["paper", "table", "--results", str(tmp_path), "--format", "csv"]
    assert main(words) == 0
    printed, file = capsys.readouterr().out, tmp_path / "table.csv"
    assert main([*words, "--out", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n" and file.read_text() == printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells", "table.csv"]
    assert main([*words, "--out", str(tmp_path / "nowhere" / "table.csv")]) == 2
    assert capsys.readouterr().err == (
        f"trpo-gail: --out {tmp_path}/nowhere/table.csv: the folder {tmp_path}/nowhere does not exist\n"
    )


def test_results_of_different_demonstrations_are_not_put_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        write(tmp_path, dataclasses.replace(result(Cell(*HOPPER, seed), [1.0]), expert_return_mean=3500.0 + seed))
    assert main(["paper", "table", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "field 'expert_return_mean': 3501 found, 3500 in " in said and "different demonstrations" in said


def test_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("table", "figure", "pack"):
        assert main(["paper", command, "--results", str(tmp_path)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err == (
            f"trpo-gail: --results: {tmp_path} holds no results (trpo-gail paper run makes them)\n"
        )


def test_results_of_another_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, dataclasses.replace(result(Cell(*HOPPER, 0), [1.0]), grid=99))
    for command in ("table", "figure"):
        assert main(["paper", command, "--results", str(tmp_path)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "hopper-gail-4-seed0.json: made with version 99 of the grid" in err
    assert not (tmp_path / "figure1.png").exists()
