"""The small file that stays of a finished run: JSON with one field a line, written whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.runs.run_folder import read_json
from trpo_gail.system import whole_file
from trpo_gail.system.terminal import warn

MEAN_TOLERANCE = 1e-5  # returns are kept with six digits after the point


def finished(run: Path) -> bool:
    """Whether a run folder's training came to its own end: only then is the last policy evaluated. With a damaged summary
    it has not: the run that goes on writes another."""
    file = run / "summary.json"
    if not file.is_file():
        return False
    try:
        return read_json(file).get("return_mean") is not None
    except UserError as error:
        warn(f"{error}; the run is taken as not finished")
        return False


def write_fields(file: Path, result: Any) -> None:
    """Write a dataclass, atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in dataclasses.asdict(result).items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    whole_file.write(file, text.encode())


@contextlib.contextmanager
def harvesting(run: Path) -> Iterator[None]:
    """What a run folder lacks, or has of another kind than a result takes, as a UserError."""
    try:
        yield
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{run}: summary.json, config.json or metrics.csv lacks the field {error}") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"{run}: a field of summary.json or config.json is of the wrong kind: {error}") from error


def check_returns(returns: Sequence[float], mean: float, file: Path) -> None:
    """Raise UserError unless there are returns, all finite, and their mean is what the file says: it may be damaged."""
    if not returns or not all(map(is_finite, returns)):
        raise UserError(f"{file}: field 'returns': a list of finite numbers expected")
    true = math.fsum(returns) / len(returns)
    if not (is_finite(mean) and math.isclose(mean, true, rel_tol=MEAN_TOLERANCE, abs_tol=MEAN_TOLERANCE)):
        raise UserError(f"{file}: field 'return_mean': {mean} found, {true:.6g} expected, the mean of 'returns'")


def is_finite(value: object) -> bool:
    """Whether what a file holds is a number that can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def rounded(value: float | None, digits: int) -> float | None:
    """As `round`, None as it is."""
    return None if value is None else round(value, digits)
