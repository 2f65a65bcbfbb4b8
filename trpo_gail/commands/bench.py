"""`trpo-gail bench`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from trpo_gail.commands.parsing import alone, parse, print_table
from trpo_gail.config.marks import Positional
from trpo_gail.config.tree import PresetName

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _BenchArguments:
    env: Annotated[str, Positional("ENV")] = "Hopper-v4"
    """Environment id."""
    expert: str | None = None
    """HDF5 file of demonstrations; None takes expert_data/<env>.h5."""
    preset: PresetName = "default"
    """Set of defaults to train with; an iteration of `paper` takes seconds, so it needs longer measurements."""
    seconds: float = 20.0
    """Duration of each measurement, in seconds."""
    repeats: int = 3
    """Number of measurements of each kind, which take turns; medians and ratios are printed."""
    ranks: int = 2
    """Ranks of the scaling measurements; 1 skips them."""
    json: bool = False
    """Print the results as JSON."""


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Measure, and print the medians."""
    given = parse(_BenchArguments, arguments, "bench")
    from trpo_gail.studies.bench import bench

    alone("bench")
    result = bench(given.env, given.expert, given.seconds, given.repeats, given.ranks, given.preset)
    if given.json:
        print(json.dumps(result))
    else:
        print_table(result.items())
    return 0
