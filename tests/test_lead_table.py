"""scripts/lead_table.py: what the discriminator's lead does to runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import lead_table  # noqa: E402

from trpo_gail.reports.run_data import load  # noqa: E402


def keep(folder: Path, rows: list[str]) -> Path:
    folder.mkdir()
    metrics = ["iteration,steps,d_accuracy_learner,d_accuracy_expert,d_logit_learner,kl,eval_return_mean", *rows]
    (folder / "metrics.csv").write_text("\n".join(metrics) + "\n")
    (folder / "config.json").write_text(json.dumps({"config": {"env": "Toy-v0"}, "sessions": [], "setting": {}}))
    return folder


def test_numbers_are_means_over_the_middle_of_a_run(tmp_path: Path) -> None:
    rows = [f"{k},{100 * k},0.{k % 10},1.0,-{k},0.01," for k in range(1, 11)]  # 30 to 60 % of ten: the 4th to the 6th
    ended, goes_on = keep(tmp_path / "ended", rows), keep(tmp_path / "goes_on", rows[:2])
    (ended / "summary.json").write_text(json.dumps({"return_mean": 12.4}))
    first, second = lead_table.table(load([ended, goes_on])).splitlines()[2:]
    assert first == "| ended | 12 | 0.50, 1.00 | -5.0, - | - | - | - | 0.0100 | - |"
    assert second == "| goes_on | - | 0.20, 1.00 | -2.0, - | - | - | - | 0.0100 | - |", "one row of two"


def test_the_tables_of_kept_runs_are_what_their_commands_print() -> None:
    page = (ROOT / "results" / "learning" / "README.md").read_text()
    commands = re.findall(r"python scripts/lead_table.py ((?:results/[\w./]+ ?(?:\\\n +)?)+)\n```\n", page)
    assert commands
    for words in commands:
        folders = [ROOT / word for word in words.replace("\\\n", " ").split()]
        assert lead_table.table(load(folders)) in page, words


def test_the_picture_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "lead.png"
    words = [str(ROOT / "results" / "halfcheetah" / "seed_0"), "--picture", str(picture)]
    monkeypatch.setattr(sys, "argv", ["lead_table.py", *words])
    assert lead_table.command() == 0
    assert picture.read_bytes().startswith(b"\x89PNG") and "| -11.6, 7.1 |" in capsys.readouterr().out


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [str(ROOT / "results" / "halfcheetah" / "seed_0"), "--picture", str(tmp_path / "nowhere" / "lead.png")]
    monkeypatch.setattr(sys, "argv", ["lead_table.py", *words])
    with pytest.raises(SystemExit, match=r"^lead_table.py: --picture .*: the folder .* does not exist$"):
        lead_table.command()
