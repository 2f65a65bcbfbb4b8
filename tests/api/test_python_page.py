"""docs/python.md: its snippets run as they stand, and it names what there is."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import pytest

import trpo_gail

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_snippet_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "expert_data", tmp_path / "expert_data", ignore=lambda *_: ["paper"])
    monkeypatch.chdir(tmp_path)
    code = re.sub(
        r"(learn\([^)]*?)20_000", r"\g<1>2_000", SNIPPETS[number]
    )  # the test is of the words, not of the result
    (tmp_path / f"snippet_{number}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    runpy.run_module(f"snippet_{number}", run_name=f"snippet_{number}", alter_sys=True)


def test_the_page_names_what_is_exported() -> None:
    elsewhere = {
        "CloningConfig",
        "RewardWrapper",
        "VectorRewardWrapper",
        "Workers",
        "clone",
        "load",
        "run",
        "UserError",
    }
    missing = [name for name in trpo_gail.__all__ if name not in elsewhere and f"{name}" not in PAGE]
    assert missing == []
