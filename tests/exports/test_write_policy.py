"""An exported policy acts as `predict` does, without this package."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict
from repeats import every
from runs import SPACES, make_run, toy_envs
from torch import Tensor

from trpo_gail import UserError, load_policy
from trpo_gail.exports import write_policy
from trpo_gail.exports.policy_network import PolicyNetwork
from trpo_gail.exports.write_policy import export_policy
from trpo_gail.spaces.spec import EnvSpec

# torch would rather have torch.export's files, which only Python reads.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:DeprecationWarning")

CASES = [
    *((kind, {}) for kind in SPACES if kind != "counts"),
    ("scaled", {"actions": "executed", "policy.init_log_std": 1.0}),
    ("box", {"actions": "executed", "action_scaling": False, "policy.observation_clip": None, "dtype": "float64"}),
    ("robot", {"policy.normalise_observations": False}),
]


@pytest.mark.parametrize(("kind", "given"), every(2, CASES))
def test_torchscript_and_onnx(kind: str, given: dict[str, Any], tmp_path: Path) -> None:
    """Also from observations that were not compared when it was written, and one at a time."""
    folder = make_run(tmp_path / "run", kind, **given)
    assert export_policy(folder, tmp_path / "policy.pt") < 1e-5
    policy, space = load_policy(folder), SPACES[kind][0]
    space.seed(5)
    samples = [space.sample() for _ in range(7)]
    rows = np.concatenate([_rows(policy.spec.observations, sample) for sample in samples])
    expected = np.stack([policy.predict(sample) for sample in samples])
    assert expected.dtype == SPACES[kind][1].dtype  # an environment may take no other
    network = torch.jit.load(tmp_path / "policy.pt")
    runs = {"pt": lambda x: network(torch.from_numpy(x)).numpy()}
    if _has_onnx():
        import onnxruntime

        export_policy(folder, tmp_path / "policy.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
        runs["onnx"] = lambda x: session.run(["actions"], {"observations": x})[0]
    for run in runs.values():
        found = run(rows)
        assert found.shape == expected.shape and found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(run(rows[2:3]), expected[2:3], rtol=1e-5, atol=1e-5)


def _rows(layout: Any, sample: Any) -> np.ndarray:
    one = {name: np.asarray(value)[None] for name, value in sample.items()} if isinstance(sample, dict) else None
    made: np.ndarray = layout.flatten(np.asarray(sample)[None] if one is None else one)
    return made


def _has_onnx() -> bool:
    try:
        import onnx
        import onnxruntime
    except ImportError:
        return False
    return bool(onnx and onnxruntime)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("box") / "run", "box")


def test_a_file_says_what_its_columns_are(tmp_path: Path) -> None:
    export_policy(make_run(tmp_path / "run", "robot"), tmp_path / "policy.pt")
    facts = {"trpo_gail.json": ""}
    torch.jit.load(io.BytesIO((tmp_path / "policy.pt").read_bytes()), _extra_files=facts)
    told = json.loads(facts["trpo_gail.json"])
    assert told["observations"] == {"dtype": "float32", "size": 2 + 6 * 6 * 3 + 2}
    columns = [(part["name"], part["first"], part["size"], part["kind"]) for part in told["columns"]]
    assert columns == [("camera", 0, 108, "image"), ("mode", 108, 2, "onehot"), ("speed", 110, 2, "vector")]
    assert told["columns"][1]["starts"] == [3] and told["actions"]["shape"] == [2]


def test_a_file_that_differs_is_not_written(box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = PolicyNetwork.forward

    def other(self: PolicyNetwork, rows: Tensor) -> Tensor:
        return forward(self, rows) + 1e-3

    monkeypatch.setattr(PolicyNetwork, "forward", other)
    with pytest.raises(UserError, match=r"not written: actions differ by 0.001 from those of `predict`, at most"):
        export_policy(box, tmp_path / "policy.pt")
    monkeypatch.setattr(PolicyNetwork, "forward", lambda self, rows: forward(self, rows)[:, :1])
    with pytest.raises(UserError, match=r"not written: actions of shape \(300, 1\), \(300, 2\) expected"):
        export_policy(box, tmp_path / "policy.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_package_that_is_missing(missing: str, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    if not _has_onnx() and missing == "onnxruntime":
        monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(UserError, match=f"{missing} is not installed: pip install onnx onnxruntime, or write FILE.pt"):
        export_policy(box, tmp_path / "policy.onnx")
    assert not list(tmp_path.iterdir())


def test_what_onnxruntime_cannot_run(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    folder = make_run(tmp_path / "run", "picture", dtype="float64")
    assert export_policy(folder, tmp_path / "policy.pt") == 0.0
    with pytest.raises(UserError, match=r"onnxruntime cannot run this policy .*write FILE.pt"):
        export_policy(folder, tmp_path / "policy.onnx")


def test_what_torch_cannot_write(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    folder = make_run(tmp_path / "run", "counts")
    assert export_policy(folder, tmp_path / "policy.pt") == 0.0
    with pytest.raises(UserError, match=r"torch writes no policy of uint16 observations so; write FILE.pt"):
        export_policy(folder, tmp_path / "policy.onnx")
    assert capfd.readouterr().out == "" and not (tmp_path / "policy.onnx").exists()


@pytest.mark.parametrize("ending", ["pt", "onnx"])
def test_an_operation_that_torch_cannot_write(
    ending: str, box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network of the user's own."""
    if ending == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")

    def fail(*given: Any, **more: Any) -> None:
        raise RuntimeError("Exporting the operator 'aten::own' is not supported\nand more")

    monkeypatch.setattr(torch.jit, "trace", fail)
    monkeypatch.setattr(torch.onnx, "export", fail)
    said = r"FILE\.(pt|onnx): torch cannot write this policy so \(Exporting .* is not supported\)(; write FILE.pt)?$"
    with pytest.raises(UserError, match=said):
        export_policy(box, tmp_path / f"policy.{ending}")
    assert not list(tmp_path.iterdir())


def test_the_best_policy(box: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no periodic evaluation yet"):
        export_policy(box, tmp_path / "policy.pt", "best")


def test_random_observations_are_of_the_space(box: Path) -> None:
    for kind in ("robot", "labels", "picture"):
        spec = _spec(kind)
        rows = write_policy._observations(spec, np.zeros(spec.observation_size), np.ones(spec.observation_size))
        again = spec.observations.flatten(spec.observations.unflatten(rows))
        np.testing.assert_array_equal(again, rows)
        assert rows.dtype == spec.observations.dtype and (rows[0] != rows[1]).any()


def test_random_images_are_within_their_bounds() -> None:
    """Whose pixels a network divides by the largest."""
    kinds: dict[str, Any] = {"share": Box(0, 1, (6, 6, 3)), "signed": Box(-0.5, 0.5, (6, 6))}
    kinds["depth"] = Box(10, 20, (6, 6), np.int16)
    space = Dict({**kinds, "camera": Box(0, 255, (6, 6, 3), np.uint8)})
    spec = EnvSpec("Seen-v0", "gymnasium", {}, space, images=tuple(kinds))
    rows = write_policy._observations(spec, np.zeros(spec.observation_size), np.ones(spec.observation_size))
    assert all(part.kind == "image" for part in spec.observations.parts)
    for part in spec.observations.parts:
        box, drawn = space[part.path[0]], rows[:, part.columns]
        assert isinstance(box, Box) and drawn.std() > 0.2 * float(box.high.max() - box.low.min())
        assert (drawn >= box.low.min()).all() and (drawn <= box.high.max()).all()


def test_a_policy_of_float_images_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPACES, "share", (Box(0, 1, (6, 6, 3), np.float32), Box(-1, 1, (2,), np.float32)))
    folder = make_run(tmp_path / "run", "share", **{"policy.images": ("",)})
    assert export_policy(folder, tmp_path / "policy.pt") < 1e-6


def _spec(kind: str) -> Any:
    import toys

    return toys.spec_of(toy_envs.env_id(*SPACES[kind]))
