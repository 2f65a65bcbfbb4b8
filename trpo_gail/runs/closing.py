"""The lines that are printed at the end of a run."""

from __future__ import annotations

from typing import Any

from trpo_gail.scores import hardly_differ


def closing_lines(summary: dict[str, Any], saved: bool = True) -> list[str]:
    """The lines that are printed at the end. `saved`: whether there is a checkpoint."""
    done = summary["stopped"] in ("steps", "iterations")
    if done and not summary["episodes"]:
        return ["saved, and not evaluated (--final_episodes 0)"]
    if summary["return_mean"] is None:
        kept = "saved; --resume goes on" if saved else "too early for a checkpoint; --resume begins anew"
        return [f"stopped by {summary['stopped']} at {summary['steps']:,} steps, {kept}"]

    def number(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.2f}"

    lines = [
        f"learned return  {number(summary['return_mean'])} ± {number(summary['return_std'])} "
        f"(deterministic, {summary['episodes']} episodes)",
        f"expert return   {number(summary['expert_return_mean'])}",
        f"random return   {number(summary['random_return_mean'])}",
        f"scaled score    {number(summary['scaled_score'])} (0 random, 1 expert)",
    ]
    if (share := summary.get("success_rate")) is not None:
        by_chance = summary["random_success_rate"]
        lines.insert(
            1, f"success rate    {share:.1%} (random {'unknown' if by_chance is None else f'{by_chance:.1%}'})"
        )
    ends = summary["expert_return_mean"], summary["random_return_mean"]
    if hardly_differ(*ends, summary["random_return_std"], summary["episodes"]):
        lines.append("                expert and random return hardly differ, so that the score says little")
    elif None not in ends and ends[0] < ends[1]:
        upside_down = "the expert returns less than random actions, so that a higher score is a lower return"
        lines.append(f"                {upside_down}")
    return lines
