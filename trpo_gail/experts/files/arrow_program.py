"""Reads tables of Arrow and Parquet in a process of its own, which `arrow` starts, and which a broken file may kill.

A program and no module of the package: it imports pyarrow and numpy alone. A line of JSON on stdin names the files, of
equal columns, and the limits. A line on stdout answers with what is refused, or with the columns, whose bytes follow.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve more than they use, which the limit counts

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

SECONDS = 2  # of computing, and one more for each of these bytes
BYTES_A_SECOND = 5 << 20
WAIT = 600  # seconds in all
MEMORY = 256 << 20  # bytes beside twice those that columns may take
MOST_COLUMNS = 10_000
A_ROW = 8  # bytes that a row counts for at least, since a column without values has no bytes
_DEEPEST = 8


class Refused(Exception):
    """What is refused, in words that follow the file's name."""


def main() -> None:
    """Answer until nobody asks any more."""
    for line in sys.stdin:
        _answer(json.loads(line))
        signal.alarm(0)


def _answer(asked: dict[str, Any]) -> None:
    _limit(asked["paths"], asked["bytes"])
    try:
        table = _table(asked["paths"], asked["bytes"])
        columns, skipped = _columns(table, asked["bytes"])
    except (Refused, MemoryError, pa.ArrowMemoryError) as error:
        most = f"takes more than {asked['bytes'] >> 20} MB in memory"
        _say({"refused": str(error) if isinstance(error, Refused) else most})
        return
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        _say({"refused": _why(error)})
        return
    _say({"columns": [facts for facts, _ in columns], "skipped": skipped, "rows": table.num_rows})
    for _, arrays in columns:
        for values in arrays:
            sys.stdout.buffer.write(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
    sys.stdout.buffer.flush()


def _why(error: Exception) -> str:
    """A good table may be compressed by what this pyarrow was built without, which is no damage."""
    text = " ".join(str(error).split())
    if isinstance(error, pa.ArrowNotImplementedError) or "compression" in text:
        return f"the installed pyarrow cannot read it: {text[:90]}; write it anew with compression='none'"
    return f"damaged or truncated table: {text[:150]}"


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


def _limit(paths: list[str], most: int) -> None:
    """Time and memory of this process, from what is used now."""
    signal.alarm(WAIT)
    used = resource.getrusage(resource.RUSAGE_SELF)
    size = sum(os.path.getsize(path) for path in paths)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + SECONDS + size // BYTES_A_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    try:
        with open("/proc/self/statm") as stream:
            mapped = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 2 * most + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (OSError, ValueError):  # no Linux: the limit on what is read is there all the same
        return


# --- Tables -------------------------------------------------------------------------------------------------------


def _table(paths: list[str], most: int) -> Any:
    """One table of all files, checked throughout."""
    parts: list[Any] = []
    held = 0
    for path in paths:
        for part in _parts(path, most - held):
            held += max(part.nbytes, A_ROW * part.num_rows)
            if held > most:
                raise MemoryError
            parts.append(part)
    table = pa.concat_tables(parts, promote_options="permissive")
    table.validate(full=True)
    for _ in range(_DEEPEST):
        if not any(pa.types.is_struct(field.type) for field in table.schema):
            break
        table = table.flatten()
    if len(table.column_names) > MOST_COLUMNS:
        raise Refused(f"has {len(table.column_names)} columns, expected at most {MOST_COLUMNS}")
    return table


def _parts(path: str, most: int) -> Iterator[Any]:
    """Tables of what is stored together."""
    with open(path, "rb") as stream:
        start = stream.read(6)
        # pyarrow takes no name that is no UTF-8, which Linux alone has: such a file is called by its number.
        if path.encode(errors="replace").decode() != path:
            path = f"/proc/self/fd/{stream.fileno()}"
        yield from _parts_of(path, start, most)


def _parts_of(path: str, start: bytes, most: int) -> Iterator[Any]:
    """The same of a file that begins with `start`."""
    if start.startswith(b"PAR1"):
        yield from _row_groups(path, most)
    elif start == b"ARROW1":
        with pa.OSFile(path) as source, pa.ipc.open_file(source) as reader:
            if not reader.num_record_batches:
                yield reader.schema.empty_table()
            for i in range(reader.num_record_batches):
                yield pa.Table.from_batches([reader.get_batch(i)])
    else:
        with pa.OSFile(path) as source, pa.ipc.open_stream(source) as batches:
            yield batches.schema.empty_table()
            for batch in batches:
                yield pa.Table.from_batches([batch])


def _row_groups(path: str, most: int) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        facts = file.metadata
        claimed = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
        if max(claimed, A_ROW * facts.num_rows) > most:
            raise MemoryError
        if not facts.num_row_groups:
            yield file.schema_arrow.empty_table()
        for i in range(facts.num_row_groups):
            yield file.read_row_group(i, use_threads=False)


# --- Columns ------------------------------------------------------------------------------------------------------


def _columns(table: Any, most: int) -> tuple[list[tuple[dict[str, Any], list[np.ndarray]]], list[str]]:
    """(facts, arrays) of each column of numbers or short texts; the names of others."""
    found, skipped, held = [], [], 0
    for name, column in zip(table.column_names, table.columns, strict=True):
        read = _column(column)
        if read is None:
            skipped.append(name)
            continue
        facts, arrays = read
        held += sum(values.nbytes for values in arrays)
        if held > most:
            raise MemoryError
        found.append((facts | {"name": name}, arrays))
    return found, skipped


def _column(column: Any) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """Values [M, ...] and, of a column of lists, their lengths [rows]; texts as numbers that are the same for the same
    text. None if it is of another kind, or of lists within lists of several lengths."""
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    values = _plain(values)
    lengths, shape = None, []
    for depth in range(_DEEPEST):
        if not _is_list(values.type):
            break
        if values.null_count:
            return None
        counts = np.asarray(pa.compute.list_value_length(values).to_numpy(zero_copy_only=False), np.int64)
        values = _plain(values.flatten())
        if depth == 0:
            lengths = counts
        elif len(counts) and (counts != counts[0]).any():
            return None
        else:
            shape.append(int(counts[0]) if len(counts) else 0)
    text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if text and lengths is None:
        values = values.dictionary_encode().indices
    elif not (
        pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)
    ):
        return None
    numbers = values.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "O":  # booleans of which some are missing
        numbers = numbers.astype(np.float64)
    numbers = numbers.reshape([-1 if numbers.size else 0, *shape])
    facts = {"dtype": numbers.dtype.str, "shape": list(numbers.shape), "text": text, "lists": lengths is not None}
    return facts, [numbers] if lengths is None else [numbers, lengths]


def _plain(values: Any) -> Any:
    """The values that a column stores, of codes and of types of somebody's own."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.storage if isinstance(values, pa.ExtensionArray) else values


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


if __name__ == "__main__":
    main()
