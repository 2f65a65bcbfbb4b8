"""`trpo-gail paper`: the paper's experiments."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trpo_gail.commands import overview
from trpo_gail.commands.parsing import alone, file_errors, parse
from trpo_gail.errors import UserError
from trpo_gail.studies.reproduction.grid import Cell, Places, Selection, command, load_grid, parse_shard, select
from trpo_gail.system import whole_file

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers
    from trpo_gail.studies.reproduction.results import Result
    from trpo_gail.studies.reproduction.table import Row, Scale


@dataclass(frozen=True)
class _Rows:
    """Flags that choose rows of the grid; without a flag, all its values are chosen."""

    task: tuple[str, ...] = ()
    """Any of the tasks cartpole, acrobot, mountaincar, reacher, halfcheetah, hopper, walker, ant and humanoid; without the
    flag, all of them."""
    algorithm: tuple[str, ...] = ()
    """Any of the algorithms bc, fem, gtal, gail, gail_ent1e-3, gail_ent1e-2 and gail_ent1e-1 (gail with a causal entropy
    bonus, on reacher), and constant (the control without demonstrations); without the flag, all of them."""


@dataclass(frozen=True)
class _Cells(_Rows):
    """Flags that choose cells of the grid."""

    trajectories: tuple[int, ...] = ()
    """Numbers of demonstrated trajectories, of which 0 is the control without demonstrations; without the flag, all of the
    grid's."""
    seeds: tuple[int, ...] = ()
    """Seeds, which need not be in the grid; without the flag, the grid's own."""
    shard: str | None = None
    """Take the i-th of n parts of the cells (i/n), to split a grid over a cluster; None takes all cells."""
    expert_data: str = "expert_data/paper"
    """Folder of the demonstrations."""
    runs: str = "runs/paper"
    """Folder of the cells' run folders and logs."""
    results: str = "results/paper"
    """Folder of the finished cells' results."""

    def cells(self) -> list[Cell]:
        """The chosen cells. Raises UserError for a value that is not in the grid."""
        shard = (1, 1) if self.shard is None else parse_shard(self.shard)
        return select(load_grid(), Selection(self.task, self.algorithm, self.trajectories, self.seeds, shard))

    def places(self) -> Places:
        return Places(Path(self.expert_data), Path(self.runs), Path(self.results))


@dataclass(frozen=True)
class _ListArguments(_Cells):
    commands: bool = False
    """Print the command line that runs each cell by hand."""


@dataclass(frozen=True)
class _RunArguments(_Cells):
    jobs: int | None = None
    """Number of cells that run at once; None starts as many as the cores have room for."""
    ranks: int = 1
    """Ranks of each cell; mpirun starts a cell that has more than one."""


@dataclass(frozen=True)
class _TableArguments(_Rows):
    measured: bool = False
    """Print only the cells that have results."""
    results: str = "results/paper"
    """Folder of the finished cells' results."""
    format: Literal["md", "csv", "latex"] = "md"
    """Markdown (md), CSV, or LaTeX with booktabs."""
    out: str | None = None
    """File to write; None prints the table."""


@dataclass(frozen=True)
class _PackArguments:
    results: str = "results/paper"
    """Folder of the finished cells' results."""


@dataclass(frozen=True)
class _FigureArguments:
    results: str = "results/paper"
    """Folder of the finished cells' results."""
    out: str | None = None
    """PNG file to write; None writes figure1.png into the folder of results."""


FLAGS: dict[str, type] = {
    "paper list": _ListArguments,
    "paper run": _RunArguments,
    "paper status": _Cells,
    "paper table": _TableArguments,
    "paper figure": _FigureArguments,
    "paper pack": _PackArguments,
}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Find the subcommand."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "list": _list, "run": _run, "status": _status, "table": _table, "figure": _figure, "pack": _pack,
    }  # fmt: skip
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview("paper"))
        return 0
    if arguments[0] not in commands:
        raise UserError(f"paper: unknown subcommand {arguments[0]!r}; there are {', '.join(commands)}")
    with file_errors():
        return commands[arguments[0]](arguments[1:])


def _list(arguments: list[str]) -> int:
    given = parse(_ListArguments, arguments, "paper list")
    for cell in given.cells():
        words = ["trpo-gail", *command(load_grid(), cell, given.places())]
        print(shlex.join(words) if given.commands else cell.name)
    return 0


def _run(arguments: list[str]) -> int:
    given = parse(_RunArguments, arguments, "paper run")
    alone("paper run")
    from trpo_gail.studies.reproduction.experiment import GridExperiment
    from trpo_gail.studies.runner import Runner

    experiment = GridExperiment(load_grid(), given.places())
    outcome = Runner(experiment, given.cells(), given.jobs, given.ranks).run()
    print(outcome)
    return outcome.exit_code


def _status(arguments: list[str]) -> int:
    given = parse(_Cells, arguments, "paper status")
    from trpo_gail.studies.reproduction.status import status

    print(status(load_grid(), given.cells(), given.places()))
    return 0


def _table(arguments: list[str]) -> int:
    given = parse(_TableArguments, arguments, "paper table")
    from trpo_gail.studies.reproduction.formats import FORMATS

    grid = load_grid()
    wanted = {cell.group for cell in select(grid, Selection(given.task, given.algorithm))}
    rows, _ = _rows(Path(given.results))
    shown = [row for row in rows if row.group in wanted and (row.ours or not given.measured)]
    text = FORMATS[given.format](rows, grid, shown)
    if given.out is None:
        print(text, end="")
    else:
        whole_file.write(_in_a_folder(given.out), text.encode())
        print(given.out)
    return 0


def _figure(arguments: list[str]) -> int:
    given = parse(_FigureArguments, arguments, "paper figure")
    from trpo_gail.studies.reproduction.figure import paper_figure

    path = _in_a_folder(given.out) if given.out else Path(given.results, "figure1.png")
    if path.suffix.lower() != ".png":
        raise UserError(f"--out {path}: FILE.png expected")
    rows, scales = _rows(Path(given.results))
    paper_figure(load_grid(), rows, scales, path)
    print(path)
    return 0


def _in_a_folder(out: str) -> Path:
    """The file that --out names. Raises UserError if it cannot be written."""
    path = Path(out)
    whole_file.check("--out", path)
    return path


def _pack(arguments: list[str]) -> int:
    given = parse(_PackArguments, arguments, "paper pack")
    from trpo_gail.studies import store

    folder = Path(given.results)
    print(store.pack(folder, [result.cell.name for result in _found(folder)]))
    return 0


def _rows(results: Path) -> tuple[list[Row], dict[str, Scale]]:
    """The table, and the scale of each task. Raises UserError as `_found` does."""
    from trpo_gail.studies.reproduction.paper import load_paper
    from trpo_gail.studies.reproduction.table import make_table, our_scales

    found = _found(results)
    return make_table(load_grid(), found, load_paper()), our_scales(found)


def _found(results: Path) -> list[Result]:
    """All results of a folder. Raises UserError if there are none, or some of another grid."""
    from trpo_gail.studies.reproduction.results import read_all

    if not (found := read_all(results, load_grid())):
        raise UserError(f"--results: {results} holds no results (trpo-gail paper run makes them)")
    return found
