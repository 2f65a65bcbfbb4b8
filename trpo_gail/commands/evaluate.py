"""`trpo-gail evaluate`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from trpo_gail.commands.parsing import Which, parse, print_table, world
from trpo_gail.config.marks import Positional, SuccessRule, Unprefixed
from trpo_gail.errors import RunError, UserError
from trpo_gail.system.terminal import kept_for_json

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers
    from trpo_gail.runs.evaluate import LoadedPolicy


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
    """Another environment with the same spaces: an id, module:Id or module:name. None takes the run's environment. A run that
    was made from Python may need this flag."""
    seed: int = 0
    """Seed of the initial states."""
    success: Annotated[str, SuccessRule()] | None = None
    """When an episode is a success: return>=200, length<50, terminated or truncated, or several joined by "and"; None takes
    the run's rule, or what the environment says."""
    video: str | None = None
    """Also make a video of one deterministic episode, in this file (FILE.mp4 or FILE.gif); None makes no video."""
    json: bool = False
    """Print the results as JSON."""


FLAGS = {"evaluate": _EvaluateArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Evaluate, and print."""
    given = parse(_EvaluateArguments, arguments, "evaluate")
    from trpo_gail.runs.evaluate import evaluate_run

    which, ranks = given.which.policy, world(workers)
    if given.video is not None:
        from trpo_gail.runs.video import check_video

        ranks.together(lambda: check_video(Path(str(given.video))))
    with ranks.watched(), ranks.pulse.during("evaluation"), kept_for_json(given.json):
        found, policy = evaluate_run(
            given.run, given.episodes, given.stochastic, which, given.seed, ranks, given.success, given.env
        )
    film, failure = ({}, None) if given.video is None else ranks.together(lambda: _film(given, policy, ranks))
    if ranks.main:
        _print(given, found, film)
    ranks.together(lambda: _raise(failure))
    return 0


def _raise(failure: Exception | None) -> None:
    if failure is not None:
        raise failure


def _film(given: _EvaluateArguments, policy: LoadedPolicy, ranks: Workers) -> tuple[dict[str, Any], Exception | None]:
    """What to say of the film, which rank 0 makes, and why there is none: the evaluation is printed in any case."""
    from trpo_gail.runs.video import record_video

    if not ranks.main:
        return {}, None
    try:
        with kept_for_json(given.json):
            return record_video(policy, Path(str(given.video)), given.seed), None
    except (UserError, RunError) as error:
        return {}, error


def _print(given: _EvaluateArguments, found: dict[str, Any], film: dict[str, Any]) -> None:
    result = found | film
    if given.json:
        print(json.dumps(result))
        return
    print_table(result.items())
    if film and result["backend"] != "gymnasium":
        print("The video is gymnasium's, from another initial state: it shows none of the evaluated episodes.")
