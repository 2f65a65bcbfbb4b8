"""What commands share: flags to a dataclass, the ranks, a table on the terminal."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from trpo_gail.commands import COMMANDS
from trpo_gail.errors import UserError

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers

T = TypeVar("T")


def world(workers: list[Workers]) -> Workers:
    """All ranks; noted in `workers`, so that an error can be agreed by them."""
    from trpo_gail.parallel import Workers

    workers.append(Workers.world())
    return workers[0]


def parse(cls: type[T], arguments: list[str], command: str, default: T | None = None) -> T:
    """tyro, its boxed errors made one line. Raises UserError."""
    import tyro

    errors = io.StringIO()
    kwargs: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                cls, args=arguments, prog=f"trpo-gail {command}", description=COMMANDS[command.split()[0]][-1],
                use_underscores=True, **kwargs,
            )  # fmt: skip
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(f"{command}: {_unboxed(errors.getvalue())} (trpo-gail {command} --help)") from None


def _unboxed(text: str) -> str:
    """What an error box says below its title and before the next rule; the rules are dashes where stdout is not UTF-8."""
    said: list[str] = []
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)  # a terminal gets colours
    for line in (line.strip("│ ") for line in plain.splitlines()[1:]):
        if line.strip("─-╰╯"):
            said.append(line)
        elif line and said:
            break
    return " ".join(" ".join(said).split())


def check_alone(command: str) -> None:
    """Raise UserError under a launcher of several processes, for a command whose runs are processes of their own."""
    from trpo_gail.parallel import launched

    if (launcher := launched()) and launcher[1] > 1:
        raise UserError(
            f"{command}: started as {launcher[1]} processes; start it alone: --ranks N runs each of its runs under mpirun"
        )


@contextlib.contextmanager
def file_errors() -> Iterator[None]:
    """What the system says of a file or folder that a user named, as a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or 'input/output'}: {error.strerror or error}") from error


def print_table(rows: Any) -> None:
    """Names and values in two columns."""
    rows = list(rows)
    width = max(len(str(name)) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {f'{value:.4g}' if isinstance(value, float) else value}")
