"""Plots that read well in print and on a dark screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trpo_gail.runs import read_metrics


def learning_curve(run: Path, summary: dict[str, Any]) -> Path | None:
    """Draw a run's returns against environment steps, with the expert's and the random policy's; None without rows."""
    rows = read_metrics(run)
    if not rows:
        return None
    from matplotlib.figure import Figure  # not pyplot: no global state, no display
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(7, 4), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    sampled = [(r["steps"], r["return_mean"]) for r in rows if r["return_mean"] is not None]
    evaluated = [
        (r["steps"], r["eval_return_mean"], r["eval_return_std"]) for r in rows if r["eval_return_mean"] is not None
    ]
    if sampled:
        axes.plot(*zip(*sampled, strict=True), color="#9aa7b5", lw=1, label="episodes of training (stochastic)")
    if evaluated:
        steps, mean, std = zip(*evaluated, strict=True)
        low, high = [m - s for m, s in zip(mean, std, strict=True)], [m + s for m, s in zip(mean, std, strict=True)]
        axes.fill_between(steps, low, high, color="#1f6fb4", alpha=0.2, lw=0)
        axes.plot(steps, mean, color="#1f6fb4", marker="o", ms=3, label="evaluation (deterministic, ± std)")
    for name, label, colour in (
        ("expert_return_mean", "expert", "#2a9d4a"),
        ("random_return_mean", "random", "#c0392b"),
    ):
        if summary.get(name) is not None:
            axes.axhline(summary[name], color=colour, ls="--", lw=1.2, label=label)
    axes.set(xlabel="environment steps", ylabel="return", title=f"{summary['env']}, seed {summary['seed']}")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    figure.legend(loc="outside lower center", ncol=4, frameon=False, fontsize=8)
    path = run / "learning_curve.png"
    figure.savefig(path, dpi=150)
    return path
