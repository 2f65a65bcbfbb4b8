"""Whose a policy file is: Ho & Ermon's are known by their checksums. The layout alone says nothing of that."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Origin:
    """Where a policy file comes from."""

    file: str  # its name there
    licence: str
    attribution: str


def origin(checksum: str) -> Origin | None:
    """What is known of the file with this SHA-256."""
    table = tomllib.loads(resources.files("trpo_gail.experts.policies").joinpath("known_policies.toml").read_text())
    for source in table.values():
        for file, known in source["files"].items():
            if known == checksum:
                return Origin(file, source["licence"], source["attribution"])
    return None
