"""`trpo-gail bench` and `trpo-gail bench data`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

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
    """File of demonstrations; None takes expert_data/<env>.h5, or else what comes with the package."""
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


@dataclass(frozen=True)
class _DataArguments:
    gigabytes: float = 0.05
    """Size of the file that is converted, in 10^9 bytes; five times that is needed on the disk."""
    repeats: int = 5
    """Number of measurements of loading and of reading, which take turns; medians and ratios are printed."""
    folder: str | None = None
    """Folder for the files, which are removed; None takes the system's for temporary files."""
    json: bool = False
    """Print the results as JSON."""


FLAGS: dict[str, type] = {"bench": _BenchArguments, "bench data": _DataArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Measure, and print the medians."""
    if arguments[:1] == ["data"]:
        of_data = parse(_DataArguments, arguments[1:], "bench data")
        from trpo_gail.studies.bench_data import bench_data

        alone("bench data")
        return _print(bench_data(of_data.gigabytes, of_data.repeats, of_data.folder), of_data.json)
    given = parse(_BenchArguments, arguments, "bench")
    from trpo_gail.studies.bench import bench

    alone("bench")
    result = bench(given.env, given.expert, given.seconds, given.repeats, given.ranks, given.preset)
    return _print(result, given.json)


def _print(result: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps(result))
    else:
        print_table(result.items())
    return 0
