"""`trpo-gail record`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from trpo_gail.commands.data import print_info
from trpo_gail.commands.parsing import by_rank_0, parse
from trpo_gail.config.marks import AtLeast, Positional
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.system.terminal import streams, warn

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


HUMAN = "human"


@dataclass(frozen=True)
class _RecordArguments:
    env: Annotated[str, Positional("ENV")]
    """Environment id, module:Id, or module:name of a class or function that makes one."""
    policy: str
    """A run folder; a policy file of Ho & Ermon (FILE.h5, or FILE.h5:iter0000500 for one snapshot), of
    Stable-Baselines3 or sb3-contrib (FILE.zip, with vecnormalize.pkl beside it), of ARS (FILE.npz), or of Berkeley's
    course (FILE.pkl); module:function, which takes an observation and returns an action; greedy, the expert of
    PointNav2D-v0 and PointNav2DContinuous-v0; or human, a person who plays in a window with --keys."""
    episodes: int
    """Number of episodes to record."""
    out: str
    """HDF5 file to write; it must not exist."""
    seed: int = 0
    """Seed of initial states and noise."""
    deterministic: bool = False
    """Take the likeliest action instead of sampling."""
    noise: float = 0.0
    """Noise on the actions. Box: Gaussian noise is added, whose standard deviation is this many half widths of the bounds.
    Labels: with this probability, the action is replaced by a random one."""
    min_return: float | None = None
    """Keep only episodes that return at least this, until there are as many as --episodes."""
    snapshot: str | None = None
    """Which one, if there are several policies: best or last of a run folder, iter0000500 or 500 of a policy file of Ho &
    Ermon."""
    num_envs: int = 50
    """Environments that run at a time. Which episodes are recorded does not depend on it."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """Library that runs the environments; auto takes EnvPool if it offers the id."""
    env_kwargs: str = "{}"
    """Arguments of the environment, as a JSON object."""
    max_episode_steps: int | None = None
    """Cut episodes after this many steps, in place of the environment's own time limit; None keeps that limit, or cuts after
    30,000 steps if the environment has no limit."""
    actions: Literal["raw", "executed"] | None = None
    """Store and execute the policy's action as it is (raw), or clipped to the bounds (executed). None does as the policy's
    training did. The actions of module:function count as raw, since a function had no training; give executed if it keeps to
    the bounds by itself."""
    keys: str | None = None
    """With --policy human: keys and their actions, as a JSON object, such as {"left": 0, "right": 1, "": 0}. up+left
    stands for two keys, "" for no key; if its action is null, the environment waits for a key. None takes the
    environment's own keys, or the arrows for two or three actions."""
    fps: Annotated[int, AtLeast(1)] | None = None
    """With --policy human: steps per second; None takes the environment's own speed."""
    subsample: int = 1
    """Store every K-th row, from a random offset as in the paper; lengths and returns stay those of whole episodes."""
    licence: str | None = None
    """Licence of the recording, kept in the file; None takes the known licence of a policy file of Ho & Ermon."""
    attribution: str | None = None
    """Author of the policy, kept in the file."""


FLAGS = {"record": _RecordArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Record, and print a summary of the file."""
    given = parse(_RecordArguments, arguments, "record")
    kwargs = Config("", env_kwargs=given.env_kwargs).env_arguments
    work = _play if given.policy == HUMAN else _record

    def record() -> None:
        work(given, kwargs)
        with streams() as under_guard:
            under_guard.begin_run()  # from here on the file exists
            print_info(given.out)

    by_rank_0(workers, record)
    return 0


def _record(given: _RecordArguments, kwargs: dict[str, Any]) -> None:
    from trpo_gail.runs.record import record

    _refuse(given, ("keys", "fps"), f"expected with --policy human alone, found with --policy {given.policy}")
    record(
        given.env, given.policy, given.episodes, given.out, seed=given.seed, deterministic=given.deterministic,
        noise=given.noise, min_return=given.min_return, snapshot=given.snapshot, num_envs=given.num_envs,
        backend=given.backend, env_kwargs=kwargs, action_view=given.actions, subsample=given.subsample,
        max_episode_steps=given.max_episode_steps, licence=given.licence, attribution=given.attribution, warn=warn,
    )  # fmt: skip


def _play(given: _RecordArguments, kwargs: dict[str, Any]) -> None:
    from trpo_gail.experts.facts import Provenance
    from trpo_gail.runs.play import play
    from trpo_gail.runs.record import check_request

    idle = ("deterministic", "noise", "snapshot", "num_envs", "backend", "actions", "subsample")
    _refuse(given, idle, "is not expected with --policy human")
    check_request(given.episodes, 1, 1, 0.0, Path(given.out), False, given.seed)
    play(
        given.env, given.episodes, given.out, keys=given.keys, fps=given.fps, seed=given.seed, env_kwargs=kwargs,
        max_episode_steps=given.max_episode_steps, min_return=given.min_return, warn=warn,
        provenance=Provenance(licence=given.licence, attribution=given.attribution),
    )  # fmt: skip


def _refuse(given: _RecordArguments, names: Sequence[str], why: str) -> None:
    """Raise UserError if a flag that would do nothing is set."""
    for field in fields(given):
        if field.name in names and getattr(given, field.name) != field.default:
            raise UserError(f"--{field.name} {getattr(given, field.name)}: {why}")
