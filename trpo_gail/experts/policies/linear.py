"""Linear policies in NumPy archives: action = M (o - mean) / std.

ARS writes one array of objects, `arr_0`: M [A, O], mean [O], std [O]. A plain archive holds `M`, or `weights` or `W`,
and may hold `mean`, `std` and a `bias` [A].
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts.files import hdf5, unpickling
from trpo_gail.sampling.rollout import Noise

NAME = "a linear policy (.npz)"
LARGEST = 64 * 2**20  # bytes of all arrays
_MATRIX = ("M", "weights", "W")


@dataclass
class LinearPolicy:
    """Deterministic, of real actions, which it gives as they are."""

    matrix: np.ndarray  # [A, O]
    bias: np.ndarray  # [A]
    mean: np.ndarray  # [O]
    std: np.ndarray  # [O]
    description: str
    checksum: str
    noise_kind: Noise = "normal"
    noise_size: int = 0
    discrete: bool = False
    action_view: str = "raw"

    @property
    def observation_size(self) -> int:
        return int(self.matrix.shape[1])

    @property
    def action_size(self) -> int:
        return int(self.matrix.shape[0])

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Actions [n, A] float64 for observations [n, O]; noise is not used."""
        z = (np.asarray(observations, np.float64) - self.mean) / self.std
        return np.einsum("bo,ao->ba", z, self.matrix) + self.bias


def holds(path: Path) -> bool:
    """Whether it is an archive of arrays: ARS's, or with a matrix by one of its names."""
    names = _names(path)
    return names == {"arr_0"} or bool(names & set(_MATRIX))


def read(path: Path) -> LinearPolicy:
    """Raises UserError for arrays that are no linear policy."""
    found = _arrays(path)
    name = next((name for name in _MATRIX if name in found), None)
    if name is None:
        raise UserError(f"{path}: a linear policy: expected an array among {', '.join(_MATRIX)}, found {listed(found)}")
    matrix = _numbers(found[name], path, name)
    if matrix.ndim == 1:
        matrix = matrix[None]
    if matrix.ndim != 2:
        raise UserError(f"{path}: array '{name}': expected [action size, observation size], found {list(matrix.shape)}")
    sizes = {"bias": (matrix.shape[0], 0.0), "mean": (matrix.shape[1], 0.0), "std": (matrix.shape[1], 1.0)}
    parts = {}
    for part, (size, default) in sizes.items():
        values = _numbers(found[part], path, part) if part in found else np.full(size, default)
        if values.shape != (size,):
            raise UserError(f"{path}: array '{part}': expected {[size]} as '{name}' has, found {list(values.shape)}")
        parts[part] = values
    if not (parts["std"] > 0).all():
        raise UserError(f"{path}: array 'std': expected numbers above 0, found {parts['std'].min()}")
    sized = (parts["bias"], parts["mean"], parts["std"])
    return LinearPolicy(matrix, *sized, description=f"{path.name} (linear)", checksum=hdf5.sha256(path))


def _names(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return set()


def _arrays(path: Path) -> Mapping[str, Any]:
    """The archive's arrays; ARS's one array of objects as its three."""
    found: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.file_size > LARGEST:
                    raise UserError(
                        f"{path}: {info.filename}: expected at most {LARGEST} bytes, found {info.file_size}"
                    )
                name = info.filename.removesuffix(".npy")
                found[name] = _array(archive.read(info), f"{path}: array '{name}'")
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: a damaged NumPy archive: {error}") from error
    parts = found.get("arr_0")
    if isinstance(parts, np.ndarray) and parts.dtype.kind == "O":
        if len(parts) != 3:
            raise UserError(f"{path}: array 'arr_0': expected M, mean and std, as ARS writes them, found {len(parts)}")
        return dict(zip(("M", "mean", "std"), parts, strict=True))
    return {"M": found["arr_0"]} if set(found) == {"arr_0"} else found


def _array(content: bytes, where: str) -> Any:
    """Numbers as they are; objects through the restricted unpickler, which runs nothing."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    if header(stream)[2].hasobject:
        return unpickling.loads(content[stream.tell() :], where)
    return np.load(io.BytesIO(content), allow_pickle=False)


def _numbers(values: Any, path: Path, name: str) -> np.ndarray:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise UserError(f"{path}: array '{name}': expected numbers, found {type(values).__name__}")
    if not np.isfinite(values).all():
        raise UserError(f"{path}: array '{name}': expected finite values")
    return values.astype(np.float64)
