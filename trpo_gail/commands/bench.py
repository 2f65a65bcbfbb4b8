"""`trpo-gail bench` and its subcommands.

trpo-gail bench throughput Hopper-v4 --ranks 1 2
trpo-gail bench update --batches 2048 50000 --widths 64 256
trpo-gail bench scaling Hopper-v4 --ranks 2 4 8
trpo-gail bench memory Humanoid-v4 --preset paper
trpo-gail bench start
trpo-gail bench data
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from trpo_gail.commands.parsing import alone, file_errors, parse, print_table
from trpo_gail.commands.train import TrainArguments, parse_flags
from trpo_gail.config.marks import Positional
from trpo_gail.config.reading import read
from trpo_gail.config.tree import PresetName
from trpo_gail.errors import UserError
from trpo_gail.system import whole_file

if TYPE_CHECKING:
    from trpo_gail.config.tree import Config
    from trpo_gail.parallel import Workers

Found = dict[str, Any]


@dataclass(frozen=True)
class _Output:
    json: str | None = None
    """Also write the results to this file, as JSON."""
    png: str | None = None
    """Also draw the results, into this picture."""


@dataclass(frozen=True)
class _Task:
    env: Annotated[str, Positional("ENV")] = "Hopper-v4"
    """Environment id, module:Id, or module:name of a class or function that makes one."""
    expert: str | None = None
    """Demonstrations; None takes expert_data/ENV.h5, or what comes with the package, or else episodes of random actions,
    since how good they are changes nothing in the work."""
    preset: PresetName = "default"
    """Set of defaults to train with; an iteration of `paper` takes seconds, so it needs longer measurements."""
    flags: str = ""
    """More flags of `train`, such as --flags="--num_envs 8 --d_step 4". Flags of steps, evaluations and outputs have no
    effect, not even those in a --config file."""


@dataclass(frozen=True)
class _Turns:
    seconds: float = 10.0
    """Duration of each measurement, in seconds."""
    repeats: int = 5
    """Number of measurements of each kind, which take turns; medians and medians of paired ratios are printed."""


@dataclass(frozen=True)
class _Overview:
    """Without a subcommand: raw stepping and training on one core and on several, in short."""

    env: Annotated[str, Positional("ENV")] = "Hopper-v4"
    """Environment id, module:Id, or module:name of a class or function that makes one."""
    expert: str | None = None
    """File of demonstrations; None takes expert_data/ENV.h5, or what comes with the package, or else episodes of random
    actions."""
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
class _Throughput(_Output, _Turns, _Task):
    ranks: tuple[int, ...] = (1,)
    """Numbers of ranks to measure with, each rank on one core. If there are more ranks than cores, they share the cores. The
    environments are divided among the ranks."""


@dataclass(frozen=True)
class _Scaling(_Output, _Turns, _Task):
    ranks: tuple[int, ...] = (2,)
    """Numbers of ranks to compare with one rank. If there are more ranks than cores, they share the cores."""
    batches: tuple[int, ...] = ()
    """Batch sizes to measure with, in rows; without the flag, the preset's."""


@dataclass(frozen=True)
class _Memory(_Output, _Task):
    ranks: tuple[int, ...] = (1,)
    """Numbers of ranks to measure with."""
    batches: tuple[int, ...] = ()
    """Batch sizes to measure with, in rows; without the flag, the preset's."""
    iterations: int = 2
    """Iterations to train for, after a first one."""


@dataclass(frozen=True)
class _Start(_Output):
    ranks: tuple[int, ...] = (1, 2)
    """Numbers of ranks with which the time to the end of CartPole-v1's first iteration is measured."""
    repeats: int = 5
    """Number of measurements of each kind, which take turns; medians are printed."""


@dataclass(frozen=True)
class _Update(_Output):
    preset: PresetName = "default"
    """Set of defaults whose updates are timed."""
    flags: str = ""
    """More flags of `train`, such as --flags="--trpo.cg_iters 5"."""
    batches: tuple[int, ...] = (2048, 50_000)
    """Batch sizes to measure with, in rows."""
    widths: tuple[int, ...] = (64, 256)
    """Widths to measure with: units of each of the two hidden layers of every network."""
    observations: int = 11
    """Numbers in an observation; Hopper has 11."""
    actions: int = 3
    """Numbers in an action."""
    repeats: int = 9
    """Number of measurements of each part, which take turns with its matrix products."""


@dataclass(frozen=True)
class _Data(_Output):
    gigabytes: float = 0.05
    """Size of the file that is converted, in GB (10^9 bytes). The disk needs room for seven times this size and 0.1 GB
    more."""
    repeats: int = 5
    """Number of measurements of loading and of reading, which take turns; medians and ratios are printed."""
    folder: str | None = None
    """Folder for the files, which are removed at the end; None takes the system's folder for temporary files."""


FLAGS: dict[str, type] = {
    "bench": _Overview,
    "bench throughput": _Throughput,
    "bench update": _Update,
    "bench scaling": _Scaling,
    "bench memory": _Memory,
    "bench start": _Start,
    "bench data": _Data,
}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Measure, and print the medians."""
    name = f"bench {arguments[0]}" if arguments else ""
    if name not in FLAGS:
        _check_name(arguments)
        return _overview(parse(_Overview, arguments, "bench"))
    given: Any = parse(FLAGS[name], arguments[1:], name)
    _check_outputs(given)
    alone(name, hasattr(given, "ranks"))
    with file_errors():  # of the temporary folder
        found = _MEASUREMENTS[name](given)
    _show(found, given)
    return 0


def _check_name(arguments: list[str]) -> None:
    """Raise UserError for what looks like a mistyped subcommand, and would be taken for an environment."""
    names = [name.split()[1] for name in FLAGS if " " in name]
    meant = get_close_matches(arguments[0], names, 1, 0.75) if arguments else []
    if meant and arguments[0].isalpha():
        raise UserError(f"bench: {arguments[0]!r} is no subcommand: did you mean {meant[0]!r}?")


def _check_outputs(output: _Output) -> None:
    given = {"--json": output.json, "--png": output.png}
    for flag, path in given.items():
        if path is not None:
            whole_file.check(flag, Path(path))
    if output.json and output.png and Path(output.json).resolve() == Path(output.png).resolve():
        raise UserError(f"--json, --png: {output.json} given for both, two names expected")


def _show(found: Found, output: _Output) -> None:
    from trpo_gail.bench.tables import lines

    for line in lines(found):
        print(line)
    with file_errors():
        if output.json:
            whole_file.write_json(Path(output.json), found)
        if output.png:
            from trpo_gail.bench.pictures import picture

            whole_file.write(Path(output.png), picture(found))


def _overview(given: _Overview) -> int:
    alone("bench")
    from trpo_gail.bench.overview import overview

    config = _config(given.env, given.expert, given.preset, "")
    result = overview(config, given.seconds, given.repeats, given.ranks)
    if given.json:
        print(json.dumps(result))
    else:
        print_table(result.items())
    return 0


def _of(task: _Task, batches: tuple[int, ...] = ()) -> Config:
    """With batches, which decide, a size among the flags is refused."""
    more = ("timesteps_per_batch",) if batches else ()
    return _config(task.env, task.expert, task.preset, task.flags, more)


def _config(env: str, expert: str | None, preset: PresetName, flags: str, ignored: tuple[str, ...] = ()) -> Config:
    """What `train` would make of these, with four trajectories of a file, every 20th row, as in the paper; of a smaller file
    with all of them, and with every row if so few would leave none."""
    from trpo_gail.bench.jobs import demonstrations

    file = demonstrations(env, expert)
    config = _parsed([env, *(["--expert", file] if file else []), "--preset", preset], flags, ignored)
    if file is None or config.trajectories is not None or config.subsample != 1 or not config.imitates:
        return config
    trajectories, subsample = _first_of(file, 4, 20)
    return replace(config, trajectories=trajectories, subsample=subsample)


def _first_of(file: str, most: int, every: int) -> tuple[int, int]:
    """How many trajectories of a file to take, `most` at most, and which part of their rows. Raises UserError."""
    import numpy as np

    from trpo_gail.experts import load
    from trpo_gail.experts.subsampling import paper_counts

    lengths: list[int] = []
    for piece in load.pieces(file):
        lengths += piece.episode_lengths.tolist()
        if len(lengths) >= most:
            break
    enough = piece.subsample == 1 and paper_counts(np.array(lengths[:most]), every).any()
    return min(most, len(lengths)), every if enough else 1


# What a measurement decides by itself.
IGNORED = (
    "steps", "iterations", "eval_every", "eval_episodes", "final_episodes", "save_every", "out", "resume", "quiet", "track",
    "rank_timeout",
)  # fmt: skip


# And by `update`, which has sizes of its own and no environment.
IGNORED_BY_UPDATE = (
    "device", "trajectories", "subsample", "expert", "timesteps_per_batch", "backend", "env_kwargs", "actions",
    "action_scaling", "max_episode_steps", "sampling", "restart_every", "g_step", "warmup_iterations", "init_policy",
    "success", "fixed_horizon", "task_weight", "task_weight_end", "policy.hidden_sizes", "critic.hidden_sizes",
    "discriminator.hidden_sizes", "discriminator.hidden_size_adversary",
)  # fmt: skip


def _parsed(words: list[str], flags: str, ignored: tuple[str, ...]) -> Config:
    """Raises UserError also for flags that would have no effect: those of all measurements, and `ignored` ones."""
    try:
        more = shlex.split(flags)
        for name in read(TrainArguments, more).values:
            if name in IGNORED + ignored:
                raise UserError(f"--{name} has no effect here")
        return parse_flags([*words, *more]).config
    except (UserError, ValueError) as error:
        raise UserError(f"--flags {flags!r}: {error}" if flags else str(error)) from None


def _throughput(given: _Throughput) -> Found:
    from trpo_gail.bench.throughput import throughput

    return throughput(_of(given), given.ranks, given.seconds, given.repeats)


def _update(given: _Update) -> Found:
    from trpo_gail.bench.update import update

    config = _parsed(["Toy", "--preset", given.preset], given.flags, IGNORED_BY_UPDATE)
    return update(config, given.batches, given.widths, (given.observations, given.actions), given.repeats)


def _scaling(given: _Scaling) -> Found:
    from trpo_gail.bench.scaling import scaling

    return scaling(_of(given, given.batches), given.ranks, given.seconds, given.repeats, given.batches)


def _memory(given: _Memory) -> Found:
    from trpo_gail.bench.memory import memory

    return memory(_of(given, given.batches), given.ranks, given.batches, given.iterations)


def _start(given: _Start) -> Found:
    from trpo_gail.bench.start import start

    return start(given.ranks, given.repeats)


def _data(given: _Data) -> Found:
    from trpo_gail.bench.data import bench_data

    return bench_data(given.gigabytes, given.repeats, given.folder)


_MEASUREMENTS: dict[str, Callable[[Any], Found]] = {
    "bench throughput": _throughput,
    "bench update": _update,
    "bench scaling": _scaling,
    "bench memory": _memory,
    "bench start": _start,
    "bench data": _data,
}
