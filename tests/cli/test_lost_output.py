"""A run whose output cannot be written, or shown: it ends as any other, with all its files."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input import tiny_run
from run_files import metrics

from trpo_gail.cli import main
from trpo_gail.reports import plots

FILES = {".lock", "config.json", "metrics.csv", "episodes.csv", "summary.json", "checkpoints", "learning_curve.png"}
EVALUATED = ("--eval_every", "50", "--eval_episodes", "2")  # a line with a ± each


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def gone() -> int:
    """A pipe without a reader."""
    there, here = os.pipe()
    os.close(there)
    return here


def hung_up() -> int:
    """A terminal that was closed."""
    far, near = pty.openpty()
    os.close(far)
    return near


def files(run: Path) -> set[str]:
    return {path.name for path in run.iterdir() if "tfevents" not in path.name}


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        (full, "cannot be written: No space left on device"),
        (gone, "cannot be written: Broken pipe"),
        (hung_up, "cannot be written: Input/output error"),
        (None, "is closed"),
    ],
)
def test_a_training_goes_on_in_silence(
    lost: Callable[[], int] | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    stream = open(lost(), "w") if lost else None  # noqa: SIM115 - closed below
    monkeypatch.setattr(sys, "stdout", stream)
    # pytest's stderr is no file of the system; the warning goes to files alone
    with open(tmp_path / "err", "w") as errors:
        monkeypatch.setattr(sys, "stderr", errors)
        assert main(tiny_run(tmp_path / "run", *EVALUATED)) == 0
    if stream:
        stream.close()
    assert (tmp_path / "err").read_text() == f"warning: standard output {why}; nothing more is printed there\n"
    assert files(tmp_path / "run") == FILES
    assert len(metrics(tmp_path / "run")) > 1


def test_a_recording_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ["record", "PointNav2D-v0", "--policy", "greedy", "--episodes", "2", "--out", str(tmp_path / "x.h5")]
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(line) == 0
        assert main(["data", "info", str(tmp_path / "x.h5")]) == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_log_in_another_encoding(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "log", "w", encoding=encoding) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(tiny_run(tmp_path / "run", *EVALUATED)) == 0
    sign = "+-" if encoding == "ascii" else "±"
    told = (tmp_path / "log").read_text(encoding).splitlines()
    assert any(line.startswith("learned return ") and f" {sign} 0.00 " in line for line in told)
    assert sum(f" {sign} " in line for line in told) == 1 + sum(
        bool(row["eval_return_mean"]) for row in metrics(tmp_path / "run")
    )


def test_a_learning_curve_that_cannot_be_drawn_is_a_warning_at_the_very_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> bytes:
        raise ImportError("no font\nanywhere")

    monkeypatch.setattr(plots, "learning_curve", broken)
    assert main(tiny_run(tmp_path / "run")) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("scaled score ")
    assert err == (
        "warning: the learning curve was not drawn: no font anywhere "
        f"(trpo-gail report {tmp_path / 'run'} draws it, too)\n"
    )
    assert files(tmp_path / "run") == FILES - {"learning_curve.png"}
