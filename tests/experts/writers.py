"""Files of rows, or of batches, as others write them: arrays by their names, in a folder."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest


def npz(path: Path, rows: Mapping[str, Any]) -> Path:
    np.savez(path / "x.npz", **rows)
    return path / "x.npz"


def pickled(path: Path, rows: Any) -> Path:
    (path / "x.pkl").write_bytes(pickle.dumps(rows))
    return path / "x.pkl"


def lines(path: Path, rows: Mapping[str, Any]) -> Path:
    """A line of JSON for each index of the first axis: a step, or an episode of a batch."""
    count = len(next(iter(rows.values())))
    each = [{name: np.asarray(values[i]).tolist() for name, values in rows.items()} for i in range(count)]
    (path / "x.jsonl").write_text("\n".join(map(json.dumps, each)))
    return path / "x.jsonl"


def hdf5(path: Path, rows: Mapping[str, Any]) -> Path:
    with h5py.File(path / "x.h5", "w") as file:
        for name, values in rows.items():
            file[{"obs": "observations"}.get(name, name)] = values
    return path / "x.h5"


def parquet(path: Path, rows: Mapping[str, Any]) -> Path:
    pyarrow, tables = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    tables.write_table(pyarrow.table({name: values.tolist() for name, values in rows.items()}), path / "x.parquet")
    return path / "x.parquet"
