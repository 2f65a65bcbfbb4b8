"""Print the numbers that `scripts/speed.sh` measured as Markdown: python scripts/speed_table.py results/speed

Each table has a title line in bold, and needs its files; tables of files that are not there are left out.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from cost_model import Load, Model

from trpo_gail.system.terminal import guarded

Found = dict[str, Any]

PHASES = ("sample", "reward", "generator", "critic", "adversary", "other")
TRAININGS = ("hopper", "halfcheetah", "walker2d", "cartpole", "pointnav", "paper")
# The part whose ratio to its products, measured on Hopper's sizes, is taken for a phase.
PRODUCTS = {"generator": "TRPO update", "critic": "critic pass", "adversary": "discriminator update"}
WIDTHS = {"TRPO update": 64, "critic pass": 64, "discriminator update": 100}  # those of the default preset
BATCH_RANKS = (1, 4, 8, 16, 64)
LINE_SEARCH = "line search"  # a difference of times, which says little by itself


def tables(folder: Path) -> str:
    """All tables whose files are there."""
    held: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    compared = folder / "batches" / "comparison.csv"
    if compared.exists():
        with open(compared, newline="") as file:
            held["batches"] = {"rows": [*csv.DictReader(file)]}
    made = ("\n".join(make(held)).strip() for make in TABLES)
    return "\n\n".join(table for table in made if table)


def markdown(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A table with its title; nothing without rows."""
    if rows:
        yield from (f"**{title}**", "")
        for row in (header, ["---"] * len(header), *rows):
            yield f"| {' | '.join(map(text, row))} |"


def text(cell: object) -> str:
    """Three digits of a number, or all of a whole one."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def percent(share: float) -> str:
    """With one digit behind the point."""
    return f"{100 * share:.1f} %"


# --- One process and two ------------------------------------------------------------------------------------------


def _training(held: dict[str, Found]) -> Iterator[str]:
    found = [held[name] for task in TRAININGS if (name := f"throughput_{task}") in held]
    rows = [
        [one["env"], one["preset"], at["ranks"], at["raw_steps_s"], at["training_steps_s"], f"{at['ratio']:.3f}", at["limit"]]
        for one in found
        for at in one["ranks"]
    ]  # fmt: skip
    header = ["task", "preset", "ranks", "raw stepping, steps/s", "training, steps/s", "ratio", "limited by"]
    yield from markdown("Training against raw stepping", header, rows)


def _phases(held: dict[str, Found]) -> Iterator[str]:
    found = [held[name] for task in TRAININGS if (name := f"throughput_{task}") in held]
    rows = []
    for one in found:
        for at in one["ranks"]:
            took = {name: at["phases"].get(name, {"us_per_step": 0.0})["us_per_step"] for name in PHASES}
            simulator, sampling = at["simulator_us_per_step"], took.pop("sample")
            waits = sum(phase["collectives"] for phase in at["phases"].values())
            rows.append(
                [
                    one["env"],
                    one["preset"],
                    at["ranks"],
                    simulator,
                    sampling - simulator,
                    *took.values(),
                    percent(waits),
                ]
            )
    header = ["task", "preset", "ranks", "simulator", "rest of sampling", *PHASES[1:], "in collectives"]
    yield from markdown("Where the time goes: microseconds of training for each step", header, rows)


def _ceiling(held: dict[str, Found]) -> Iterator[str]:
    """What one core could reach if sampling were the simulator alone, and updates their products with float64 sums."""
    parts = held.get("parts", {"parts": []})["parts"]
    least = min((row["rows"] for row in parts), default=0)
    of = {
        row["part"]: row["ratio_float64_sums"]
        for row in parts
        if (row["rows"], row["width"]) == (least, WIDTHS.get(row["part"]))
    }
    rows = []
    for task in TRAININGS:
        one = held.get(f"throughput_{task}")
        if one and len(of) == len(WIDTHS) and one["preset"] == "default":
            at = one["ranks"][0]
            took = {name: phase["us_per_step"] for name, phase in at["phases"].items()}
            products = sum(took[phase] / of[part] for phase, part in PRODUCTS.items())
            simulator = at["simulator_us_per_step"]
            rows.append([one["env"], f"{at['ratio']:.3f}", f"{simulator / (simulator + products):.3f}"])
    header = ["task", "training / raw stepping", "if updates were their products, and sampling the simulator alone"]
    yield from markdown("What one core could reach, default preset", header, rows)


def _parts(held: dict[str, Found]) -> Iterator[str]:
    for name in ("parts", "parts_paper"):
        if name in held:
            one = held[name]
            rows = [
                [row["width"], row["rows"], row["part"], row["ms"], row["ratio"], row["ratio_float64_sums"]]
                for row in one["parts"]
                if row["part"] != LINE_SEARCH
            ]
            header = ["width", "rows", "part", "ms", "times its products alone", "times these with float64 sums"]
            yield from markdown(f"Parts of an update, preset {one['preset']}", header, rows)
            yield ""


def _start(held: dict[str, Found]) -> Iterator[str]:
    rows = [[row["what"], row["ranks"], row["seconds"]] for row in held.get("start", {"rows": []})["rows"]]
    yield from markdown("Start of CartPole-v1", ["until", "ranks", "seconds"], rows)


def _memory(held: dict[str, Found]) -> Iterator[str]:
    rows = [
        [one["env"], one["preset"], row["rows"], row["ranks"], row["at_start_mib"], row["peak_mib"]]
        for name in ("memory_short", "memory_long")
        if (one := held.get(name))
        for row in one["rows"]
    ]
    header = ["task", "preset", "rows of a batch", "ranks", "MiB before training", "MiB at most"]
    yield from markdown("Memory of a rank", header, rows)


# --- More ranks ---------------------------------------------------------------------------------------------------


def _scaling(held: dict[str, Found]) -> Iterator[str]:
    rows = [
        [
            how, point["kind"], point["ranks"], point["rows"], point["steps_s"], f"{point['times_one']:.2f}",
            percent(point["communication_share"]), percent(point["waiting_share"]),
        ]
        for name, how in (("weak", "spin"), ("spinning", "spin"), ("asleep", "sleep"))
        if name in held
        for point in held[name]["points"]
        if point["kind"] != "one"
    ]  # fmt: skip
    header = ["ranks that wait", "scaling", "ranks", "rows", "steps/s", "of one rank's", "communication", "waiting"]
    yield from markdown("Ranks on two cores, Hopper-v4", header, rows)


def _model(held: dict[str, Found]) -> Iterator[str]:
    kinds = {"fitted": "fitted", "held_out": "held out", "crowded": "more ranks than cores"}
    rows = [
        [what, row["ranks"], row["rows"], row["measured"], row["predicted"], f"{100 * row['error']:+.1f} %"]
        for kind, what in kinds.items()
        for row in held.get("extended", {}).get(kind, ())
    ]
    header = ["point", "ranks", "rows", "measured, s", "predicted, s", "error"]
    yield from markdown("The cost model: seconds of an iteration of Hopper-v4", header, rows)


def _extended(held: dict[str, Found]) -> Iterator[str]:
    for kind in ("strong", "weak"):
        rows = [
            [
                row["ranks"], row["rows"], row["seconds"], row["sampling"], row["updates"], row["communication"],
                row["waiting"], row["times_one"],
            ]
            for row in held.get("extended", {}).get(kind, ())
        ]  # fmt: skip
        header = ["ranks", "rows", "seconds", "sampling", "updates", "communication", "waiting", "of one rank's rate"]
        yield from markdown(f"Predicted by the model, {kind} scaling", header, rows)
        yield ""


def _batches(held: dict[str, Found]) -> Iterator[str]:
    compared = [row for row in held.get("batches", {"rows": []})["rows"] if row["env"] != "all"]
    names, tasks = (list(dict.fromkeys(row[key] for row in compared)) for key in ("contestant", "env"))
    by = {(row["contestant"], row["env"]): row for row in compared}
    rows = []
    for name in names:
        for task in tasks:
            row = by[name, task]
            steps = int(row["steps_to_95_median"]) if row["steps_to_95_median"] else None
            reached = f"{row['reached_95']} of {row['runs']}"
            rows.append([name, task, steps, reached, row["held_95"], f"{float(row['score_iqm']):.3f}"])
    header = ["batch", "task", "steps to 95 % of the expert", "reached", "held", "score at the end"]
    yield from markdown("Learning with larger batches", header, rows)


def _batches_time(held: dict[str, Found]) -> Iterator[str]:
    """The model's seconds of an iteration, times the iterations that were measured."""
    rows = []
    if "batches" in held and "extended" in held and "weak" in held:
        one = next(point for point in held["weak"]["points"] if point["kind"] == "strong")
        model = Model(**held["extended"]["model"]).on_network(**held["extended"]["network"])
        for row in held["batches"]["rows"]:
            if row["env"] == held["weak"]["env"] and row["steps_to_95_median"]:
                rows.append([row["contestant"], *_predicted(model, one, row)])
    header = ["batch", *(f"{ranks} rank(s)" for ranks in BATCH_RANKS)]
    yield from markdown("Predicted seconds to 95 % of the expert, Hopper-v4", header, rows)


def _predicted(model: Model, one: Found, row: dict[str, str]) -> Iterator[float | None]:
    """By number of ranks; None for more ranks than environments."""
    batch, *how = row["contestant"].split("_")
    times = int(batch) // one["timesteps_per_batch"]
    # `small` keeps the size of minibatches, else their number stays.
    small = one["small_updates"] * (times if "small" in how else 1)
    messages = one["messages"] + small - one["small_updates"]  # each ends in one sum
    summed, envs = one["summed_bytes"] * small / one["small_updates"], one["num_envs"] * times
    for ranks in BATCH_RANKS:
        load = Load(ranks, envs, int(batch), small, messages, summed)
        seconds = model.seconds(load) * int(row["steps_to_95_median"]) / int(batch)
        yield seconds if ranks <= envs else None


# --- Other libraries ----------------------------------------------------------------------------------------------


def _rates(held: dict[str, Found]) -> Iterator[str]:
    rows = [
        [row["name"], row["cores"], row["threads"], row["steps_s"], row.get("ours_times")]
        for row in held.get("rates", {}).get("rates", ())
    ]
    header = ["", "cores", "threads of a process", "steps/s", "ours is faster by (median of turns)"]
    yield from markdown("Steps of training a second, Hopper-v4", header, rows)


def _to_expert(held: dict[str, Found]) -> Iterator[str]:
    rows = []
    for row in held.get("to_expert", {}).get("to_expert", ()):
        seconds = [run["to_expert_s"] for run in row["runs"] if run["to_expert_s"] is not None]
        spread = f"{min(seconds):.1f} to {max(seconds):.1f}" if seconds else None
        reached = f"{row['reached']} of {len(row['runs'])}"
        rows.append(
            [row["name"], row["cores"], row["threads"], reached, row["to_expert_s"], spread, row["to_expert_steps"]]
        )
    header = ["", "cores", "threads of a process", "reached", "seconds, median", "of those", "steps, median"]
    yield from markdown("Seconds to 95 % of the expert, Hopper-v4, 200 pairs", header, rows)


def _update(held: dict[str, Found]) -> Iterator[str]:
    one = held.get("update", {}).get("update")
    if one:
        rows = [
            [name, one[f"{key}_ms"], *(median(turn[of] for turn in one[key]) for of in ("products", "backtracks"))]
            for name, key in (("ours", "ours"), ("sb3-contrib", "sb3"))
        ]
        title = f"One TRPO update of {one['rows']:,} rows, without the critic: ours is {one['ratio']:.2f} times faster"
        yield from markdown(title, ["", "ms", "Fisher products", "lengths refused"], rows)


TABLES: tuple[Callable[[dict[str, Found]], Iterator[str]], ...] = (
    _training, _phases, _ceiling, _parts, _start, _memory, _scaling, _model, _extended, _batches, _batches_time, _rates,
    _to_expert, _update,
)  # fmt: skip


@guarded
def main() -> int:
    """Print the tables of a folder."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not (found := tables(Path(sys.argv[1]))):
        sys.exit(f"speed_table.py: {sys.argv[1]}: no file of scripts/speed.sh there, expected one at least")
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
