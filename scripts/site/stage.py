"""Lay out the pages of the site: python scripts/site/stage.py FOLDER

Copies what pages link to, from the same places as in the repository. A formula between $ or $$ is kept from Markdown by
the site's own extension.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "Dockerfile")
FOLDERS = ("docs", "results", "scripts/slurm", "examples")
LINKED = (".md", ".png", ".svg", ".csv", ".toml", ".html", ".txt", ".sbatch", ".tex", ".py", ".json", ".jsonl")
SINGLE = ("expert_data/**/*.md", "tests/test_paper_iteration.py", "trpo_gail/**/*.toml", "trpo_gail/**/*.csv")
MOST = 2 << 20  # bytes of a file that is worth a place on the site


def main(out: Path) -> None:
    """Replace the folder by the pages of now."""
    shutil.rmtree(out, ignore_errors=True)
    files = [ROOT / name for name in PAGES]
    files += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in LINKED]
    files += [path for pattern in SINGLE for path in ROOT.glob(pattern)]
    for path in files:
        if path.is_file() and path.stat().st_size <= MOST:
            place = out / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    shutil.copyfile(Path(__file__).with_name("style.css"), out / "style.css")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
