"""The small file that stays of a finished run: JSON with one field a line, written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any, TypeVar

from trpo_gail.errors import UserError
from trpo_gail.runs import read_json

T = TypeVar("T")


def finished(run: Path) -> bool:
    """Whether a run folder's training came to its own end: only then is the last policy evaluated."""
    file = run / "summary.json"
    return file.is_file() and read_json(file).get("return_mean") is not None


def write_fields(file: Path, result: Any) -> None:
    """Write a dataclass, atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in dataclasses.asdict(result).items()]
    part = file.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    os.replace(part, file)


def from_fields(cls: type[T], raw: dict[str, Any], file: Path) -> T:
    """A flat dataclass of what was read from a file. Raises UserError unless it has exactly its fields."""
    fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if wrong := fields ^ set(raw):
        raise UserError(f"{file}: fields missing or unknown: {', '.join(sorted(wrong))}")
    return cls(**raw)


def is_finite(value: object) -> bool:
    """Whether what a file holds is a number that can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def rounded(value: float | None, digits: int) -> float | None:
    """As `round`, None as it is."""
    return None if value is None else round(value, digits)
