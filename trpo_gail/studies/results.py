"""What stays of a finished run of a study: the fields that all studies keep, from its run folder, and their checks."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json
from trpo_gail.studies.store import Record
from trpo_gail.system import typed
from trpo_gail.system.terminal import warn

MOST = 1e100  # of a return, whose squares must be finite, too
MEAN_TOLERANCE = 1e-5  # returns are kept with six digits after the point


class Named(Protocol):
    """A cell: one run, by a name that is a file's too."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """What a cell's run came to. Returns are of the last policy acting deterministically, over whole episodes.

    A study adds what its cells are called by, and may ask for more than a number or null.
    """

    env: str
    seed: int
    returns: list[float]  # [episodes]
    return_mean: float
    expert_return_mean: float | None  # of the demonstrations' file; None without demonstrations
    random_return_mean: float | None  # of uniformly random actions
    iterations: int
    steps: int | None  # environment steps, over all ranks; None if none were taken
    curve: dict[str, list[Any]]  # a study's own columns
    wall_s: float  # of training alone
    eval_s: float | None
    env_steps_per_s: float | None
    ranks: int
    peak_memory_mb: float | None  # of the largest process of the last session, where the runner saw it
    command: list[str]  # without this machine's folders
    commit: str | None  # several, in turn, where the run was resumed by another
    python: str
    versions: dict[str, str]

    @property
    @abstractmethod
    def cell(self) -> Named: ...


ResultT = TypeVar("ResultT", bound=Result)


def build(kind: type[ResultT], record: Record) -> ResultT:
    """A result from what is stored of it. Raises UserError if that is damaged, or another cell's."""
    result: ResultT = typed.build(kind, record.values, record.source)
    if result.cell.name != record.cell:
        raise UserError(f"{record.source}: holds the cell {result.cell.name}, which its name does not say")
    check_returns(result.returns, result.return_mean, record.source)
    return result


# ---- from a run folder -----------------------------------------------------------------------------------------------


def finished(run: Path) -> bool:
    """Whether a run folder's training came to its own end: only then is the last policy evaluated. A run with a damaged
    summary has not ended: it goes on, and writes another."""
    file = run / "summary.json"
    if not file.is_file():
        return False
    try:
        return read_json(file).get("return_mean") is not None
    except UserError as error:
        warn(f"{error}; the run is taken as not finished")
        return False


def measured(
    summary: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]], memory_mb: float | None
) -> dict[str, Any]:
    """The fields of a `Result` that a run's summary and sessions have. To be called within `harvesting`."""
    kept = ("return_mean", "expert_return_mean", "random_return_mean", "iterations", "ranks")
    return {name: summary[name] for name in kept} | {
        "returns": [round(float(value), 6) for value in summary["returns"]],
        "steps": summary.get("steps"),
        "wall_s": round(summary["wall_s"], 3),
        "eval_s": _rounded(summary.get("eval_s"), 3),
        "env_steps_per_s": _rounded(summary.get("env_steps_per_s"), 1),
        "peak_memory_mb": _rounded(memory_mb, 1),
        "commit": ", ".join(dict.fromkeys(s["commit"] for s in sessions if s["commit"])) or None,
        "python": sessions[-1]["python"],
        "versions": sessions[-1]["versions"],
    }


def _rounded(value: float | None, digits: int) -> float | None:
    """As `round`, None as it is."""
    return None if value is None else round(value, digits)


@contextlib.contextmanager
def harvesting(run: Path) -> Iterator[None]:
    """Whatever a run folder lacks, or has of another kind than a result takes, is a UserError."""
    try:
        yield
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{run}: summary.json, config.json or metrics.csv lacks the field {error}") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{run}: a field of summary.json or config.json is of the wrong kind: {error}") from error


def checked(result: ResultT, run: Path) -> ResultT:
    """The result of a run folder. Raises UserError for fields that are not of their types, or contradict each other."""
    typed.check_fields(result, run)
    check_returns(result.returns, result.return_mean, run / "summary.json")
    return result


# ---- checks ----------------------------------------------------------------------------------------------------------


def check_returns(returns: Sequence[float], mean: float, source: object) -> None:
    """Raise UserError unless there are returns, all finite, and their mean is what the file says: it may be damaged."""
    if not returns or not all(is_finite(value) and abs(value) <= MOST for value in returns):
        raise UserError(f"{source}: field 'returns': a list of finite numbers of at most {MOST:g} expected")
    true = math.fsum(returns) / len(returns)
    if not (is_finite(mean) and math.isclose(mean, true, rel_tol=MEAN_TOLERANCE, abs_tol=MEAN_TOLERANCE)):
        raise UserError(f"{source}: field 'return_mean': {mean} found, {true:.6g} expected, the mean of 'returns'")


def is_finite(value: object) -> bool:
    """Whether what a file holds is a number that can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
