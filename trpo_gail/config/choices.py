"""Who may improve the policy, and who may pay it: one row each, with the module that makes it.

A name that stands in no table may be `module:function`, which is imported when it is needed: `function(config, parts)` makes
it. An adversary from outside gets demonstrations unless `function.imitates` is False, and may read any of the flags that
belong to adversaries. A row can be added to a table, too, before a config names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trpo_gail.errors import UserError, shortened
from trpo_gail.system.own_modules import described, imported

Build = Callable[[Any, Any], Any]  # (config, parts) -> the adversary or generator


@dataclass(frozen=True)
class Choice:
    """One value of --adversary or --generator."""

    module: str
    reads: tuple[str, ...] | None = None  # flags that decide something with it: fields, or sections, which end in a dot
    imitates: bool = False  # whether it needs demonstrations
    function: str = "build"

    def load(self) -> Build:
        """Its `build(config, parts)`. Raises UserError if it cannot be imported."""
        name = f"{self.module}:{self.function}"
        try:
            built = getattr(imported(self.module), self.function)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{name}: {error}") from error
        except (Exception, SystemExit) as error:
            if self.module.startswith("trpo_gail."):  # a fault of ours, which needs its traceback
                raise
            raise UserError(f"{name}: cannot be imported: {shortened(described(error), 160)}") from error
        if not callable(built):
            raise UserError(f"{name}: a function of a config and its parts expected, found {built!r:.60}")
        made: Build = built
        return made


class Table(dict[str, Choice]):
    """The choices of a flag, by name."""

    def __init__(self, flag: str, rows: Mapping[str, Choice]) -> None:
        super().__init__(rows)
        self.flag = flag


_LINEAR = ("discriminator.reward", "discriminator.ignore")  # what fem and gtal read


def _of_ours(module: str, *reads: str, imitates: bool = False) -> Choice:
    return Choice(f"trpo_gail.{module}", reads, imitates)


ADVERSARIES = Table(
    "adversary",
    {
        "gail": _of_ours("adversaries.discriminator", "discriminator.", "d_step", imitates=True),
        "airl": _of_ours("adversaries.airl", "discriminator.", "d_step", "airl.", imitates=True),
        "fem": _of_ours("adversaries.apprenticeship", *_LINEAR, imitates=True),
        "gtal": _of_ours("adversaries.apprenticeship", *_LINEAR, imitates=True),
        "constant": _of_ours("adversaries.constant", "discriminator.reward"),
        "env_reward": _of_ours("adversaries.env_reward"),
        "exported": _of_ours("exports.adversary", "reward_file"),
    },
)
GENERATORS = Table(
    "generator",
    {
        "trpo": _of_ours("generators.trpo", "trpo."),
        "ppo": _of_ours("generators.ppo", "ppo."),
        "none": _of_ours("generators.none"),
    },
)


def find(table: Table, name: str) -> Choice:
    """The row of a name. A function from outside is imported, since it alone knows whether it imitates. Raises UserError."""
    if name in table:
        return table[name]
    module, colon, function = name.partition(":")
    if not colon:
        known = ", ".join(map(repr, table))
        raise UserError(f"--{table.flag}: {name!r} given, one of {known} or module:function expected")
    choice = Choice(module, function=function)
    try:
        return replace(choice, imitates=getattr(choice.load(), "imitates", True))
    except UserError as error:
        raise UserError(f"--{table.flag}: {error}") from error


def owned(table: Table) -> set[str]:
    """What some row of a table reads: fields, and sections, which end in a dot."""
    return {name for choice in table.values() for name in choice.reads or ()}


def reads(table: Table, name: str, path: str) -> bool:
    """Whether a field decides something with the choice of a name. One from outside may read anything."""
    choice = table.get(name)
    return choice is None or choice.reads is None or covers(choice.reads, path)


def covers(names: tuple[str, ...] | set[str], path: str) -> bool:
    """Whether a field is one of these, or in one of these sections."""
    return any(path.startswith(name) if name.endswith(".") else path == name for name in names)
