"""`trpo-gail train` and `trpo-gail expert`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from trpo_gail.commands.config_file import FromFile, with_file
from trpo_gail.commands.parsing import HELP, answer_help, file_errors, mistakes, world
from trpo_gail.config import check, idle, presets
from trpo_gail.config.flag_file import blamed
from trpo_gail.config.leaves import flatten
from trpo_gail.config.marks import AtLeast, Unprefixed
from trpo_gail.config.presets import changed
from trpo_gail.config.reading import Given, complete, read
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.hangs import LIMIT_S
from trpo_gail.system import whole_file
from trpo_gail.system.launcher import launched

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers
    from trpo_gail.runs.console import View

EXPERT = {"adversary": "env_reward", "normalise_from_expert": False}  # defaults of `expert`


@dataclass(frozen=True)
class TrainArguments:
    """Flags of `train`."""

    config: Annotated[Config, Unprefixed()]
    file: Annotated[FromFile, Unprefixed()] = field(default_factory=FromFile)
    out: str | None = None
    """Run folder; None makes runs/<environment>-seed<seed>-<time>."""
    resume: bool = False
    """Continue the run in --out from its last checkpoint; only --device may differ, and --steps and
    --iterations may grow."""
    quiet: bool = False
    """Print nothing but errors and warnings."""
    rank_timeout: Annotated[float, AtLeast(0)] = LIMIT_S
    """With several ranks: if one takes no step while the others wait for it this many seconds, end all. 0 waits for ever."""
    track: Literal["wandb", "trackio"] | None = None
    """Send the metrics to a tracker, too: wandb, offline unless WANDB_MODE says otherwise, or trackio, on this machine.
    None sends nothing."""


FLAGS: dict[str, type] = {"train": TrainArguments, "expert": TrainArguments}


def run(arguments: list[str], workers: list[Workers], command: str = "train") -> int:
    """Train, or continue a run. `command` is the name that help and errors show."""
    given = _read(arguments, command)
    resume: bool = given.values.get("resume", False)
    out: str = given.values.get("out") or ""
    if resume and not out:
        raise UserError("--resume: which run? --out names its folder")
    if given.values.get("out") is not None:
        whole_file.named("--out", out, "folder")
    from trpo_gail.runs.console import View

    if not resume:
        made = _arguments(given, command)
        with View.early(made.quiet) as view:
            _train(_following(made, given), None, workers, view)
    else:
        with View.early(given.values.get("quiet", False)) as view:
            if (
                launched()
            ):  # before MPI: a slow disk may read torch for minutes, and the ranks would take that for a hang
                import trpo_gail.runs.training  # noqa: F401
            limit = given.values.get("rank_timeout", LIMIT_S)
            limit = limit if 0 <= limit < math.inf else LIMIT_S  # another one is refused, further down
            ranks = world(workers, limit)
            with ranks.watched(limit):  # a file server that is gone holds rank 0 for ever
                saved = ranks.share(ranks.together(lambda: _saved(Path(out)) if ranks.main else None))
            made = _resumed(given, command, saved, out)
            _train(made if saved else _following(made, given), saved, workers, view, given.values)
    return 0


def _resumed(given: Given, command: str, saved: Config | None, out: str) -> TrainArguments:
    try:
        return _arguments(given, command, saved)
    except UserError as error:
        if saved:
            raise
        raise UserError(f"--resume: {out} is not a run folder yet, so all flags are needed: {error}") from error


def _following(made: TrainArguments, given: Given) -> TrainArguments:
    """The flags of the policy's network that are not given follow the run of --init_policy. Raises UserError."""
    if not made.config.starts_from_run:
        return made
    from trpo_gail.runs import start  # loads torch

    with file_errors():
        network = start.network_of(str(made.config.init_policy))
    others = {name: value for name, value in network.items() if name not in given.values}
    return replace(made, config=changed(made.config, others))


def _train(
    given: TrainArguments,
    saved: Config | None,
    workers: list[Workers],
    view: View,
    named: Collection[str] = (),
) -> None:
    """`named` are the paths of the flags that a resume was given."""
    from trpo_gail.runs.training import run as run_session

    if saved:
        from trpo_gail.runs.resuming import check_resume

        check_resume(saved, given.config, Path(str(given.out)))
    run_session(
        given.config,
        given.out,
        given.resume,
        given.quiet,
        world(workers, given.rank_timeout),
        view,
        rank_timeout=given.rank_timeout,
        track=given.track,
        named=named,
    )


def _saved(path: Path) -> Config | None:
    """The config of the run to continue; None if it was killed before it wrote one, and so begins anew."""
    from trpo_gail.runs.run_folder import is_unbegun

    if is_unbegun(path):
        return None
    from trpo_gail.runs.resuming import saved_config

    return saved_config(path)


def parse_flags(arguments: list[str], command: str = "train") -> TrainArguments:
    """Flags over the defaults that their --preset chooses. Raises UserError."""
    return _arguments(_read(arguments, command), command)


def _read(arguments: list[str], command: str) -> Given:
    """The given flags; or --help, with the defaults of the given --preset. Raises UserError."""
    given = Given()
    with contextlib.suppress(UserError):  # --help answers even if other flags are wrong
        given = read(TrainArguments, [word for word in arguments if word not in HELP])
    answer_help(TrainArguments, arguments, command, _defaults(given.values, command))
    with mistakes(command):
        given = read(TrainArguments, arguments)
    return with_file(TrainArguments, given)


def _defaults(given: dict[str, Any], command: str) -> dict[str, Any]:
    """Default values by path."""
    base = presets.values(given.get("preset", "default"), "")
    del base["env"]
    return base | (EXPERT if command == "expert" else {})


def _arguments(given: Given, command: str, saved: Config | None = None) -> TrainArguments:
    """The flags over their defaults, or over the config of a run. Raises UserError."""
    if given.base is not None:
        defaults = given.base | (EXPERT if command == "expert" else {})
    else:
        defaults = flatten(saved) if saved else _defaults(given.values, command)
    with mistakes(command):
        values = complete(TrainArguments, Given(defaults | given.values))
    values.pop("config", None)  # it has been read
    own: dict[str, Any] = {
        name: values.pop(name) for name in ("out", "resume", "quiet", "rank_timeout", "track") if name in values
    }
    with blamed(given):
        config = idle.settled(Config, values, given.values)
        check.values(TrainArguments, own)
    _refuse_idle_flags(given, config)
    return TrainArguments(config, **own)


def _refuse_idle_flags(given: Given, config: Config) -> None:
    """Refuse a flag without effect, by its path or its short name, even if it gives the default value."""
    flat = flatten(config)
    for path, typed in given.typed.items():
        if path in flat and (why := idle.reason(flat, path)):
            raise UserError(f"{typed}: given, but {why}")


def expert(arguments: list[str], workers: list[Workers]) -> int:
    """Train on the environment's own reward."""
    return run(arguments, workers, "expert")
