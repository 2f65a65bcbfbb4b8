"""What the terminal shows of a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from trpo_gail.bench.jobs import Found


def lines(found: Found) -> Iterator[str]:
    """The lines of what one of the subcommands found."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    yield f"{found['cores']} core(s) of {found['processor']}, Python {found['python']}, {versions}"
    if found["waiting"]:
        yield "ranks wait by " + ", ".join(f"{name}={value}" for name, value in found["waiting"].items())
    if "env" in found:
        yield (
            f"{found['env']}, preset {found['preset']}, {found['num_envs']} environments, batches of "
            f"{_batches(found)} steps, {_expert(found)}"
        )
    yield from LINES[found["bench"]](found)


def _expert(found: Found) -> str:
    return f"expert rows of {found['demonstrations']}" if found["demonstrations"] else "without an expert"


def _batches(found: Found) -> str:
    """Those that were measured, of one rank if their size grows with the ranks."""
    rows = [row for row in found.get("points") or found.get("rows") or () if row.get("kind", "one") == "one"]
    sizes = dict.fromkeys(row["timesteps_per_batch"] for row in rows if "timesteps_per_batch" in row)
    return ", ".join(map(str, sizes or [found["timesteps_per_batch"]]))


TOO_SHORT = "too short"  # to tell


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Columns, the numbers to the right."""
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [all(isinstance(row[k], int | float | None) for row in rows) for k in range(len(header))]
    for line in [list(header), *cells]:
        placed = zip(line, widths, right, strict=True)
        yield "  ".join(
            text.rjust(width) if on_right else text.ljust(width) for text, width, on_right in placed
        ).rstrip()


def _text(cell: object) -> str:
    if cell is None:
        return TOO_SHORT
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _throughput(found: Found) -> Iterator[str]:
    yield f"medians of {found['repeats']} turns of {found['seconds']:g} s each"
    for row in found["ranks"]:
        yield ""
        yield (
            f"{row['ranks']} rank(s): raw stepping {row['raw_steps_s']:,.0f} steps/s, training "
            f"{row['training_steps_s']:,.0f}, ratio {row['ratio']:.3f}; limited by: {row['limit']}"
        )
        yield from table(
            ["phase", "share", "in collectives", "us a step"],
            [
                [name, _percent(phase["share"]), _percent(phase["collectives"]), phase["us_per_step"]]
                for name, phase in row["phases"].items()
            ],
        )
        yield f"the simulator alone takes {_text(row['simulator_us_per_step'])} us a step"


def _update(found: Found) -> Iterator[str]:
    yield (
        f"preset {found['preset']}, observations of {found['observations']} numbers, actions of {found['actions']}, one "
        f"core, medians of {found['repeats']} turns"
    )
    yield ""
    yield from table(
        ["width", "rows", "part", "ms", "its products", "ratio", "products, float64 sums", "ratio"],
        [
            [
                *(row[name] for name in ("width", "rows", "part", "ms", "products_ms", "ratio")),
                row["products_float64_sums_ms"],
                row["ratio_float64_sums"],
            ]
            for row in found["parts"]
        ],
    )


def _scaling(found: Found) -> Iterator[str]:
    yield f"medians of {found['repeats']} turns of {found['seconds']:g} s each; seconds and messages are an iteration's"
    yield ""
    yield from table(
        ["work", "ranks", "rows", "steps/s", "of one rank's", "seconds", "communication", "waiting", "messages", "bytes"],
        [
            [
                point["kind"], point["ranks"], point["rows"], point["steps_s"], point["times_one"], point["iteration_s"],
                _percent(point["communication_share"]), _percent(point["waiting_share"]), point["messages"],
                point["summed_bytes"],
            ]
            for point in found["points"]
        ],
    )  # fmt: skip
    yield ""
    sums = [[of["ranks"], one["bytes"], one["us"]] for of in found["messages"] for one in of["sums"]]
    yield from table(["ranks", "bytes of a sum", "us"], sums)
    if found["cores"] < max(point["ranks"] for point in found["points"]):
        yield f"more ranks than the {found['cores']} core(s): these share them"


def _memory(found: Found) -> Iterator[str]:
    yield f"the most that was resident, after {found['iterations'] + 1} iterations"
    yield ""
    yield from table(
        ["batch", "rows", "ranks", "MiB before training", "MiB", "seconds an iteration"],
        [
            [
                row["timesteps_per_batch"],
                round(row["rows"]),
                row["ranks"],
                row["at_start_mib"],
                row["peak_mib"],
                row["seconds_per_iteration"],
            ]
            for row in found["rows"]
        ],
    )


def _start(found: Found) -> Iterator[str]:
    yield f"medians of {found['repeats']} turns, from the command on"
    yield ""
    yield from table(
        ["until", "ranks", "seconds"], [[row["what"], row["ranks"], row["seconds"]] for row in found["rows"]]
    )


def _data(found: Found) -> Iterator[str]:
    loading = found["loading"]
    yield (
        f"a file of {loading['rows']:,} rows is loaded in {loading['load_s']:.3g} s, read by h5py in "
        f"{loading['h5py_s']:.3g} s: {loading['ratio']:.2f} of h5py's rate"
    )
    yield (
        f"conversions of a native file of {found['converted_bytes'] / 1e6:,.3g} MB; rates are without the seconds to start, "
        "those of a conversion of one episode"
    )
    yield ""
    yield from table(
        ["from", "to", "seconds", "to start", "MB/s", "of h5py's copying", "MiB resident"],
        [
            [row["from"], row["to"], row["seconds"], row["start_s"], row["megabytes_s"], row["ratio"], row["peak_mib"]]
            for row in found["conversions"]
        ],
    )


LINES: dict[str, Callable[[Found], Iterator[str]]] = {
    "throughput": _throughput,
    "update": _update,
    "scaling": _scaling,
    "memory": _memory,
    "start": _start,
    "data": _data,
}
