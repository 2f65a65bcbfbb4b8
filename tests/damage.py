"""What disks, editors, copies and kills do to files: used on run folders and on results, with a generator of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Rng = np.random.Generator
Damage = Callable[[Path, Rng], None]


def truncate(file: Path, rng: Rng) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: rng.integers(len(content))])


def flip(file: Path, rng: Rng) -> None:
    """Up to four bits."""
    content = bytearray(file.read_bytes())
    for _ in range(rng.integers(1, 5)):
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    file.write_bytes(content)


def overwrite(file: Path, rng: Rng) -> None:
    """A stretch by bytes of any kind, as where another file's block came instead."""
    content = bytearray(file.read_bytes())
    at, size = rng.integers(len(content)), rng.integers(1, 600)
    content[at : at + size] = rng.bytes(int(size))
    file.write_bytes(content)


def delete(file: Path, rng: Rng) -> None:
    file.unlink()


def empty(file: Path, rng: Rng) -> None:
    file.write_bytes(b"")


def folder(file: Path, rng: Rng) -> None:
    file.unlink()
    file.mkdir()


def not_utf8(file: Path, rng: Rng) -> None:
    file.write_bytes(b"\xff\xfe" + file.read_bytes())


ANY_FILE: list[Damage] = [truncate, flip, flip, overwrite, delete, empty, folder, not_utf8]

VALUES = [None, True, -1, 3, 2.5, float("nan"), 1e300, "", "many", [], [1, "x"], {}, {"a": 1}]


def retype(file: Path, rng: Rng) -> None:
    """Another value anywhere in a JSON file."""
    content = json.loads(file.read_text())
    places = list(_places(content))
    holder, key = places[rng.integers(len(places))]
    holder[key] = VALUES[rng.integers(len(VALUES))]
    file.write_text(json.dumps(content))


def forget(file: Path, rng: Rng) -> None:
    """A key of a JSON file is missing."""
    content = json.loads(file.read_text())
    places = [(holder, key) for holder, key in _places(content) if isinstance(holder, dict)]
    holder, key = places[rng.integers(len(places))]
    del holder[key]
    file.write_text(json.dumps(content))


def no_object(file: Path, rng: Rng) -> None:
    file.write_text(["[]", "null", "3", '"text"', "[" * 100_000][rng.integers(5)])


def _places(node: Any) -> Any:
    """Every (holder, key) of a JSON tree."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


JSON: list[Damage] = [*ANY_FILE, retype, retype, retype, forget, no_object]


def other_columns(file: Path, rng: Rng) -> None:
    lines = file.read_text().splitlines()
    names = lines[0].split(",")
    at = rng.integers(len(names))
    changed = [["a", "b"], [], ["x", *names], names[:at] + names[at + 1 :], [*names[:at], "x", *names[at + 1 :]]]
    lines[0] = ",".join(changed[rng.integers(len(changed))])
    file.write_text("\n".join(lines) + "\n")


def other_cells(file: Path, rng: Rng) -> None:
    lines = [line.split(",") for line in file.read_text().splitlines()]
    for _ in range(3):
        row = lines[rng.integers(1, len(lines))]
        at = rng.integers(rng.choice([3, len(row)]))  # the first are counters
        row[at] = ["x", "", "nan", "-7", "1e400", "2.5"][rng.integers(6)]
    file.write_text("\n".join(map(",".join, lines)) + "\n")


def other_rows(file: Path, rng: Rng) -> None:
    """One twice, one missing, or in another order."""
    head, *lines = file.read_text().splitlines()
    at = rng.integers(len(lines))
    changed = [[*lines, lines[at]], lines[:at] + lines[at + 1 :], list(rng.permutation(lines))][rng.integers(3)]
    file.write_text("\n".join([head, *changed]) + "\n")


CSV: list[Damage] = [*ANY_FILE, other_columns, other_cells, other_cells, other_rows]


def other_content(file: Path, rng: Rng) -> None:
    """A file of torch that is no checkpoint, or none of ours."""
    torch.save([{}, [], {"format": 1}, {"format": 99, "learner": {}}, torch.ones(3)][rng.integers(5)], file)


CHECKPOINT: list[Damage] = [*ANY_FILE, flip, overwrite, other_content]


def damage_run(run: Path, rng: Rng) -> tuple[Path, str]:
    """One file of a run folder, in one way; which and how."""
    checkpoints = sorted((run / "checkpoints").glob("*.pt"))
    kinds = {
        run / "config.json": JSON, run / "summary.json": JSON, run / "metrics.csv": CSV,
        checkpoints[-1]: CHECKPOINT, checkpoints[rng.integers(len(checkpoints))]: CHECKPOINT,
        next(run.glob("events.*"), run / "learning_curve.png"): ANY_FILE, run / "learning_curve.png": ANY_FILE,
    }  # fmt: skip
    share = np.array([4, 3, 4, 3, 2, 0.5, 0.5])[: len(kinds)]
    file = list(kinds)[rng.choice(len(kinds), p=share / share.sum())]
    how = kinds[file][rng.integers(len(kinds[file]))]
    how(file, rng)
    return file, how.__name__


def copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))
