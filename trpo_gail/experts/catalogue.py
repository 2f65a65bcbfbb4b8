"""Demonstrations by name: those that come with the package, and those of the repository, which can be fetched."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError, listed

_TABLE, _FOLDER = Path(__file__).with_name("catalogue.toml"), Path(__file__).with_name("bundled")


@cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    return tomllib.loads(_TABLE.read_text())


def repository() -> dict[str, dict[str, Any]]:
    """By name, the size in bytes and the SHA-256 of each file of the repository."""
    return _table()["repository"]


def bundled() -> dict[str, dict[str, Any]]:
    """By name, the number of episodes and the SHA-256 of each file that comes with the package."""
    return _table()["bundled"]


def located(source: str | Path) -> Path:
    """The file or folder that a user means: one that is there, or else the one of this name that comes with the package.

    What is neither is given back as it is: whoever reads it says so (`missing`).
    """
    path = Path(source)
    return _FOLDER / f"{path}.h5" if str(path) in bundled() and not path.exists() else path


def require(source: str | Path) -> None:
    """Raise UserError for a source that is not there, which says where such demonstrations are, if it is known."""
    path = Path(source)
    if path.exists() or path.is_symlink():
        return
    raise UserError(f"{path}: no such file{advice(path)}")


def advice(path: Path) -> str:
    """Where the demonstrations are that a path looks like, to be added to an error; "" if it looks like no known ones."""
    name = known_as(path)
    if name in bundled():
        return f"; {name} alone names {bundled()[name]['episodes']} episodes that come with the package" + (
            f", and {_fetched(name)} all"
        )
    if name in repository():
        return f"; {_fetched(name)} it"
    if not path.suffix and path.name == str(path):
        return f", and no demonstrations of this name come with the package, which has {listed(bundled())}"
    return ""


def _fetched(name: str) -> str:
    return f"`trpo-gail data fetch {name} --from DIR`, with the folder expert_data of a copy of the repository, gets"


def known_as(path: Path) -> str:
    """The name of the repository's file that a path looks like: paper/Hopper-v1 of expert_data/paper/Hopper-v1.h5."""
    name = path.stem if path.suffix == ".h5" else path.name
    within = f"{path.parent.name}/{name}"
    return within if within in repository() else name
