"""`trpo-gail record`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from trpo_gail.commands.data import print_info
from trpo_gail.commands.parsing import by_rank_0, parse
from trpo_gail.config.marks import Positional
from trpo_gail.config.tree import Config
from trpo_gail.system.terminal import streams, warn

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _RecordArguments:
    env: Annotated[str, Positional("ENV")]
    """Environment id, or module:Id."""
    policy: str
    """A run folder, or a policy file of Ho & Ermon (FILE.h5, or FILE.h5:iter0000500 for one snapshot), or greedy: the
    greedy expert of PointNav2D-v0 and PointNav2DContinuous-v0."""
    episodes: int
    """Number of episodes to record."""
    out: str
    """HDF5 file to write; it must not exist."""
    seed: int = 0
    """Seed of starts and noise."""
    deterministic: bool = False
    """Take the likeliest action instead of sampling."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """Library that runs the environments; auto takes EnvPool if it offers the id."""
    env_kwargs: str = "{}"
    """Arguments of the environment, as a JSON object."""
    max_episode_steps: int | None = None
    """Cut episodes after so many steps, in place of the environment's own time limit; None keeps that, or cuts after
    30,000 steps if the environment has no limit."""
    actions: Literal["raw", "executed"] | None = None
    """Store and execute the policy's sample (raw), or that clipped to the bounds (executed); None does as in its training."""
    subsample: int = 1
    """Store one of every so many rows, from the paper's random offsets; lengths and returns stay those of whole episodes."""
    licence: str | None = None
    """Licence of the recording, kept in the file; None takes that of a policy file of Ho & Ermon, which is known."""
    attribution: str | None = None
    """Author of the policy, kept in the file."""


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Record, and print what the file holds."""
    given = parse(_RecordArguments, arguments, "record")
    kwargs = Config("", env_kwargs=given.env_kwargs).env_arguments
    from trpo_gail.runs.record import record

    def work() -> None:
        record(
            given.env, given.policy, given.episodes, given.out, seed=given.seed, deterministic=given.deterministic,
            backend=given.backend, env_kwargs=kwargs, action_view=given.actions, subsample=given.subsample,
            max_episode_steps=given.max_episode_steps, licence=given.licence, attribution=given.attribution, warn=warn,
        )  # fmt: skip
        with streams() as under_guard:
            under_guard.begin_run()  # the file is there
            print_info(given.out)

    by_rank_0(workers, work)
    return 0
