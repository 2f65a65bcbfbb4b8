"""A run's policy in a file that other programs run: TorchScript (FILE.pt) or ONNX (FILE.onnx), compared with `predict`.

The input `observations` is rows [B, O] in the dtype of the environment's observations, the output `actions` the
environment's own actions [B, *shape]. The file itself says what the columns are.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail.errors import UserError, absent, shortened
from trpo_gail.exports.policy_network import PolicyNetwork
from trpo_gail.runs.evaluate import Acting, read_policy
from trpo_gail.spaces.layout import Layout, leaves
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import whole_file

ROWS = 300  # to compare with; more than a batch of frames
FACTS = "trpo_gail.json"  # name of what a file says of itself
ONNX_VERSION = 17  # of its operations

Run = Callable[[np.ndarray], np.ndarray]  # a written policy: rows [B, O] -> actions


def check_name(path: str | Path) -> None:
    """Raise UserError for another kind of file than those that can be written."""
    if Path(path).suffix not in WRITERS:
        raise UserError(f"--policy {path}: a file {' or '.join(f'FILE{suffix}' for suffix in WRITERS)} expected")


def export_policy(run: str | Path, path: str | Path, which: str = "last") -> float:
    """Write a run's policy; returns the largest difference from `predict` on random observations.

    Raises UserError for another kind of file, for packages that are missing, and if the two differ by more than rounding.
    """
    out = Path(path)
    check_name(out)
    policy, config, spec, at = read_policy(run, which)
    network = PolicyNetwork(policy, spec).eval().requires_grad_(False)
    rows = _observations(spec, policy.normaliser.mean.numpy(), policy.normaliser.std.numpy())
    make, read = WRITERS[out.suffix]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, which would rather have other formats written
            content = make(network, torch.from_numpy(rows[:3]), _facts(spec, at))
            written = read(content)
            difference = _compared(written, Acting(policy.actor(), spec), rows, path, config.dtype)
        whole_file.write(out, content)
    except OSError as error:
        raise UserError(f"{path}: the policy could not be written ({error.strerror})") from error
    return difference


def _compared(written: Run, policy: Acting, rows: np.ndarray, path: str | Path, dtype: str) -> float:
    """The largest difference, of a policy of this dtype. Raises UserError if it is more than rounding makes."""
    layout = policy.spec.observations
    expected = np.asarray(policy.predict(layout.unflatten(rows)))
    found = np.concatenate([written(rows[:1]), written(rows[1:])])
    if found.shape != expected.shape:
        raise UserError(
            f"{path}: not written: actions of shape {found.shape}, {expected.shape} expected as of `predict`"
        )
    difference = np.abs(found.astype(np.float64) - expected).max()
    tolerance = 0.0
    if not policy.spec.executed.whole:
        wide = dtype == "float64" == str(expected.dtype)
        rounding = 1e-9 if wide else max(1e-4, float(np.finfo(expected.dtype).eps))
        tolerance = rounding * max(1.0, float(np.abs(expected).max()))
    if not difference <= tolerance:
        raise UserError(
            f"{path}: not written: actions differ by {difference:.2g} from those of `predict`, at most {tolerance:.2g} "
            "expected"
        )
    return float(difference)


def _observations(spec: EnvSpec, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Random rows [ROWS, O]: numbers about as training has seen them, labels and pixels of the space."""
    layout, rng, spaces = spec.observations, np.random.default_rng(0), dict(leaves(spec.observation_space))
    rows = np.zeros((ROWS, layout.size))
    for part in layout.parts:
        columns = part.columns
        if part.labels:
            edge = 0
            for count in part.labels:
                rows[np.arange(ROWS), columns.start + edge + rng.integers(0, count, ROWS)] = 1.0
                edge += count
        elif part.kind == "onehot":
            rows[:, columns] = rng.integers(0, 2, (ROWS, part.size))
        elif part.kind == "image":
            rows[:, columns] = _pixels(spaces[part.path], rng)
        else:
            rows[:, columns] = mean[columns] + 2.0 * std[columns] * rng.standard_normal((ROWS, part.size))
            if part.dtype.kind == "b":
                rows[:, columns] = rng.integers(0, 2, (ROWS, part.size))
            elif part.dtype.kind != "f":
                info = np.iinfo(part.dtype)
                rows[:, columns] = np.clip(np.round(rows[:, columns]), max(info.min, -1e6), min(info.max, 1e6))
    return layout.flatten(layout.unflatten(rows.astype(layout.dtype)))  # with the digits that each part has


def _pixels(space: Any, rng: np.random.Generator) -> np.ndarray:
    """Random images [ROWS, size] within the bounds, which are finite: a float may be of [0, 1]."""
    if space.dtype.kind == "f":
        return rng.uniform(space.low.ravel(), space.high.ravel(), (ROWS, space.low.size))
    low, high = (bound.ravel().astype(np.int64) for bound in (space.low, space.high))
    return rng.integers(low, high, (ROWS, low.size), endpoint=True)


def _facts(spec: EnvSpec, checkpoint: Path) -> dict[str, str]:
    """What a reader of the file must know."""
    shape = list(spec.executed_space.shape or ())
    told = {
        "environment": spec.id,
        "checkpoint": checkpoint.name,
        "observations": {"dtype": str(spec.observations.dtype), "size": spec.observation_size},
        "columns": _columns(spec.observations),
        "actions": {"space": str(spec.executed_space), "shape": shape},
    }
    return {FACTS: json.dumps(told, indent=1)}


def _columns(layout: Layout) -> list[dict[str, Any]]:
    """The parts in their order. A part with labels is one-hot codes, one for each of its numbers."""
    return [
        {
            "name": part.name, "first": part.columns.start, "size": part.size, "kind": part.kind,
            "shape": list(part.shape), "dtype": str(part.dtype), "labels": list(part.labels), "starts": list(part.starts),
        }
        for part in layout.parts
    ]  # fmt: skip


@contextlib.contextmanager
def _of_network(ending: str, instead: str = "") -> Iterator[None]:
    """Raise UserError for what torch cannot write: a network of the user's own may hold any operation."""
    try:
        yield
    except OSError:  # of the disk
        raise
    except Exception as error:  # torch raises many kinds
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--policy FILE.{ending}: torch cannot write this policy so ({shortened(said, 120)}){instead}"
        ) from error


# ---- TorchScript -----------------------------------------------------------------------------------------------------


def _torchscript(network: nn.Module, rows: Tensor, facts: dict[str, str]) -> bytes:
    # Without gradients, a network for images would cut a batch into pieces of a fixed number.
    with torch.enable_grad(), _of_network("pt"):
        traced = torch.jit.trace(network, rows, check_trace=False)
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files=facts)
    return buffer.getvalue()


def _of_torchscript(content: bytes) -> Run:
    network = torch.jit.load(io.BytesIO(content))
    return lambda rows: network(torch.from_numpy(rows)).numpy()


# ---- ONNX ------------------------------------------------------------------------------------------------------------


_NOT_IN_ONNX = (torch.uint16, torch.uint32, torch.uint64)  # of torch's exporter


def _onnx(network: nn.Module, rows: Tensor, facts: dict[str, str]) -> bytes:
    onnx = _imported("onnx")
    _imported("onnxruntime")
    if rows.dtype in _NOT_IN_ONNX:
        kind = str(rows.dtype).removeprefix("torch.")
        raise UserError(f"--policy FILE.onnx: torch writes no policy of {kind} observations so; write FILE.pt")
    with tempfile.TemporaryDirectory() as folder, torch.enable_grad():
        file = Path(folder) / "policy.onnx"
        with _of_network("onnx", "; write FILE.pt"):
            torch.onnx.export(
                network, (rows,), file, input_names=["observations"], output_names=["actions"], dynamo=False,
                dynamic_axes={"observations": {0: "rows"}, "actions": {0: "rows"}}, opset_version=ONNX_VERSION,
            )  # fmt: skip
        model = onnx.load(file)
    onnx.helper.set_model_props(model, facts)
    return bytes(model.SerializeToString())


def _of_onnx(content: bytes) -> Run:
    try:
        session = _imported("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    except UserError:
        raise
    except Exception as error:  # its errors have no class of their own; it has no convolutions in float64, for one
        reason = str(error).rpartition(" : ")[-1]
        raise UserError(
            f"--policy FILE.onnx: onnxruntime cannot run this policy ({reason:.80}); write FILE.pt"
        ) from error
    return lambda rows: session.run(["actions"], {"observations": rows})[0]


def _imported(name: str) -> Any:
    """Raises UserError if it is not installed."""
    try:
        if name == "onnx":
            import onnx

            return onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(f"--policy FILE.onnx: {absent(name, 'onnx', 'onnxruntime')}, or write FILE.pt") from error
    return onnxruntime


WRITERS: dict[str, tuple[Callable[[nn.Module, Tensor, dict[str, str]], bytes], Callable[[bytes], Run]]] = {
    ".pt": (_torchscript, _of_torchscript),
    ".onnx": (_onnx, _of_onnx),
}
