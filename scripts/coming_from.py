"""Count the rows of docs/coming_from.md: how many there are, what runs each, and how they answer the list of what the
documents of the five systems name (../shared/reference/coming-from.md, if it is there):

    python scripts/coming_from.py

`tests/api/coming_from.toml` says what runs a row. Ends with status 1 if a row, a test or a line of the list is missing.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "coming_from.md"
RECORD = ROOT / "tests" / "api" / "coming_from.toml"
LIST = ROOT.parent / "shared" / "reference" / "coming-from.md"
RUN = ("tests", "flags", "metrics")  # what has code has one of these


def tables(page: Path) -> Iterator[tuple[str, list[str]]]:
    """(title of its section, cells) of each row of a page's tables, heads left out."""
    title = ""
    for line in page.read_text().splitlines():
        if line.startswith("#"):
            title = line.strip("# ")
        elif line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line):
            cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
            if cells[0] != "theirs":
                yield title, cells


def recorded() -> list[dict[str, Any]]:
    """The rows as `tests/api/coming_from.toml` has them."""
    return tomllib.loads(RECORD.read_text())["rows"]


def listed() -> list[str] | None:
    """What the five systems' documents name, or None if the list is not here."""
    return [cells[0] for _, cells in tables(LIST)] if LIST.exists() else None


def answer(row: dict[str, Any]) -> str:
    """In a word or two, how a row is answered."""
    return "run by a test" if any(row.get(name) for name in RUN) else row["answer"]


def mistakes() -> list[str]:
    """What does not agree, a line each."""
    rows, found = recorded(), list[str]()
    of_page, of_record = set(_named(PAGE)), {(row["system"], row["row"]) for row in rows}
    found += [f"{PAGE.name}: {name} is not in {RECORD.name}" for _, name in sorted(of_page - of_record)]
    found += [f"{RECORD.name}: {name} is not in {PAGE.name}" for _, name in sorted(of_record - of_page)]
    found += [f"no such test: {test}" for row in rows for test in row.get("tests", []) if not _exists(test)]
    names = listed()
    if names is not None:
        answered = Counter(name for row in rows for name in row["listed"])
        found += [f"{LIST.name}: no row answers {name}" for name in names if not answered[name]]
        found += [f"{RECORD.name}: the list has no {name}" for name in answered if name not in names]
    return found


def _named(page: Path) -> Iterator[tuple[str, str]]:
    return ((title, cells[0]) for title, cells in tables(page))


def _exists(test: str) -> bool:
    file, name = test.split("::")
    path = ROOT / "tests" / file
    return path.is_file() and f"\ndef {name}(" in path.read_text()


def main() -> int:
    """Print the counts as Markdown."""
    rows, names = recorded(), listed()
    by_answer = Counter(map(answer, rows))
    print(f"| docs/coming_from.md | rows |\n| --- | --: |\n| all | {len(rows)} |")
    for name, count in by_answer.most_common():
        print(f"| {name} | {count} |")
    if names is None:
        print("\nThe list of the five systems' documents is not here.")
    else:
        of_list = Counter(answer(row) for row in rows for _ in row["listed"])
        told = ", ".join(f"{name} {count}" for name, count in of_list.most_common())
        print(f"\nThe list has {len(names)} rows; they are answered by rows of the page: {told}.")
    for line in (found := mistakes()):
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
