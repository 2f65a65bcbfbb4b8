"""`trpo-gail train` and `trpo-gail expert`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from tyro.conf import arg

from trpo_gail.commands.parsing import file_errors, parse, world
from trpo_gail.config.tree import Config, GeneratorName, PresetName, other_generator, preset
from trpo_gail.errors import UserError

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers
    from trpo_gail.runs.console import View


@dataclass(frozen=True)
class TrainArguments:
    """Flags of `train`."""

    config: Annotated[Config, arg(name="")] = dataclasses.field(default_factory=lambda: Config(""))
    out: str | None = None
    """Run folder; without it runs/<environment>-seed<seed>-<time>."""
    resume: bool = False
    """Go on with the run in --out, from its last checkpoint; only --steps and --iterations may differ, and grow."""
    quiet: bool = False
    """Print nothing but errors and warnings."""


def run(arguments: list[str], workers: list[Workers], command: str = "train") -> int:
    """Train, or go on with a run. `command` is the name that help and errors show."""
    resume, out = (_peek(arguments, flag) for flag in ("--resume", "--out"))
    if resume is not None and not out:
        raise UserError("--resume: which run? --out names its folder")
    from trpo_gail.runs.console import View

    if resume is None:
        given = parse_flags(arguments, command)
        with View.early(given.quiet) as view:
            _train(given, None, workers, view)
    else:
        with View.early("--quiet" in arguments) as view:
            with file_errors():
                saved = _saved(Path(str(out)))
            _train(_resumed_flags(arguments, command, saved, str(out)), saved, workers, view)
    return 0


def _resumed_flags(arguments: list[str], command: str, saved: Config | None, out: str) -> TrainArguments:
    try:
        return parse_flags(arguments, command, saved)
    except UserError as error:
        if saved:
            raise
        raise UserError(f"--resume: {out} is not a run folder yet, so that it needs all flags: {error}") from error


def _train(given: TrainArguments, saved: Config | None, workers: list[Workers], view: View) -> None:
    from trpo_gail.runs.training import check_resume
    from trpo_gail.runs.training import run as run_session

    if saved:
        check_resume(saved, given.config, Path(str(given.out)))
    run_session(given.config, given.out, given.resume, given.quiet, world(workers), view)


def _saved(path: Path) -> Config | None:
    """The config of the run to go on with; None where it was killed before it wrote one, so that it begins anew."""
    from trpo_gail.runs.run_folder import is_unbegun

    if is_unbegun(path):
        return None
    from trpo_gail.runs.training import saved_config

    return saved_config(path)


def parse_flags(arguments: list[str], command: str = "train", saved: Config | None = None) -> TrainArguments:
    """Flags over the defaults that their --preset and --generator choose, or over those of a run. Raises UserError."""
    import tyro

    name, generator = (_peek(arguments, flag) for flag in ("--preset", "--generator"))
    base = saved or preset(_one_of(PresetName, name), tyro.MISSING, _one_of(GeneratorName, generator))
    if command == "expert" and not saved:
        base = dataclasses.replace(base, adversary="env_reward", normalise_from_expert=False)
    given = parse(TrainArguments, arguments, command, TrainArguments(base))
    _refuse_idle_fields(arguments, given.config)
    return given


def expert(arguments: list[str], workers: list[Workers]) -> int:
    """Train on the environment's own reward."""
    return run(arguments, workers, "expert")


def _peek(arguments: list[str], flag: str) -> str | None:
    """A flag's value before the parse whose defaults depend on it; '' if it stands without one. Of several the last, which
    the parser takes, too."""
    for argument, following in reversed([*pairwise([*arguments, "--"])]):
        if argument == flag:
            return "" if following.startswith("--") else following
        if argument.startswith(flag + "="):
            return argument.partition("=")[2]
    return None


def _one_of(choices: Any, value: str | None) -> Any:
    """The value if it is one of a Literal's, else the first of them: a wrong one is the parser's."""
    return value if value in get_args(choices) else get_args(choices)[0]


def _refuse_idle_fields(arguments: list[str], config: Config) -> None:
    """A field of the other generator, by its path or its short name, is refused even where it says what is its default."""
    idle = other_generator(config.generator)
    hints = get_type_hints(type(getattr(config, idle)), include_extras=True).values()
    short = {alias for hint in hints for extra in get_args(hint)[1:] for alias in getattr(extra, "aliases", None) or ()}
    for argument in arguments:
        flag = argument.partition("=")[0]
        if flag.startswith(f"--{idle}.") or flag.replace("-", "_").replace("__", "--", 1) in short:
            raise UserError(f"{flag}: given, but --generator is {config.generator}")
