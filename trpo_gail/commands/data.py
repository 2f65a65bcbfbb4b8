"""`trpo-gail data`: inspect and check files of demonstrations, make other files from them, and fetch those of the
repository."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from trpo_gail.commands import overview
from trpo_gail.commands.parsing import HELP, by_rank_0, parse, print_table
from trpo_gail.config.marks import AtLeast, Positional
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import kept_for_json, warn

if TYPE_CHECKING:
    from trpo_gail.experts.data import Demonstrations
    from trpo_gail.experts.facts import Ends
    from trpo_gail.parallel import Workers

_FORMATS = """FILE and IN hold demonstrations: HDF5 of this package, of D4RL, Minari and robomimic; files of Stable-Baselines,
imitation, Tianshou and LeRobot; arrays (.npz, .npy), tables (CSV, Parquet), JSON, pickles and others. The page
docs/expert_data.md of the repository describes all of them."""


@dataclass(frozen=True)
class _File:
    file: Annotated[str, Positional("FILE")]
    """File or folder of demonstrations of any format that is read, or a name of `trpo-gail data list`."""


@dataclass(frozen=True)
class _Source:
    source: Annotated[str, Positional("IN")]
    """File or folder of demonstrations of any format that is read, or a name of `trpo-gail data list`."""


@dataclass(frozen=True)
class _ValidateArguments(_File):
    env: str | None = None
    """Environment to compare with: its spaces, how episodes begin, replayed steps if its state can be set, and the return
    of random actions."""
    env_kwargs: str = "{}"
    """Arguments of the environment, as a JSON object."""
    json: bool = False
    """Print JSON in place of text."""


@dataclass(frozen=True)
class _ConvertArguments(_Source):
    out: Annotated[str, Positional("OUT")]
    """File to write; it must not exist."""
    to: str = "native"
    """Format to write: native, paper, d4rl, minari, stable_baselines or datasets_folder."""


@dataclass(frozen=True)
class _MergeArguments:
    out: Annotated[str, Positional("OUT")]
    """File to write, in the native format; it must not exist."""
    sources: Annotated[tuple[str, ...], Positional("IN ...")]
    """Files or folders of demonstrations, or names of `trpo-gail data list`, whose episodes are put together, in this
    order."""


@dataclass(frozen=True)
class _HeadArguments(_File):
    rows: Annotated[int, AtLeast(1)] = 10
    """Number of rows to print."""


@dataclass(frozen=True)
class _SelectArguments(_Source):
    out: Annotated[str, Positional("OUT")]
    """File to write, in the native format; it must not exist."""
    min_return: float | None = None
    """Keep episodes that return at least this."""
    max_return: float | None = None
    """Keep episodes that return at most this."""
    min_length: int | None = None
    """Keep episodes of at least this many steps."""
    max_length: int | None = None
    """Keep episodes of at most this many steps."""
    episodes: tuple[int, ...] = ()
    """Keep these episodes, by their numbers from 0. Without the flag, all are kept that the other flags accept."""


@dataclass(frozen=True)
class _FetchArguments:
    names: Annotated[tuple[str, ...], Positional("NAME ...")]
    """Names of `trpo-gail data list`."""
    from_: str | None = None
    """Folder or URL that holds the files, such as expert_data of a copy of the repository; None takes the address in the
    package's metadata. This version has no such address, so the flag is required."""
    to: str = "expert_data"
    """Folder for the files."""


@dataclass(frozen=True)
class _ListArguments:
    pass


@dataclass(frozen=True)
class _PlotArguments(_File):
    out: Annotated[str, Positional("OUT.png")]
    """Picture to write: histograms of returns, lengths and actions."""


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Find the subcommand and run it."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in _WORK:
        given: Any = parse(_WORK[name][0], rest, f"data {name}")
        return by_rank_0(workers, lambda: _WORK[name][1](given)) or 0
    if HELP & set(arguments):
        print(f"{overview('data')}\n\n{_FORMATS}")
        return 0
    found = f"unknown subcommand {name!r}" if name else "no subcommand given"
    raise UserError(f"data: {found}; there are {', '.join(_WORK)} (trpo-gail data --help)")


def print_info(path: str) -> Ends | None:
    """Print a file of demonstrations as a table, with its warnings. Returns how its episodes end, if it says so."""
    from dataclasses import replace

    from trpo_gail.experts import catalogue, describe, load
    from trpo_gail.experts.checks import cautions
    from trpo_gail.experts.files import hdf5
    from trpo_gail.experts.outline import outline

    held = outline(load.pieces(path))
    held.last = replace(held.last, sha256=hdf5.sha256(catalogue.located(path)))
    print_table(describe.info(held))
    for warning in cautions.of_file(held):
        warn(warning)
    return held.ends


def _info(given: _File) -> None:
    print_info(given.file)


def _validate(given: _ValidateArguments) -> int:
    """Print the findings; returns 2 if there are errors."""
    from trpo_gail.experts import load
    from trpo_gail.experts.checks import validate

    try:
        held = load.read(given.file)
        found = validate.findings(held)
        if given.env is not None:
            from trpo_gail.runs import validation

            kwargs = Config("", env_kwargs=given.env_kwargs).env_arguments
            with kept_for_json(given.json):
                found += validation.against(held, given.env, kwargs)
    except (UserError, OSError) as error:
        if given.json:  # for a program, which gets a report of every file
            print(json.dumps(validate.refused(given.file, str(error)), indent=2))
        raise
    report = validate.as_json(held, found)
    if given.json:
        print(json.dumps(report, indent=2))
    else:
        print_table([("file", held.path), ("format", held.format), *((f.level, f.text) for f in found)])
        print("valid" if report["valid"] else "not valid")
    return 0 if report["valid"] else 2


def _convert(given: _ConvertArguments) -> None:
    from trpo_gail.experts import load

    _save(given.out, load.pieces(given.source), given.to)


def _merge(given: _MergeArguments) -> None:
    from trpo_gail.experts import editing, load

    if not given.sources:
        raise UserError("data merge: no IN given, at least 1 expected (trpo-gail data merge --help)")
    _save(given.out, editing.merged([partial(load.pieces, source) for source in given.sources]), merged=True)


def _select(given: _SelectArguments) -> None:
    from trpo_gail.experts import editing, load

    returns, lengths = (given.min_return, given.max_return), (given.min_length, given.max_length)
    _save(given.out, editing.selected(load.pieces(given.source), returns, lengths, given.episodes))


def _head(given: _HeadArguments) -> None:
    from trpo_gail.experts import load, structured

    rows: list[list[str]] = []
    episodes = 0
    for held in load.pieces(given.file):
        columns: list[tuple[str, Any]] = [("episode", held.episode_of + episodes), ("step", held.steps)]
        columns += [(name or "observation", part) for name, part in structured.parts(held.observations)]
        columns += [("action", held.actions)]
        columns += [("reward", held.rewards)] if held.rewards is not None else []
        rows = rows or [[name for name, _ in columns] + ["end"]]
        for row in range(min(given.rows - len(rows) + 1, len(held.steps))):
            end = "terminal" if held.terminals[row] else "time limit" if held.timeouts[row] else ""
            rows.append([_cell(values[row]) for _, values in columns] + [end])
        episodes += held.trajectories
        if len(rows) > given.rows:
            break
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    """A number, or the first of several."""
    numbers = getattr(value, "reshape", lambda _: [value])(-1)
    said = " ".join(f"{number:.4g}" for number in numbers[:8])
    return f"{said} ..." if len(numbers) > 8 else said


def _plot(given: _PlotArguments) -> None:
    from trpo_gail.experts import load
    from trpo_gail.reports.data_plots import histograms

    if Path(given.out).suffix.lower() != ".png":
        raise UserError(f"{given.out}: a name that ends in .png expected, since a file of this name is overwritten")
    picture = histograms(load.read(given.file))
    try:
        whole_file.write(Path(given.out), picture)
    except OSError as error:
        raise UserError(f"{given.out}: cannot be written: {error.strerror}") from error
    print(f"picture  {given.out}")


def _fetch(given: _FetchArguments) -> None:
    from trpo_gail.experts.fetching import fetch

    if not given.names:
        raise UserError("data fetch: no NAME given, at least 1 expected (trpo-gail data list names them)")
    for file, done in fetch(given.names, given.from_, Path(given.to)):
        print(f"{file}  {done}", flush=True)


def _list(_: _ListArguments) -> None:
    from trpo_gail.experts import catalogue

    for name, file in catalogue.repository().items():
        here = catalogue.bundled().get(name)
        own = f"{here['episodes']} episodes by --expert {name}" if here else ""
        print(f"{name:<24} data fetch: {file['bytes'] / 1e6:5.2f} MB   {own}".rstrip())


def _save(out: str, pieces: Iterator[Demonstrations], to: str = "native", merged: bool = False) -> None:
    """Write them, print what the new file holds, and warn of what its readers noted, which the file does not say."""
    from trpo_gail.experts.save import check_ending, writer

    notes, writing, path, unsaid = dict[str, None](), writer(to), _new(out), False
    check_ending(path, to)
    with writing(path) as append:
        for piece in pieces:
            unsaid |= piece.ends is None
            notes |= dict.fromkeys(note if merged else f"{piece.path}: {note}" for note in piece.notes)
            append(piece)
    if (ends := print_info(out)) and unsaid:  # as the layouts of some libraries must
        notes[
            f"{out}: says of each episode how it ends, which its source does not: {ends.terminal} by termination, "
            f"{ends.limit} by time limit"
        ] = None
    for note in notes:
        warn(note)


def _new(out: str) -> Path:
    path = whole_file.named("OUT", out)
    if os.path.lexists(path):  # also a link that leads nowhere, behind which a file would appear
        raise UserError(f"{out}: exists; remove it or choose another name")
    return path


_WORK: dict[str, tuple[type, Callable[[Any], int | None]]] = {
    "info": (_File, _info),
    "validate": (_ValidateArguments, _validate),
    "convert": (_ConvertArguments, _convert),
    "merge": (_MergeArguments, _merge),
    "head": (_HeadArguments, _head),
    "select": (_SelectArguments, _select),
    "plot": (_PlotArguments, _plot),
    "list": (_ListArguments, _list),
    "fetch": (_FetchArguments, _fetch),
}
FLAGS = {f"data {name}": cls for name, (cls, _) in _WORK.items()}
