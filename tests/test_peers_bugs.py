"""The page of other libraries' faults names tests that exist, for every fault."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "results" / "adversaries" / "peers_bugs.md").read_text()
NAMED = re.findall(r"tests/[a-z0-9_/]*\.py::test_[a-z0-9_]*", PAGE)
FAULTS = re.split(r"^(?=\d+\. )", PAGE, flags=re.MULTILINE)[1:]


@cache
def functions(path: str) -> set[str]:
    return {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_it_exists(name: str) -> None:
    path, function = name.split("::")
    assert function in functions(path)


def test_every_fault_has_a_test_or_a_reason() -> None:
    numbers = [int(fault.split(".")[0]) for fault in FAULTS]
    assert numbers == [*range(1, len(FAULTS) + 1)] and len(FAULTS) > 50
    for fault in FAULTS:
        assert re.search(r"- `tests/", fault) or "Cannot apply: " in fault, fault
