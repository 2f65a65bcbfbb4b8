"""Policies of Ho & Ermon, from the files of their code.

A policy file is an HDF5 tree of network snapshots, `/snapshots/iter0000500/GaussianPolicy/...`.
Evaluated in numpy and float64, as the original was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError, listed, shortened
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.policies import known
from trpo_gail.sampling.rollout import Noise

STD_FLOOR = 1e-6  # added to the normaliser's standard deviations, as the original does
LEAK = 0.01  # slope of the original's leaky rectifier below 0


@dataclass
class PaperPolicy:
    """One snapshot of a policy file; an Actor whose zero noise is the mode of its distribution."""

    noise_kind: Noise  # normal: a Gaussian policy; gumbel: a Gibbs one
    noise_size: int  # A
    mean: np.ndarray  # [O] of the observations' normaliser
    std: np.ndarray  # [O], the floor included
    hidden: tuple[tuple[np.ndarray, np.ndarray, str], ...]  # (W [I, H], b [H], nonlinearity) from input to output
    output: tuple[np.ndarray, np.ndarray]  # W [H, A], b [A]
    stdevs: np.ndarray | None  # [A] of a Gaussian policy's noise
    env_id: str | None  # as the file names it, e.g. Hopper-v0
    description: str
    checksum: str  # SHA-256 of the file
    licence: str | None = None  # of a file that is known by its checksum
    attribution: str | None = None
    action_view: str = "raw"

    @property
    def observation_size(self) -> int:
        return len(self.mean)

    @property
    def action_size(self) -> int:
        return len(self.output[1])

    @property
    def discrete(self) -> bool:
        return self.stdevs is None

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Raw actions [n, A] float64, or [n] int64, for observations [n, O] and noise [n, A]."""
        h = (np.asarray(observations, np.float64) - self.mean) / self.std
        for W, b, nonlinearity in self.hidden:
            h = _product(h, W) + b
            h = np.tanh(h) if nonlinearity == "tanh" else np.where(h > 0, h, LEAK * h)
        y = _product(h, self.output[0]) + self.output[1]
        if self.stdevs is None:
            return (y + noise).argmax(axis=1)  # logits + Gumbel noise: a softmax sample
        return y + self.stdevs * noise  # not clipped: nor was it in the original


def _product(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """x W, [n, I] by [I, J], each row rounded alike whatever n is. BLAS does not: recordings would depend on n."""
    return np.einsum("bi,ij->bj", x, W)


def load_policy(path: str | Path) -> PaperPolicy:
    """A policy file of the paper: its last snapshot, or the one after a colon, `FILE.h5:iter0000300` or `FILE.h5:300`.

    Raises UserError for a file that is missing, damaged, or not such a policy.
    """
    name, _, wanted = str(path).partition(".h5:")
    file_path = f"{name}.h5" if wanted else str(path)
    with hdf5.reading(file_path) as file:
        if not isinstance(file.get("snapshots"), h5py.Group) or not len(file["snapshots"]):
            raise UserError(f"{file_path}: group 'snapshots' is missing, expected a policy file of the paper")
        snapshot = _snapshot_name(file_path, sorted(file["snapshots"]), wanted)
        return _read_snapshot(file, file_path, snapshot)


def _snapshot_name(path: str, names: list[str], wanted: str) -> str:
    if not wanted:
        return names[-1]
    name = f"iter{int(wanted):07d}" if wanted.isdecimal() else wanted
    if name not in names:
        raise UserError(f"{path}: snapshot '{wanted}' is not in the file, expected one of {names[0]} to {names[-1]}")
    return name


def _read_snapshot(file: h5py.File, path: str, snapshot: str) -> PaperPolicy:
    args = _arguments(file, path)
    base = f"snapshots/{snapshot}"
    names = [name for name in ("GaussianPolicy", "GibbsPolicy") if f"{base}/{name}" in file]
    if not names:
        found = listed(sorted(file[base]))
        raise UserError(f"{path}: '{base}': expected a GaussianPolicy or a GibbsPolicy, found {found}")
    root, gaussian = f"{base}/{names[0]}", names[0] == "GaussianPolicy"
    normaliser = f"{root}/obsnorm/Standardizer"
    mean, meansq = _vector(file, path, f"{normaliser}/mean_1_D"), _vector(file, path, f"{normaliser}/meansq_1_D")
    hidden = _hidden_layers(file, path, root, args)
    output = _affine(file, path, f"{root}/out/AffineLayer")
    check_chain(path, len(mean), [*(layer[:2] for layer in hidden), output])
    stdevs = _stdevs(file, path, f"{root}/logstdevs_1_Da") if gaussian else None
    checksum = hdf5.sha256(path)
    origin = known.origin(checksum)
    widths = "-".join(str(len(b)) for _, b, _ in hidden) or "linear"
    return PaperPolicy(
        noise_kind="normal" if gaussian else "gumbel",
        noise_size=len(output[1]),
        mean=mean,
        std=np.sqrt(np.maximum(0.0, meansq - mean**2)) + STD_FLOOR,
        hidden=hidden,
        output=output,
        stdevs=stdevs,
        env_id=None if args.get("env_name") is None else str(args["env_name"]),
        description=f"{Path(path).name}:{snapshot} ({names[0]}, {widths} {hidden[0][2] if hidden else ''})",
        checksum=checksum,
        licence=origin.licence if origin else None,
        attribution=origin.attribution if origin else None,
    )


def _arguments(file: h5py.File, path: str) -> dict[str, Any]:
    args = hdf5.json_attribute(file, path, "args")
    if not isinstance(args, dict) or "policy_hidden_spec" not in args:
        raise UserError(f"{path}: attribute 'args': expected JSON with a policy_hidden_spec, found {args!r:.60}")
    return args


def _hidden_layers(
    file: h5py.File, path: str, root: str, args: dict[str, Any]
) -> tuple[tuple[np.ndarray, np.ndarray, str], ...]:
    """Layers come in pairs of an affine one and a nonlinearity, numbered together."""
    try:
        spec = json.loads(args["policy_hidden_spec"])
        shape = [(layer["type"], layer.get("func")) for layer in spec]
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: attribute 'args': policy_hidden_spec: expected a JSON list of layers") from error
    layers = []
    for i in range(0, len(shape), 2):
        pair = shape[i : i + 2]
        if len(pair) != 2 or pair[0][0] != "fc" or pair[1] not in (("nonlin", "tanh"), ("nonlin", "lrelu")):
            found = shortened(str(pair), 80)
            raise UserError(f"{path}: policy_hidden_spec: expected pairs of fc and tanh or lrelu layers, found {found}")
        W, b = _affine(file, path, f"{root}/hidden/FeedforwardNet/layer_{i}/AffineLayer")
        layers.append((W, b, str(pair[1][1])))
    return tuple(layers)


def _affine(file: h5py.File, path: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    W = hdf5.array(file, path, f"{name}/W", "f", "[inputs, outputs]", (2,)).astype(np.float64)
    return W, _vector(file, path, f"{name}/b")


def _vector(file: h5py.File, path: str, name: str) -> np.ndarray:
    return hdf5.array(file, path, name, "f", "[1, size]", (2,)).astype(np.float64).reshape(-1)


def _stdevs(file: h5py.File, path: str, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        stdevs = np.exp(_vector(file, path, name))
    if not np.isfinite(stdevs).all():
        raise UserError(
            f"{path}: dataset '{name}': expected logarithms of finite standard deviations, found {stdevs.max()}"
        )
    return stdevs


def check_chain(path: str, inputs: int, layers: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Raise UserError unless each layer takes what the one before it gives."""
    for W, b in layers:
        if W.shape != (inputs, len(b)):
            raise UserError(f"{path}: weights 'W': expected shape {[inputs, len(b)]}, found {list(W.shape)}")
        inputs = len(b)
