"""Types for the metrics of a step or of an iteration: numbers by name."""

from __future__ import annotations

from collections.abc import Mapping

Stats = dict[str, float]  # metrics of one part's step, the same on all ranks
Record = dict[str, float | int | None]  # a line of metrics.csv; None is an empty cell
AnyRecord = Mapping[str, float | int | None]  # a record that is only read
