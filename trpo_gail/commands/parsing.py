"""What commands share: flags to a dataclass, the ranks, a table on the terminal."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, TypeVar

from trpo_gail.commands import COMMANDS
from trpo_gail.errors import Answered, UserError
from trpo_gail.system.launcher import launched
from trpo_gail.system.stopping import unwind

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry

    from trpo_gail.parallel import Workers

T = TypeVar("T")
MOST_HINTS = 3


def world(workers: list[Workers]) -> Workers:
    """All ranks; noted in `workers`, so that an error ends them all. The work begins: see `stopping`."""
    from trpo_gail.parallel import Workers

    workers.append(Workers.world())
    unwind()
    return workers[0]


def by_rank_0(workers: list[Workers], work: Callable[[], T]) -> T | None:
    """What takes one process, on the first rank; None on the others. An error of the user's is raised on all."""
    ranks = world(workers)
    return ranks.together(lambda: work() if ranks.main else None)


def parse(cls: type[T], arguments: list[str], command: str, default: T | None = None) -> T:
    """tyro, its boxed errors made one line. Raises UserError."""
    import tyro

    errors = io.StringIO()
    kwargs: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                cls, args=arguments, prog=f"trpo-gail {command}", description=COMMANDS[command.split()[0]][-1],
                use_underscores=True, registry=_whole_numbers(), **kwargs,
            )  # fmt: skip
    except SystemExit as stop:
        if stop.code in (0, None):
            raise Answered(0) from None
        raise UserError(f"{command}: {_one_line(_unboxed(errors.getvalue()))} (trpo-gail {command} --help)") from None


def _whole_numbers() -> ConstructorRegistry:
    """For tyro: integers may be written 2e6, and an error says what was expected."""
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

    def whole(text: str) -> int:
        with contextlib.suppress(ValueError):
            return int(text)
        with contextlib.suppress(ValueError):
            if (value := float(text)).is_integer():
                return int(value)
        raise ValueError(f"{text!r} given, a whole number expected")

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
        if info.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda words: whole(words[0]),
            is_instance=lambda value: isinstance(value, int),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _unboxed(text: str) -> list[list[str]]:
    """The lines of an error box below its title, in the sections between its rules, which are dashes where stdout is not
    UTF-8, as its sides are blanks."""
    sections: list[list[str]] = [[]]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)  # a terminal gets colours
    for line in (line[2:].rstrip("│ ") for line in plain.splitlines()[1:]):
        if line.strip("─-╰╯ "):
            sections[-1].append(line)
        elif line:
            sections.append([])
    return [section for section in sections if section]


def _one_line(sections: list[list[str]]) -> str:
    """What an error box says, without what --help says again."""
    said, *more = sections
    text = " ".join(" ".join(said).split()).removesuffix(" (required)")
    if said[0].startswith("Missing from"):
        names = [aliases[0] for aliases in _named(said)]
        return f"no {', '.join(names)} given" + (f": {text.partition(names[0] + ' ')[2]}" if len(names) == 1 else "")
    if said[0].startswith("Unrecognized options"):
        wrong = said[0].split(":")[1].split(",")[0].strip()

        def likeness(name: str) -> float:
            return SequenceMatcher(None, name, wrong).ratio()

        near = [max(names, key=likeness) for section in more for names in _named(section)]
        near = sorted(near, key=likeness, reverse=True)[:MOST_HINTS]
        return text + (f"; did you mean {' or '.join(near)}?" if near else "")
    return re.sub(r"no type matching .*<class '\w+'>: ", "", text)  # of an option that may be None, what else it may be


def _named(lines: list[str]) -> list[list[str]]:
    """The options, each by all its names, that a list in a box has; what is indented more is their help."""
    return [[name.split()[0] for name in line.split(", ")] for line in lines if re.match(r" {4}\S", line)]


def alone(command: str) -> None:
    """The work begins (see `stopping`) of a command whose runs are processes of their own. Raises UserError under a launcher
    of several processes."""
    if (launcher := launched()) and launcher[1] > 1:
        raise UserError(
            f"{command}: started as {launcher[1]} processes; start it alone: --ranks N runs each of its runs under mpirun"
        )
    unwind()


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
