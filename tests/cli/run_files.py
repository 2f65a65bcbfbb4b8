"""What a run folder holds, for comparing runs: checkpoints' tensors, metrics without the seconds, TensorBoard's events."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trpo_gail.cli import main

SECONDS = ("wall_s", "eval_s", "cloning_s")  # of a checkpoint's counters: no two runs have the same


def checkpoints(run: Path) -> list[Path]:
    """Those of the last iterations, in order."""
    return sorted((run / "checkpoints").glob("iteration_*.pt"))


def state(path: Path) -> dict[str, np.ndarray]:
    """Everything that a checkpoint says of the learner, flat: parameters, normalisers, optimisers, sampler, counters."""
    learner = torch.load(path, weights_only=True)["learner"]
    return {name: value for name, value in flat(learner).items() if not name.endswith(SECONDS)}


def flat(value: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """The leaves of nested dictionaries and lists, by their path."""
    if isinstance(value, dict):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return {prefix.removeprefix("."): np.asarray(value)}
    return {k: v for name, item in items for k, v in flat(item, f"{prefix}.{name}").items()}


def differing(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> list[str]:
    """Names of what is not the same to the bit."""
    assert a.keys() == b.keys()
    return [
        name for name in a
        if a[name].dtype != b[name].dtype or a[name].shape != b[name].shape or a[name].tobytes() != b[name].tobytes()
    ]  # fmt: skip


def apart(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, float]:
    """For each name max|a - b| / max|a|, or inf where only a is 0 or the shapes differ. Checksums are left out: they say
    nothing of how near two observations are."""
    assert a.keys() == b.keys()
    return {name: _apart(a[name], b[name]) for name in a if name != "sampler.places"}


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape or a.dtype == object or a.dtype.kind in "US":
        return 0.0 if np.array_equal(a, b) else float("inf")
    gap, size = (float(np.abs(x).max(initial=0.0)) for x in (a.astype(float) - b.astype(float), a.astype(float)))
    return 0.0 if gap == 0.0 else gap / size if size else float("inf")


def metrics(run: Path) -> list[dict[str, str]]:
    """Rows of metrics.csv as they are written, but for the seconds."""
    with open(run / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in csv.DictReader(file)]


def events(run: Path, tag: str) -> list[int]:
    """The steps at which TensorBoard has a value of `tag`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        accumulator = EventAccumulator(str(run)).Reload()
        return [event.step for event in accumulator.Scalars(tag)]


def resume(run: Path) -> None:
    """Go on with a run by the command line."""
    assert main(["train", "--resume", "--out", str(run), "--quiet"]) == 0


def check_trained_alike(run: Path, whole: Path) -> None:
    """The last checkpoint of six iterations, the best one, metrics and events are the same."""
    for name in ("iteration_0000006.pt", "best.pt"):
        assert differing(*(state(folder / "checkpoints" / name) for folder in (run, whole))) == []
    assert metrics(run) == metrics(whole) and events(run, "kl") == events(whole, "kl")
