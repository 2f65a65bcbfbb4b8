"""Functions that commands share: from arguments to a dataclass, the ranks, a table on the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from trpo_gail.commands import NOTES, about, pages
from trpo_gail.commands.config_file import with_file
from trpo_gail.config import check
from trpo_gail.config.flag_file import blamed
from trpo_gail.config.leaves import build
from trpo_gail.config.reading import Given, complete, read
from trpo_gail.errors import Answered, UserError, of_system
from trpo_gail.hangs import LIMIT_S
from trpo_gail.system.launcher import launched
from trpo_gail.system.stopping import unwind

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers

T = TypeVar("T")
NOTHING: Mapping[str, Any] = {}
HELP = {"-h", "--help"}


@dataclass(frozen=True)
class Which:
    """Flags of commands that take one of a run's policies."""

    snapshot: Literal["last", "best"] = "last"
    """Which of the run's policies: the last one, or the best by the evaluations during training."""
    best: bool = False
    """The same as --snapshot best."""

    @property
    def policy(self) -> str:
        """Its name, as `load_policy` takes it."""
        return "best" if self.best else self.snapshot


def world(workers: list[Workers], limit: float = LIMIT_S) -> Workers:
    """All ranks, which wait for each other up to `limit` seconds (0: for ever); also put into `workers`, so that an error
    ends them all. Marks that the work begins (see `stopping`)."""
    from trpo_gail.parallel import Workers

    if not workers:
        workers.append(Workers.world(limit))
    unwind()
    return workers[0]


def by_rank_0(workers: list[Workers], work: Callable[[], T]) -> T | None:
    """Do work that takes one process on rank 0; returns None on the others. A user's error is raised on all."""
    ranks = world(workers)
    return ranks.together(lambda: work() if ranks.main else None)


def parse(cls: type[T], arguments: list[str], command: str) -> T:
    """A dataclass of flags, or --help. Raises UserError."""
    answer_help(cls, arguments, command)
    with mistakes(command):
        typed = read(cls, arguments)
    given = with_file(cls, typed)
    with mistakes(command):
        values = complete(cls, Given((given.base or {}) | given.values))
    with blamed(given):
        made = cast(T, build(cls, values))
        check.values(cls, values)
        return made


def answer_help(cls: type, arguments: list[str], command: str, defaults: Mapping[str, Any] = NOTHING) -> None:
    """Print the page of a command's flags and raise Answered, if --help is among the arguments. `defaults`: by path."""
    if HELP & set(arguments):
        from trpo_gail.config.help_page import page

        described = "\n\n".join(filter(None, (about(command), NOTES.get(command))))
        print("\n\n".join(filter(None, (page(cls, f"trpo-gail {command}", described, defaults), pages(command)))))
        raise Answered(0)


@contextlib.contextmanager
def mistakes(command: str) -> Iterator[None]:
    """Add the command to a UserError of its flags, as a user sees it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{command}: {error} (trpo-gail {command} --help)") from None


def alone(command: str, ranks: bool = True) -> None:
    """Mark that the work begins (see `stopping`), for a command that is one process, or whose runs, on `ranks`, are processes
    of their own. Raises UserError under a launcher of several processes."""
    if (launcher := launched()) and launcher[1] > 1:
        instead = ": --ranks N runs each of its runs under mpirun" if ranks else ""
        raise UserError(f"{command}: started as {launcher[1]} processes; start it alone{instead}")
    unwind()


@contextlib.contextmanager
def file_errors() -> Iterator[None]:
    """Turn the system's error about a user's file or folder into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(of_system(error)) from error


def print_table(rows: Any) -> None:
    """Names and values in two columns."""
    rows = list(rows)
    width = max(len(str(name)) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {f'{value:.4g}' if isinstance(value, float) else value}")
