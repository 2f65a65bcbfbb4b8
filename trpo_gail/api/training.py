"""A whole run from Python: that of `trpo-gail train`, with demonstrations of whatever kind a model takes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from trpo_gail.api.datasets import demonstrations_of
from trpo_gail.api.words import in_words
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.hangs import LIMIT_S
from trpo_gail.parallel import Workers
from trpo_gail.runs import training
from trpo_gail.runs.console import View


@partial(in_words, name=str)  # its flags are fields of the config, or its own parameters
def train(
    config: Config,
    out: str | Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    workers: Workers | None = None,
    view: View | None = None,
    *,
    expert: Any = None,
    rank_timeout: float = LIMIT_S,
    track: str | None = None,
) -> dict[str, Any]:
    """Train, or go on training; returns the summary. Raises UserError, on all ranks, for what the user got wrong.

    `out` is the run folder; by default one in `runs/` is named after environment, seed and time. `workers` are by
    default all ranks of `mpirun`, or this process alone. `expert`, of any kind that `GAIL` takes as `expert_dataset`,
    takes the place of the file that `config.expert` names: the run folder keeps a copy with which the run can be
    resumed. `view` is one that is open already; without it, one is made, by `quiet`. If the other ranks have waited for
    a rank for `rank_timeout` seconds, all end; with 0 they wait for ever. `track` names a tracker, wandb or trackio,
    that gets the metrics, too.
    """
    if not isinstance(config, Config):
        raise UserError(f"config: {config!r:.60} given, a trpo_gail.Config expected")
    workers = workers or Workers.world()
    with workers.alike():
        held = None if expert is None else workers.together(lambda: demonstrations_of(expert, "expert"))
        return training.run(
            config, out, resume, quiet, workers, view, expert=held, rank_timeout=rank_timeout, track=track
        )
