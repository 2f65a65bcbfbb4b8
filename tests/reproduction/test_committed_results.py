"""The table in `results/paper` and the lines of it in the documents are what the committed results come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from trpo_gail.cli import main

ROOT = Path(__file__).parents[2]


def table(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["paper", "table", "--results", str(ROOT / "results" / "paper"), *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("kind", "name"), [("md", "table.md"), ("csv", "table.csv"), ("latex", "table.tex")])
def test_the_committed_table(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    committed = (ROOT / "results" / "paper" / name).read_text()
    assert committed == table(capsys, "--format", kind), "run scripts/paper_results.sh"


def test_the_rows_in_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "reproduction.md").read_text()
    section = page.split("## GAIL, ours beside the paper's")[1].split("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| ")]
    assert shown == [
        line for line in table(capsys, "--algorithm", "gail", "--measured").splitlines() if line[:2] == "| "
    ]
