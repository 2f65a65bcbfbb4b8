"""Documents: every link leads somewhere, every page is on the site, lines of prose are short, tables are whole."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import trpo_gail
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import PresetName

ROOT = Path(__file__).parents[1]
sys.path.extend([str(ROOT / "scripts"), str(ROOT / "scripts" / "site")])

import run_documents  # noqa: E402
import stage  # noqa: E402

FOLDERS = ("docs", "results", "expert_data")
PAGES = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """Without code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """What a heading's link is called: lower case, spaces as dashes, no punctuation."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "") for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for groups in LINK.findall(prose(page)):
        target = next(filter(None, groups))
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_short(page: Path) -> None:
    long = [line for line in FENCE.sub("", page.read_text()).splitlines() if len(line) > 120 and "|" not in line]
    assert not [line for line in long if "](" not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_table_has_a_line_for_each_row(page: Path) -> None:
    """Text that was wrapped anew may have joined them, and is then shown as a paragraph."""
    lines = re.sub(r"`[^`\n]*`|\\\|", "", FENCE.sub("", page.read_text())).splitlines()
    for number, line in enumerate(lines):
        if re.search(r"\|\s*:?--+:?\s*\|", line):
            assert re.fullmatch(r"\s*\|(\s*:?-+:?\s*\|)+", line), line
            head, *rows = (lines[place].count("|") for place in (number - 1, number, number + 1))
            assert rows == [head, head], line


def test_every_page_of_the_documents_is_on_the_site() -> None:
    listed = re.findall(r"docs/[\w/]+\.md", (ROOT / "scripts" / "site" / "mkdocs.yml").read_text())
    pages = [*(ROOT / "docs").rglob("*.md"), *(page.with_suffix(".md") for page in (ROOT / "docs").rglob("*.ipynb"))]
    assert sorted(listed) == sorted(str(page.relative_to(ROOT)) for page in pages)


def test_what_pages_of_the_site_link_to_is_on_the_site() -> None:
    """Files: the site's own build, which also warns of them, needs packages that a test may not have."""
    staged = {path.resolve() for path in (*stage.files(), *ROOT.glob("docs/**/*.ipynb"))}
    missing = []
    for page in (path for path in staged if path.suffix == ".md"):
        for groups in LINK.findall(prose(page)):
            target = next(filter(None, groups)).partition("#")[0]
            file = (page.parent / target).resolve()  # an address of the web is no file
            if file.is_file() and file not in staged:
                missing.append((page.name, target))
    assert not missing


def test_what_is_said_of_a_command_is_of_one_that_a_page_has() -> None:
    """Else a command that has changed is run as it is, for hours."""
    rules = tomllib.loads((ROOT / "scripts" / "documents.toml").read_text())
    blocks = [text for page in PAGES for _, text in run_documents.BLOCK.findall(page.read_text())]
    shown = [command for text in blocks for command in run_documents.commands(text)]
    assert [command for command in rules["instead"] if command not in shown] == []
    assert [start for start in rules["not_run"] if not any(one.startswith(start) for one in shown)] == []
    assert [page for part in ("before", "prelude") for page in rules[part] if not (ROOT / page).exists()] == []


def test_a_shortened_comparison_is_evaluated_within_its_steps() -> None:
    short = run_documents.shorter("trpo-gail compare --steps 200000 500000 --eval_every 10000 2000 --seeds 50 51")
    assert short == "trpo-gail compare --steps 4096 4096 --eval_every 4096 2000 --seeds 1"


@pytest.mark.slow
def test_every_column_of_the_metrics_is_explained(tmp_path: Path) -> None:
    few: dict[str, Any] = {"expert": "CartPole-v0", "iterations": 2, "num_envs": 2, "timesteps_per_batch": 128}
    settings: dict[str, tuple[PresetName, dict[str, Any]]] = {
        "paper": ("paper", {"eval_every": 128, "eval_episodes": 1}),
        "ppo": ("default", {"generator": "ppo", "ppo.objective": "kl-penalty", "success": "terminated"}),
        "rests": (
            "default",
            {"discriminator.rest_above": 0.9, "init_policy": "bc", "cloning.iterations": 2, "warmup_iterations": 1},
        ),
        "fem": ("default", {"adversary": "fem"}),
    }
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("metrics.md", "adversaries.md"))
    explained = {re.sub(r"below_\S+", "below_X", name) for name in re.findall(r"`(\w+(?:_-\d)?)`", pages)}
    for name, (preset_name, given) in settings.items():
        config = preset(preset_name, "CartPole-v0", **{"steps": 10_000, "final_episodes": 0, "eval_every": 0} | few)
        trpo_gail.run(changed(config, given), tmp_path / name, quiet=True)
        header = (tmp_path / name / "metrics.csv").read_text().partition("\n")[0].split(",")
        assert {re.sub(r"below_\S+", "below_X", column) for column in header} <= explained, name
