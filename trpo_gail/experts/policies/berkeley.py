"""Pickles of Berkeley's course on deep reinforcement learning: the paper's networks as nested dicts of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trpo_gail.errors import UserError, listed
from trpo_gail.experts.files import hdf5, unpickling
from trpo_gail.experts.policies import paper_policy
from trpo_gail.experts.policies.paper_policy import STD_FLOOR, PaperPolicy

NAME = "a policy of Berkeley's course (.pkl)"
_POLICY = "GaussianPolicy"


def holds(path: Path) -> bool:
    """Whether it is a pickle that names the policy near its beginning."""
    with open(path, "rb") as stream:
        start = stream.read(4096)
    return start[:1] == b"\x80" and _POLICY.encode() in start


def read(path: Path) -> PaperPolicy:
    """Raises UserError for a pickle of another layout, and for nonlinearities that the paper's policies do not have."""
    tree = unpickling.load(path)
    kind = tree.get("nonlin_type") if isinstance(tree, dict) else None
    if kind not in ("tanh", "lrelu"):
        raise UserError(f"{path}: 'nonlin_type': expected 'tanh' or 'lrelu', found {kind!r:.60}")
    normaliser = f"{_POLICY}/obsnorm/Standardizer"
    mean, meansq = (_at(tree, f"{normaliser}/{name}", path).reshape(-1) for name in ("mean_1_D", "meansq_1_D"))
    folder = f"{_POLICY}/hidden/FeedforwardNet"
    layers = sorted(_group(tree, folder, path), key=lambda name: int(name.rpartition("_")[2]))
    hidden = tuple((*_affine(tree, f"{folder}/{name}", path), kind) for name in layers)
    output = _affine(tree, f"{_POLICY}/out", path)
    paper_policy.check_chain(str(path), len(mean), [*(layer[:2] for layer in hidden), output])
    widths = "-".join(str(len(b)) for _, b, _ in hidden) or "linear"
    return PaperPolicy(
        noise_kind="normal",
        noise_size=len(output[1]),
        mean=mean,
        std=np.sqrt(np.maximum(0.0, meansq - mean**2)) + STD_FLOOR,
        hidden=hidden,
        output=output,
        stdevs=np.exp(_at(tree, f"{_POLICY}/logstdevs_1_Da", path).reshape(-1)),
        env_id=None,
        description=f"{path.name} ({_POLICY}, {widths} {kind})",
        checksum=hdf5.sha256(path),
    )


def _affine(tree: Any, name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    weights = _at(tree, f"{name}/AffineLayer/W", path)
    if weights.ndim != 2:
        raise UserError(f"{path}: '{name}/AffineLayer/W': expected [inputs, outputs], found {list(weights.shape)}")
    return weights, _at(tree, f"{name}/AffineLayer/b", path).reshape(-1)


def _group(tree: Any, name: str, path: Path) -> dict[str, Any]:
    for part in name.split("/"):
        tree = tree.get(part) if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not all(str(key).rpartition("_")[2].isdecimal() for key in tree):
        raise UserError(f"{path}: '{name}': expected layers, found {listed(tree) if tree else 'nothing'}")
    return tree


def _at(tree: Any, name: str, path: Path) -> np.ndarray:
    """The array at a path of keys, float64."""
    for part in name.split("/"):
        tree = tree.get(part) if isinstance(tree, dict) else None
    if not isinstance(tree, np.ndarray) or tree.dtype.kind != "f" or not np.isfinite(tree).all():
        raise UserError(f"{path}: '{name}': expected an array of finite floats, found {type(tree).__name__}")
    return tree.astype(np.float64)
