"""Results of cells: a file each, or packed; damage is named, and packing loses nothing."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from disk import full_disk

from trpo_gail.errors import UserError
from trpo_gail.studies import store
from trpo_gail.studies.store import Record


@dataclass
class Result:
    number: float
    words: list[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three cells: `a` packed, `b` in a file of its own, `c` in both."""
    for cell, number in (("a", 0.1), ("c", 1e300)):
        store.write(tmp_path, cell, Result(number, ["packed", "é"]))
    store.pack(tmp_path, ["a", "c"])
    for cell in "bc":
        store.write(tmp_path, cell, Result(1 / 3, []))
    return tmp_path


def values(folder: Path) -> dict[str, object]:
    return {record.cell: record.values for record in store.read_all(folder)}


def test_both_are_read_and_a_cells_own_file_counts_for_more(folder: Path) -> None:
    own = {"number": 1 / 3, "words": []}
    assert values(folder) == {"a": {"number": 0.1, "words": ["packed", "é"]}, "b": own, "c": own}
    for cell in "abc":
        record = store.find(folder, cell)
        assert record and record.values == values(folder)[cell]
    assert store.find(folder, "d") is None
    assert [r.source for r in store.read_all(folder)][:2] == [f"{folder}/cells.jsonl, line 1", f"{folder}/cells/b.json"]


def test_packing_changes_no_result(folder: Path) -> None:
    before = values(folder)
    assert store.pack(folder, "abc") == f"{folder}/cells.jsonl: 3 results, 2 of them packed now"
    assert values(folder) == before and [file.name for file in folder.iterdir()] == ["cells.jsonl"]
    content = (folder / "cells.jsonl").read_bytes()
    assert store.pack(folder, "abc") == f"{folder}/cells.jsonl: 3 results, 0 of them packed now"
    assert (folder / "cells.jsonl").read_bytes() == content
    lines = [json.loads(line) for line in content.splitlines()]
    assert [line["cell"] for line in lines] == ["a", "b", "c"] and lines[1]["number"] == 1 / 3


def test_only_the_cells_that_are_named_are_packed(folder: Path) -> None:
    assert store.pack(folder, ["b", "d"]) == f"{folder}/cells.jsonl: 3 results, 1 of them packed now"
    assert [file.name for file in (folder / "cells").iterdir()] == ["c.json"]


def test_an_empty_folder(tmp_path: Path) -> None:
    assert store.read_all(tmp_path) == [] and store.find(tmp_path, "a") is None
    store.pack(tmp_path, ["a"])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_nothing(folder: Path) -> None:
    before = values(folder)
    with full_disk(), pytest.raises(OSError, match="No space left"):
        store.pack(folder, "abc")
    assert values(folder) == before and len(list((folder / "cells").iterdir())) == 2


def test_a_result_that_comes_while_packing_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def meanwhile(part: Path, path: Path) -> None:
        replace(part, path)
        if path.name == store.PACKED:
            store.write(folder, "b", Result(2.0, []))

    monkeypatch.setattr(os, "replace", meanwhile)
    store.pack(folder, "abc")
    assert values(folder)["b"] == {"number": 2.0, "words": []}
    assert [file.name for file in (folder / "cells").iterdir()] == ["b.json"]


def test_who_packs_at_once_loses_nothing(tmp_path: Path) -> None:
    names = [f"cell{k}" for k in range(40)]
    for name in names:
        store.write(tmp_path, name, Result(0.5, [name]))
    packing = [Thread(target=lambda k=k: store.pack(tmp_path, names[10 * k : 10 * k + 10])) for k in range(4)]
    for thread in packing:
        thread.start()
    for thread in packing:
        thread.join()
    assert list(values(tmp_path)) == sorted(names) and [file.name for file in tmp_path.iterdir()] == [store.PACKED]


def test_a_packed_file_that_changed_is_read_anew(folder: Path) -> None:
    file = folder / "cells.jsonl"
    assert store.find(folder, "a")
    file.write_bytes(file.read_bytes().replace(b'"a"', b'"e"'))
    assert store.find(folder, "a") is None
    assert store.find(folder, "e") == Record("e", f"{file}, line 1", {"number": 0.1, "words": ["packed", "é"]})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"cell": "x", "number', "not readable as JSON"),
        (b"\xff", "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
        (b"[]", "an object expected, found []"),
        (b'{"number": 1}', "field 'cell': a text expected, found None"),
        (b'{"cell": 3}', "field 'cell': a text expected, found 3"),
        (b'{"cell": "a"}', "cell a has another line already"),
    ],
)
def test_a_damaged_line_is_named(folder: Path, line: bytes, says: str) -> None:
    file = folder / "cells.jsonl"
    file.write_bytes(file.read_bytes() + b"\n" + line)
    for read in (lambda: store.read_all(folder), lambda: store.find(folder, "a"), lambda: store.pack(folder, "b")):
        with pytest.raises(UserError, match=f"^{re.escape(f'{file}, line 4: {says}')}"):
            read()
    assert store.path(folder, "b").exists()
