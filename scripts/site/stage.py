"""Lay out the pages of the site: python scripts/site/stage.py FOLDER

Copies what pages link to, from the same places as in the repository. A notebook becomes a page of its name, with its
pictures beside it; links to it lead there. A formula between $ or $$ is kept from Markdown by
the site's own extension.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "Dockerfile")
FOLDERS = ("docs", "results", "scripts", "examples")
LINKED = (".md", ".png", ".svg", ".csv", ".toml", ".html", ".txt", ".sbatch", ".tex", ".py", ".json", ".jsonl")
SINGLE = ("expert_data/**/*.md", "tests/test_paper_iteration.py", "trpo_gail/**/*.toml", "trpo_gail/**/*.csv")
NOTEBOOK_LINK = re.compile(r"(\]\([^)#\s]+)\.ipynb(#[^)]*)?(?=\))")
MOST = 2 << 20  # bytes of a file that is worth a place on the site


def files() -> list[Path]:
    """Pages, and what they may link to, as they lie in the repository; notebooks are apart."""
    found = [ROOT / name for name in PAGES]
    found += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in LINKED]
    found += [path for pattern in SINGLE for path in ROOT.glob(pattern)]
    return [path for path in found if path.is_file() and path.stat().st_size <= MOST]


def _notebook(path: Path, folder: Path) -> None:
    from nbconvert import MarkdownExporter

    text, resources = MarkdownExporter().from_filename(str(path), {"output_files_dir": f"{path.stem}_files"})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{path.stem}.md").write_text(text)
    for name, data in resources["outputs"].items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def main(out: Path) -> None:
    """Replace the folder by the pages of now."""
    shutil.rmtree(out, ignore_errors=True)
    for path in files():
        place = out / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        if path.suffix == ".md":
            place.write_text(NOTEBOOK_LINK.sub(lambda found: f"{found[1]}.md{found[2] or ''}", path.read_text()))
    for path in ROOT.glob("docs/**/*.ipynb"):
        _notebook(path, out / path.relative_to(ROOT).parent)
    shutil.copyfile(Path(__file__).with_name("style.css"), out / "style.css")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
