"""`trpo-gail push` and `trpo-gail pull`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from trpo_gail.commands.parsing import Which, by_rank_0, parse
from trpo_gail.config.marks import Positional, Unprefixed
from trpo_gail.system.terminal import warn

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _PushArguments:
    run: Annotated[str, Positional("RUN")]
    """Run folder."""
    target: Annotated[str, Positional("TARGET")]
    """Folder to make (./NAME or /PATH), or hf:USER/NAME for a repository of Hugging Face, which needs pip install
    huggingface_hub, and a login with its program hf."""
    which: Annotated[Which, Unprefixed()] = field(default_factory=Which)
    video: str | None = None
    """Video to add (FILE.mp4 or FILE.gif); None takes the newest video in the run folder, if there is one."""
    force: bool = False
    """Replace a run that was pushed to TARGET before. Other files there are never replaced."""
    private: bool = False
    """Make a new repository private."""


@dataclass(frozen=True)
class _PullArguments:
    source: Annotated[str, Positional("SOURCE")]
    """What `push` wrote: a folder (./NAME or /PATH), or hf:USER/NAME."""
    out: Annotated[str, Positional("OUT")]
    """Run folder to make; it must not exist."""


FLAGS: dict[str, type] = {"push": _PushArguments, "pull": _PullArguments}


def push(arguments: list[str], workers: list[Workers]) -> int:
    """Share a run, and print where it is."""
    given = parse(_PushArguments, arguments, "push")
    from trpo_gail.exports.push import push as push_run

    which = given.which.policy
    by_rank_0(workers, lambda: print(push_run(given.run, given.target, which, given.video, given.force, given.private)))
    return 0


def pull(arguments: list[str], workers: list[Workers]) -> int:
    """Make a run folder, and say of what code it will run."""
    given = parse(_PullArguments, arguments, "pull")
    by_rank_0(workers, lambda: _pull(given))
    return 0


def _pull(given: _PullArguments) -> None:
    from trpo_gail.exports.pull import pull as pull_run

    for name in pull_run(given.source, given.out):
        warn(
            f"{given.out}: names {name}, code outside this package, which evaluate and others import: do you trust it?"
        )
    print(f"run folder {given.out}")
