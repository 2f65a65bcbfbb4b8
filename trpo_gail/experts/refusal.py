"""What a file or folder is that no format holds, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

from trpo_gail.errors import listed
from trpo_gail.experts.check import FIELDS
from trpo_gail.experts.files import foreign, hdf5, npz, text_tables
from trpo_gail.experts.formats import columns
from trpo_gail.experts.trajectories import CALLED, check_step_marks

_RECORD = "record some with: trpo-gail record ENV --policy {} --episodes N --out FILE.h5"


def why(path: Path) -> str:
    """The reason, to stand behind the path. Raises UserError itself for what only looks like HDF5."""
    return _folder(path) if path.is_dir() else _file(path)


def is_run(path: Path) -> bool:
    """Whether it is a run folder of this project. A folder of demonstrations may have files of the same names."""
    settings = path / "config.json"
    if not settings.is_file() or not (path / "metrics.csv").is_file():
        return False
    try:
        held = json.loads(settings.read_text())["config"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return False
    return isinstance(held, dict) and {"env", "expert"} <= held.keys()


def _folder(path: Path) -> str:
    if is_run(path):
        return f"a run folder, expected demonstrations; {_RECORD.format(path)}"
    if known := foreign.folder(path):
        return known
    inside = sorted(member.name + "/" * member.is_dir() for member in path.iterdir())
    if not inside:
        return "an empty folder"
    return f"a folder of no format that is read, expected one that docs/expert_data.md names; it holds {listed(inside)}"


def _file(path: Path) -> str:
    record = _RECORD.format(path)
    if (policy := foreign.policy(path)) is not None:
        return f"{policy}, expected demonstrations; {record}"
    if (foreign.kind(path) or "").startswith(foreign.NUMPY):
        check_step_marks(npz.names(path), path)
        called = (f"{field} ({', '.join(CALLED[field][1:])})" for field in ("observations", "actions"))
        return f"{foreign.NUMPY} of {listed(npz.names(path))}; expected arrays called {' and '.join(called)}"
    if not hdf5.is_one(path) and foreign.kind(path) is None:
        found = text_tables.almost(path)
        if found is not None and any(map(columns.field, found[0].names or ())):
            return found[1]
        if any(map(columns.field, text_tables.names_alone(path))):
            return text_tables.rows_lacking(path)
        return "of no format that is read; docs/expert_data.md names those that are"
    with hdf5.reading(path) as file:
        if "snapshots" in file:
            return f"a policy file (network snapshots), expected demonstrations; {record}"
        wanted = FIELDS["observations"][1]
        missing = f"dataset 'observations' is missing, expected {wanted}; the file holds {listed(hdf5.members(file))}"
        return foreign.layout(file) or missing
