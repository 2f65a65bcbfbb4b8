"""`trpo-gail evaluate`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from trpo_gail.commands.parsing import Which, parse, print_table, world
from trpo_gail.config.marks import Positional, SuccessRule, Unprefixed
from trpo_gail.system.terminal import kept_for_json

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _EvaluateArguments:
    run: Annotated[str, Positional("RUN")]
    """Run folder."""
    episodes: int = 50
    """Number of episodes."""
    stochastic: bool = False
    """Sample actions instead of taking the likeliest."""
    which: Annotated[Which, Unprefixed()] = field(default_factory=Which)
    env: str | None = None
    """Another environment of the same spaces, as `train` takes it; None takes the run's. A run from Python may need one."""
    seed: int = 0
    """Seed of the initial states."""
    success: Annotated[str, SuccessRule()] | None = None
    """When an episode is a success, as `train --success` says; None takes the run's rule, or the environment's word."""
    video: str | None = None
    """Film one deterministic episode, too, and write it to this file (FILE.mp4 or FILE.gif); None films nothing."""
    json: bool = False
    """Print the results as JSON."""


FLAGS = {"evaluate": _EvaluateArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Evaluate, and print."""
    given = parse(_EvaluateArguments, arguments, "evaluate")
    from trpo_gail.runs.evaluate import evaluate_run

    which, ranks = given.which.policy, world(workers)
    with kept_for_json(given.json):
        film = ranks.together(lambda: _film(given, which) if ranks.main and given.video else {})
    with ranks.watched(), ranks.pulse.during("evaluation"), kept_for_json(given.json):
        found = evaluate_run(
            given.run, given.episodes, given.stochastic, which, given.seed, ranks, given.success, given.env
        )
    result = found | film
    if ranks.main:
        if given.json:
            print(json.dumps(result))
        else:
            print_table(result.items())
            if film and result["backend"] != "gymnasium":
                print("The film is gymnasium's, from another initial state: it shows none of the evaluated episodes.")
    return 0


def _film(given: _EvaluateArguments, which: str) -> dict[str, Any]:
    from trpo_gail.runs.video import record_video

    return record_video(given.run, Path(str(given.video)), which, given.seed, given.env)
