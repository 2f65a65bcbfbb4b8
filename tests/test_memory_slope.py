"""scripts/memory_slope.py: whose memory it samples, and the slope of a known line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import memory_slope  # noqa: E402


def leave(out: Path, env: str, per_hour: float, hours: float) -> None:
    """Samples of two ranks whose lowest RSS grows after ten minutes, and its mean half as fast; before, they double."""
    lines = [] if out.exists() else [",".join(memory_slope.COLUMNS)]
    for seconds in range(0, int(3600 * hours) + 1, 10):
        each = 100.0 + per_hour / 2 * seconds / 3600 if seconds >= 600 else 50.0
        lines += [f"{env},{seconds},{rank},{each:.4f},{each / 2:.4f}" for rank in (0, 1)]
    with open(out, "a") as file:
        file.write("\n".join(lines) + "\n")


def test_the_slope_is_that_of_all_ranks_after_the_first_minutes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "memory.csv"
    leave(out, "Flat-v0", 0.0, 2.0)
    assert memory_slope.main(["--out", str(out), "--table"]) == 0
    leave(out, "Leaky-v0", 3.0, 2.0)
    assert memory_slope.main(["--out", str(out), "--table"]) == 1
    said = capsys.readouterr().out
    assert "| Leaky-v0 | 2 | 120 | 10 | 200.5 | 205.8 | 3.00 ± 0.00 | 1.50 ± 0.00 |" in said
    assert "| Flat-v0 | 2 | 120 | 10 | 200.0 | 200.0 | 0.00 ± 0.00 | 0.00 ± 0.00 |" in said
    assert memory_slope.main(["--out", str(out), "--table", "--most", "3.1"]) == 0


def test_what_memory_falls_to_in_a_window_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It falls to 100 MB once in five minutes; the pace of the rest, and so the mean, changes after an hour."""
    out = tmp_path / "memory.csv"
    lines = [",".join(memory_slope.COLUMNS)]
    for seconds in range(0, 7201, 10):
        low = 100.0 if seconds % 300 == 0 else 120.0
        lines.append(f"Busy-v0,{seconds},0,{low},{130 if seconds < 3600 else 140}")
    out.write_text("\n".join(lines) + "\n")
    assert memory_slope.main(["--out", str(out), "--table"]) == 0
    assert "| Busy-v0 | 1 | 120 | 10 | 100.0 | 100.0 | 0.00 ± 0.00 | 8." in capsys.readouterr().out
    assert memory_slope.main(["--out", str(out), "--table", "--window", "0"]) == 0


def test_a_task_is_held_only_for_its_whole_time(tmp_path: Path) -> None:
    out = tmp_path / "memory.csv"
    leave(out, "Whole-v0", 0.0, 2.0)
    leave(out, "Part-v0", 0.0, 0.5)
    whole = [line for line in out.read_text().splitlines() if not line.startswith("Part")]
    assert memory_slope.held(out, "Whole-v0", 7200.0)
    assert not memory_slope.held(out, "Part-v0", 7200.0)
    assert out.read_text().splitlines() == whole


def test_its_error_is_that_of_least_squares() -> None:
    rate, error = memory_slope.slope([0.0, 3600.0, 7200.0], [0.0, 3.0, 0.0])
    assert (rate, error) == pytest.approx((0.0, 3**0.5), abs=1e-12)  # rests of -1, 2, -1 on a spread of 2


def test_too_few_samples_are_no_slope(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(tmp_path / "memory.csv", "Short-v0", 0.0, 0.1)
    assert memory_slope.main(["--out", str(tmp_path / "memory.csv"), "--table"]) == 1
    assert "| Short-v0 | 0 windows, at least 3 expected after 10 minutes |" in capsys.readouterr().out


def test_ranks_are_found_by_folder_and_variable(tmp_path: Path) -> None:
    folder, held = tmp_path.resolve(), "x = b'1' * 50_000_000; print('held', flush=True); input()"
    told = [{"PMI_RANK": "0"}, {"OMPI_COMM_WORLD_RANK": "1"}, {}]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", held], cwd=folder, env=os.environ | more, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) for more in told
    ]  # fmt: skip
    try:
        for process in started:
            assert process.stdout and process.stdout.readline() == "held\n"
        assert memory_slope.ranks(folder) == {0: started[0].pid, 1: started[1].pid}
        assert 40 < memory_slope.memory(started[0].pid) < 100
    finally:
        for process in started:
            process.kill()
            process.communicate()
    with pytest.raises(OSError):
        memory_slope.memory(started[0].pid)


# A program in the place of `trpo-gail train`: mpirun has two ranks, which train until SIGUSR1.
MPIRUN = """#!{python}
import os, signal, subprocess, sys, time
if "--version" in sys.argv: sys.exit()
code = "import pathlib, time; pathlib.Path('run').mkdir(exist_ok=True); open('run/metrics.csv', 'w'); time.sleep(60)"
ranks = [subprocess.Popen([sys.executable, "-c", code], env=os.environ | {{"PMI_RANK": str(rank)}}) for rank in (0, 1)]
def end(*given):
    for rank in ranks: rank.kill()
    print("disk full", file=sys.stderr, flush=True)
    os._exit({code})
signal.signal(signal.SIGUSR1, end)
while True: time.sleep(0.1)
"""


@pytest.mark.parametrize("code", [0, 2])
def test_a_run_is_sampled_and_ended(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mpirun").write_text(MPIRUN.format(python=sys.executable, code=code))
    (tmp_path / "mpirun").chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setattr(memory_slope, "SAMPLE_S", 0.003)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    out, began = tmp_path / "memory.csv", time.monotonic()
    short = ["--env", "CartPole-v1", "--minutes", "0.03", "--skip", "0", "--window", "0", "--most", "1e6"]
    assert memory_slope.main(["--out", str(out), *short]) == min(code, 1)
    assert time.monotonic() - began < 60
    samples = memory_slope.read(out)["CartPole-v1"]
    assert len(samples) >= 2 and all(
        both.shape == (2, 2) and both.min() > 1 and (both[:, 0] <= both[:, 1]).all() for both in samples.values()
    )
    assert ("memory_slope.py: CartPole-v1: exit code 2: disk full" in capsys.readouterr().err) == bool(code)
    assert not memory_slope.ranks(tmp_path)
