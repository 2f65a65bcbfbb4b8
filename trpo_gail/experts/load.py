"""Demonstrations from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError, listed
from trpo_gail.experts import arrays, catalogue, file_folders
from trpo_gail.experts.check import FIELDS, checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import damage, foreign, hdf5, npz
from trpo_gail.experts.formats import FORMATS, Format
from trpo_gail.experts.trajectories import CALLED
from trpo_gail.system import whole_file


def load(
    source: str | Path | Demonstrations | Mapping[str, Any], trajectories: int | None = None, subsample: int = 1
) -> Demonstrations:
    """The first `trajectories` (default: all) of a source, every `subsample`-th row from an offset, as in the paper.

    A source is a file or folder of one of `formats.FORMATS`, told apart by its content; the name of one that comes with
    the package (`catalogue`); demonstrations; or arrays by the names of their fields (`arrays.demonstrations`). Raises
    UserError, naming file, field and what was expected, for a file that is missing, damaged or malformed, for more
    trajectories than it holds, and for subsampling what was subsampled before.
    """
    if isinstance(source, Mapping):
        held = arrays.demonstrations(source)
        return replace(checked(held, "arrays"), path="arrays").select(trajectories, subsample)
    if isinstance(source, Demonstrations):
        name = source.path or "demonstrations"
        return replace(checked(source, name), path=name).select(trajectories, subsample)
    return read(whole_file.named("demonstrations", source, "file or folder")).select(trajectories, subsample)


def read(path: str | Path) -> Demonstrations:
    """Everything that a file holds, checked. Raises UserError as `load` does."""
    path = catalogue.located(whole_file.named("demonstrations", path, "file or folder"))
    form = _format(path)
    with damage.told(form.NAME, path):
        held = checked(form.read(Path(path)), path)
    return replace(held, path=str(path), sha256=hdf5.sha256(path), format=form.NAME)


def pieces(path: str | Path) -> Iterator[Demonstrations]:
    """The same in pieces of whole episodes, for whoever need not hold all; at once if the format is not read in pieces.

    A piece's `unfinished` is of its own last episode. Raises UserError when a piece is malformed, after those before it.
    """
    path = catalogue.located(whole_file.named("demonstrations", path, "file or folder"))
    form: Any = _format(path)
    rows = 0
    with damage.told(form.NAME, path):
        made = form.pieces(Path(path)) if hasattr(form, "pieces") else iter([form.read(Path(path))])
    while True:
        with damage.told(form.NAME, path):
            if (piece := next(made, None)) is None:
                return
            piece = replace(checked(piece, path, rows), path=str(path), format=form.NAME)
        yield piece
        rows += len(piece.observations)


def _format(path: str | Path) -> Format:
    catalogue.require(path)
    if not Path(path).is_dir():
        hdf5.require_file(path)
    form = next((form for form in (*FORMATS, file_folders) if form.holds(Path(path))), None)
    if form is None:
        raise UserError(f"{path}: {_refusal(path)}")
    return form


def _refusal(path: str | Path) -> str:
    """What a file is that no format holds, and what to do. Raises UserError itself if it is no HDF5 file."""
    if Path(path).is_dir():
        if known := foreign.folder(Path(path)):
            return known
        inside = listed(sorted(member.name for member in Path(path).iterdir()))
        return f"a folder of no format that is read, expected one that docs/expert_data.md names; it holds {inside}"
    record = f"record some with: trpo-gail record ENV --policy {path} --episodes N --out FILE.h5"
    if (policy := foreign.policy(path)) is not None:
        return f"{policy}, expected demonstrations; {record}"
    if (foreign.kind(path) or "").startswith(foreign.NUMPY):
        called = (f"{field} ({', '.join(CALLED[field][1:])})" for field in ("observations", "actions"))
        return f"{foreign.NUMPY} of {listed(npz.names(Path(path)))}; expected arrays called {' and '.join(called)}"
    if not hdf5.is_one(path) and foreign.kind(path) is None:
        return "of no format that is read; docs/expert_data.md names those that are"
    with hdf5.reading(path) as file:
        if "snapshots" in file:
            return f"a policy file (network snapshots), expected demonstrations; {record}"
        wanted = FIELDS["observations"][1]
        missing = f"dataset 'observations' is missing, expected {wanted}; the file holds {listed(hdf5.members(file))}"
        return foreign.layout(file) or missing
