"""`trpo-gail COMMAND`: parse, call one function, print; no logic of its own.

Exit codes: 0, 2 for a user's error (one line, printed by rank 0 alone), 1 for anything else. Heavy imports wait until a
command needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from tyro.conf import Positional, arg

from trpo_gail.config import Config, PresetName, preset
from trpo_gail.errors import UserError

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers

T = TypeVar("T")

COMMANDS = {
    "train": "train a policy from a file of demonstrations (GAIL), alone or under mpirun",
    "expert": "train a policy on the environment's own reward",
    "evaluate": "evaluate the policy of a run folder",
    "record": "run a policy and write its episodes to a file of demonstrations",
    "data": "data info FILE: print what a file of demonstrations holds",
    "bench": "measure the speed of training on this machine",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    # One BLAS thread for sampling's small products; torch's threads are set once the ranks on this machine are known.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Threads that wait asleep: on a core that something else is using, torch's would spin and take it from the environments.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(f"trpo-gail {version('trpo_gail')}")
        return 0
    workers: list[Workers] = []  # holds the ranks once they are known, for the error's sake
    try:
        return _command(arguments[0])(arguments[1:], workers)
    except UserError as error:
        _report(str(error), workers)
        return 2


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: [mpirun -n RANKS] trpo-gail COMMAND ...",
            "",
            "Generative adversarial imitation learning with an MPI-parallel TRPO generator.",
            "",
            *lines,
            "",
            "trpo-gail COMMAND --help tells a command's flags; trpo-gail --version the version.",
        ]
    )


def _command(name: str) -> Callable[[list[str], list[Workers]], int]:
    commands = {
        "train": _train, "expert": _train_expert, "evaluate": _evaluate, "record": _record, "data": _data,
        "bench": _bench,
    }  # fmt: skip
    if name not in commands:
        raise UserError(f"unknown command {name!r}; commands are {', '.join(commands)}")
    return commands[name]


def _report(message: str, workers: list[Workers]) -> None:
    """Print once, and leave together: a launcher kills the others as soon as one rank has gone."""
    from trpo_gail.parallel import Workers, launched

    if not workers and launched():
        with contextlib.suppress(UserError):  # then each rank is alone, and says so itself
            workers.append(Workers.world())
    if not workers or workers[0].main:
        print(f"trpo-gail: {message}", file=sys.stderr, flush=True)
    if workers:
        workers[0].gather(None)


def _world(workers: list[Workers]) -> Workers:
    from trpo_gail.parallel import Workers

    workers.append(Workers.world())
    return workers[0]


# ---- parsing ---------------------------------------------------------------------------------------------------------


def _parse(cls: type[T], arguments: list[str], command: str, default: T | None = None) -> T:
    """tyro, its boxed errors made one line. Raises UserError."""
    import tyro

    errors = io.StringIO()
    kwargs: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                cls, args=arguments, prog=f"trpo-gail {command}", description=COMMANDS[command.split()[0]],
                use_underscores=True, **kwargs,
            )  # fmt: skip
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(f"{command}: {_unboxed(errors.getvalue())} (trpo-gail {command} --help)") from None


def _unboxed(text: str) -> str:
    """What an error box says below its title and before the next rule; the rules are dashes where stdout is not UTF-8."""
    said: list[str] = []
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)  # a terminal gets colours
    for line in (line.strip("│ ") for line in plain.splitlines()[1:]):
        if line.strip("─-╰╯"):
            said.append(line)
        elif line and said:
            break
    return " ".join(" ".join(said).split())


@dataclass(frozen=True)
class _TrainArguments:
    config: Annotated[Config, arg(name="")] = dataclasses.field(default_factory=lambda: Config(""))
    out: str | None = None
    """Run folder; without it runs/<environment>-seed<seed>-<time>."""
    resume: bool = False
    """Go on with the run in --out, from its last checkpoint; of the other flags only --steps may differ, and grow."""
    quiet: bool = False
    """Print nothing but errors."""


# ---- commands --------------------------------------------------------------------------------------------------------


def _train(arguments: list[str], workers: list[Workers], command: str = "train") -> int:
    import tyro

    resume, out, name = (_peek(arguments, flag) for flag in ("--resume", "--out", "--preset"))
    saved = None
    if resume is not None:
        if not out:
            raise UserError("--resume: which run? --out names its folder")
        from trpo_gail.session import saved_config

        saved = saved_config(Path(out))
    base = saved or preset(_preset_name(name), tyro.MISSING)
    if command == "expert" and not saved:
        base = dataclasses.replace(base, adversary="env_reward")
    given = _parse(_TrainArguments, arguments, command, _TrainArguments(base))
    from trpo_gail.session import check_resume, run

    if saved:
        check_resume(saved, given.config, Path(str(out)))
    run(given.config, given.out, given.resume, given.quiet, _world(workers))
    return 0


def _train_expert(arguments: list[str], workers: list[Workers]) -> int:
    return _train(arguments, workers, "expert")


def _peek(arguments: list[str], flag: str) -> str | None:
    """A flag's value before the parse whose defaults depend on it; '' if it stands without one."""
    for k, argument in enumerate(arguments):
        if argument == flag:
            return arguments[k + 1] if k + 1 < len(arguments) and not arguments[k + 1].startswith("--") else ""
        if argument.startswith(flag + "="):
            return argument.partition("=")[2]
    return None


def _preset_name(name: str | None) -> PresetName:
    return "stable-baselines" if name == "stable-baselines" else "default"  # a wrong name is the parser's to refuse


@dataclass(frozen=True)
class _EvaluateArguments:
    run: Positional[str]
    """Run folder."""
    episodes: int = 50
    """Episodes."""
    stochastic: bool = False
    """Sample actions instead of taking the likeliest."""
    best: bool = False
    """The best policy by periodic evaluation instead of the last."""
    seed: int = 0
    """Seed of the episodes' starts."""
    json: bool = False
    """Print JSON."""


def _evaluate(arguments: list[str], workers: list[Workers]) -> int:
    given = _parse(_EvaluateArguments, arguments, "evaluate")
    from trpo_gail.evaluate import evaluate_run

    result = evaluate_run(
        given.run, given.episodes, given.stochastic, "best" if given.best else "last", given.seed, _world(workers)
    )
    if workers[0].main:
        if given.json:
            print(json.dumps(result))
        else:
            _print_table(result.items())
    return 0


@dataclass(frozen=True)
class _RecordArguments:
    env: Positional[str]
    """Environment id, or module:Id."""
    policy: str
    """A run folder, or a policy file of Ho & Ermon (FILE.h5, or FILE.h5:iter0000500 for one snapshot)."""
    episodes: int
    """Episodes to record."""
    out: str
    """HDF5 file to write; it must not exist."""
    seed: int = 0
    """Seed of starts and noise."""
    deterministic: bool = False
    """Take the likeliest action instead of sampling."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """What runs the environments."""
    env_kwargs: str = "{}"
    """Arguments of the environment, as a JSON object."""
    actions: Literal["raw", "executed"] | None = None
    """Store and execute the policy's sample, or what clipping to the bounds leaves of it; None as the policy was trained."""
    licence: str | None = None
    """Licence of the recording, kept in the file."""
    attribution: str | None = None
    """Whose policy it is, kept in the file."""


def _record(arguments: list[str], workers: list[Workers]) -> int:
    given = _parse(_RecordArguments, arguments, "record")
    kwargs = Config("", env_kwargs=given.env_kwargs).env_arguments
    from trpo_gail.experts.record import record

    record(
        given.env, given.policy, given.episodes, given.out, seed=given.seed, deterministic=given.deterministic,
        backend=given.backend, env_kwargs=kwargs, action_view=given.actions, licence=given.licence,
        attribution=given.attribution,
    )  # fmt: skip
    return _info(given.out)


def _data(arguments: list[str], workers: list[Workers]) -> int:
    if arguments in (["-h"], ["--help"]):
        print(f"usage: trpo-gail data info FILE\n\n{COMMANDS['data']}")
        return 0
    if len(arguments) != 2 or arguments[0] != "info":
        raise UserError("data: usage is trpo-gail data info FILE")
    return _info(arguments[1])


def _info(path: str) -> int:
    from trpo_gail.experts.dataset import info

    _print_table(info(path))
    return 0


@dataclass(frozen=True)
class _BenchArguments:
    env: Positional[str] = "Hopper-v4"
    """Environment id."""
    expert: str | None = None
    """HDF5 file of demonstrations; without it expert_data/<env>.h5."""
    seconds: float = 20.0
    """Seconds of each measurement."""
    repeats: int = 3
    """Measurements of each kind, in turn; medians and ratios are printed."""
    ranks: int = 2
    """Ranks of the scaling measurements; 1 for none."""
    json: bool = False
    """Print JSON."""


def _bench(arguments: list[str], workers: list[Workers]) -> int:
    given = _parse(_BenchArguments, arguments, "bench")
    from trpo_gail.bench import bench

    result = bench(given.env, given.expert, given.seconds, given.repeats, given.ranks)
    if given.json:
        print(json.dumps(result))
    else:
        _print_table(result.items())
    return 0


def _print_table(rows: Any) -> None:
    rows = list(rows)
    width = max(len(str(name)) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {f'{value:.4g}' if isinstance(value, float) else value}")


if __name__ == "__main__":
    sys.exit(main())
