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
    """HDF5 file of demonstrations; without it expert_data/<env>.h5."""
    preset: PresetName = "default"
    """Whose settings to train with; an iteration of `paper` takes seconds, so measure for longer."""
    seconds: float = 20.0
    """Seconds of each measurement."""
    repeats: int = 3
    """Measurements of each kind, in turn; medians and ratios are printed."""
    ranks: int = 2
    """Ranks of the scaling measurements; 1 for none."""
    json: bool = False
    """Print JSON."""


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
