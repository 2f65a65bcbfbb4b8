"""Types for the metrics of a step or of an iteration: numbers by name."""

from __future__ import annotations

from collections.abc import Mapping

Stats = dict[str, float]  # metrics of one part's step, the same on all ranks
Record = dict[str, float | int | None]  # a line of metrics.csv; None is an empty cell
AnyRecord = Mapping[str, float | int | None]  # a record that is only read

# Columns that a row has only if it is known of an episode whether it was a success.
SUCCESS, EVAL_SUCCESS = "success_rate", "eval_success_rate"

LOGIT_EDGES = (-8, -4, -2, -1, 1, 2, 4, 8)  # of the histograms of logits: the share below 0 is an accuracy


def logit_below(side: str, edge: int) -> str:
    """The column with the share of a side's rows whose logit is less than an edge; side: learner or expert."""
    return f"d_logit_{side}_below_{edge}"
