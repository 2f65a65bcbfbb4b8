"""Tensors as a safetensors file: a header in JSON, then their bytes. Reading one runs nothing that it holds.

The library of that name is not needed. What is written here it reads, and the other way round.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trpo_gail.errors import UserError

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8,
    "BOOL": torch.bool,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LONGEST = 100_000_000  # bytes of a header, as the format says
_FACTS = "__metadata__"


def write(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> bytes:
    """The file's bytes; the same content gives the same. Raises UserError for a dtype that is not written."""
    header: dict[str, Any] = {_FACTS: dict(facts)}
    parts: list[bytes] = []
    end = 0
    # The largest elements first: each tensor then begins at a multiple of its element's size.
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):
        tensor = tensors[name].detach().cpu().contiguous()
        if tensor.dtype not in _NAMES:
            raise UserError(
                f"tensor {name!r}: {tensor.dtype} is not written, expected one of {', '.join(_NAMES.values())}"
            )
        parts.append(tensor.numpy().tobytes())
        start, end = end, end + len(parts[-1])
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def read(data: bytes, where: str) -> dict[str, Tensor]:
    """The tensors by name. Raises UserError, beginning with `where`, for a file that is none, is cut, or holds gaps."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(_LONGEST, len(data) - 8):
        raise UserError(f"{where}: no safetensors file, or cut: its header is not whole")
    try:
        header = json.loads(data[8 : 8 + length])
        entries = {name: entry for name, entry in header.items() if name != _FACTS}
        spans = [(*map(int, entry["data_offsets"]), name) for name, entry in entries.items()]
        body, end = memoryview(data)[8 + length :], 0
        found: dict[str, Tensor] = {}
        for start, stop, name in sorted(spans):
            dtype, shape = _DTYPES[entries[name]["dtype"]], tuple(map(int, entries[name]["shape"]))
            size = math.prod(shape) * dtype.itemsize
            if start != end or stop - start != size or stop > len(body) or min(shape, default=0) < 0:
                raise ValueError(f"tensor {name!r} is not where the header says")
            found[name] = _tensor(body[start:stop], dtype, shape)
            end = stop
        if end != len(body):
            raise ValueError("bytes of no tensor")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{where}: a damaged safetensors file ({str(error)[:80]})") from error
    return found


def _tensor(data: memoryview, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    flat = np.frombuffer(data, np.uint8).copy()
    return torch.from_numpy(flat).view(dtype).reshape(shape) if len(flat) else torch.zeros(shape, dtype=dtype)
