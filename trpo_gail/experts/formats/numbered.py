"""Files of a folder in the order of the numbers in their names: 10 comes behind 9."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def ordered(files: Iterable[Path]) -> list[Path]:
    """By their names, in which numbers count as numbers."""
    return sorted(files, key=lambda file: [(part.isdecimal(), _number(part), part) for part in _parts(file.name)])


def _parts(name: str) -> list[str]:
    return re.split(r"([0-9]{1,18})", name)


def _number(part: str) -> int:
    return int(part) if part.isdecimal() and part.isascii() else 0
