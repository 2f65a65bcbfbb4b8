"""`trpo-gail train` and `trpo-gail expert`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from tyro.conf import arg

from trpo_gail.commands.parsing import parse, world
from trpo_gail.config import Config, PresetName, preset
from trpo_gail.errors import UserError

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _TrainArguments:
    config: Annotated[Config, arg(name="")] = dataclasses.field(default_factory=lambda: Config(""))
    out: str | None = None
    """Run folder; without it runs/<environment>-seed<seed>-<time>."""
    resume: bool = False
    """Go on with the run in --out, from its last checkpoint; only --steps and --iterations may differ, and grow."""
    quiet: bool = False
    """Print nothing but errors."""


def run(arguments: list[str], workers: list[Workers], command: str = "train") -> int:
    """Train, or go on with a run. `command` is the name that help and errors show."""
    import tyro

    resume, out, name = (_peek(arguments, flag) for flag in ("--resume", "--out", "--preset"))
    saved = None
    if resume is not None:
        if not out:
            raise UserError("--resume: which run? --out names its folder")
        from trpo_gail.session import saved_config

        saved = saved_config(Path(out))
    base = saved or preset(_preset_name(name), tyro.MISSING)
    if command == "expert" and not saved:
        base = dataclasses.replace(base, adversary="env_reward", normalise_from_expert=False)
    given = parse(_TrainArguments, arguments, command, _TrainArguments(base))
    from trpo_gail.session import check_resume
    from trpo_gail.session import run as run_session

    if saved:
        check_resume(saved, given.config, Path(str(out)))
    run_session(given.config, given.out, given.resume, given.quiet, world(workers))
    return 0


def expert(arguments: list[str], workers: list[Workers]) -> int:
    """Train on the environment's own reward."""
    return run(arguments, workers, "expert")


def _peek(arguments: list[str], flag: str) -> str | None:
    """A flag's value before the parse whose defaults depend on it; '' if it stands without one."""
    for k, argument in enumerate(arguments):
        if argument == flag:
            return arguments[k + 1] if k + 1 < len(arguments) and not arguments[k + 1].startswith("--") else ""
        if argument.startswith(flag + "="):
            return argument.partition("=")[2]
    return None


def _preset_name(name: str | None) -> PresetName:
    return name if name in get_args(PresetName) else "default"  # type: ignore[return-value]  # a wrong one is the parser's
