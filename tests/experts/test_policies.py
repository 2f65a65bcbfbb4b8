"""Expert policies: a network small enough to run by hand, the paper's files, and all that can be wrong with one."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from trpo_gail.errors import UserError
from trpo_gail.experts.policies import paper_policy
from trpo_gail.runs.evaluate import saved_model
from trpo_gail.runs.experts import load_actor

# --- A closed form ------------------------------------------------------------------------------------------------


def write_policy(path: Path, kind: str = "GaussianPolicy", nonlinearity: str = "lrelu", as_bytes: bool = True) -> Path:
    """One input, two hidden units, two outputs. Normaliser: mean 1, mean square 5, so a standard deviation of 2."""
    spec = [{"type": "fc", "n": 2}, {"type": "nonlin", "func": nonlinearity}]
    args = json.dumps({"env_name": "Toy-v1", "policy_hidden_spec": json.dumps(spec)})
    with h5py.File(path, "w") as file:
        file.attrs["args"] = np.bytes_(args) if as_bytes else args
        for iteration in (0, 20):
            root = file.create_group(f"snapshots/iter{iteration:07d}/{kind}")
            root["hidden/FeedforwardNet/layer_0/AffineLayer/W"] = [[1.0, -1.0]]
            root["hidden/FeedforwardNet/layer_0/AffineLayer/b"] = [[0.0, 0.5]]
            root["out/AffineLayer/W"] = [[1.0, 0.0], [0.0, 100.0]]
            root["out/AffineLayer/b"] = [[0.25, float(iteration)]]
            root["obsnorm/Standardizer/count"] = 7.0
            root["obsnorm/Standardizer/mean_1_D"] = [[1.0]]
            root["obsnorm/Standardizer/meansq_1_D"] = [[5.0]]
            if kind == "GaussianPolicy":
                root["logstdevs_1_Da"] = [[math.log(0.5), math.log(2.0)]]
    return path


def test_a_gaussian_policy_by_hand(tmp_path: Path) -> None:
    policy = paper_policy.load_policy(write_policy(tmp_path / "p.h5"))
    z = 2 / (2 + 1e-6)  # of the observation 3
    mean = [z + 0.25, 100 * 0.01 * (0.5 - z) + 20]  # the second unit is below 0, so it leaks
    observation = np.array([[3.0]])
    np.testing.assert_allclose(policy.act(observation, np.zeros((1, 2))), [mean], rtol=1e-14)
    noise = np.array([[2.0, -1.0]])
    np.testing.assert_allclose(policy.act(observation, noise), [[mean[0] + 1.0, mean[1] - 2.0]], rtol=1e-14)
    assert (policy.noise_kind, policy.noise_size, policy.discrete) == ("normal", 2, False)


def test_tanh_layers_by_hand(tmp_path: Path) -> None:
    policy = paper_policy.load_policy(write_policy(tmp_path / "p.h5", nonlinearity="tanh"))
    z = 2 / (2 + 1e-6)
    expected = [math.tanh(z) + 0.25, 100 * math.tanh(0.5 - z) + 20]
    np.testing.assert_allclose(policy.act(np.array([[3.0]]), np.zeros((1, 2))), [expected], rtol=1e-14)


def test_a_gibbs_policy_samples_its_softmax(tmp_path: Path) -> None:
    policy = paper_policy.load_policy(write_policy(tmp_path / "p.h5", "GibbsPolicy"))
    assert (policy.noise_kind, policy.noise_size, policy.discrete) == ("gumbel", 2, True)
    n, rng = 100_000, np.random.default_rng(0)
    observation = np.full((n, 1), 21.0)  # standardised: 10
    logits = np.array([10 + 0.25, 100 * 0.01 * (0.5 - 10) + 20])
    actions = policy.act(observation, rng.gumbel(size=(n, 2)))
    assert actions.dtype == np.int64 and actions.shape == (n,)
    probability = 1 / (1 + math.exp(logits[0] - logits[1]))
    error = math.sqrt(probability * (1 - probability) / n)
    assert abs(actions.mean() - probability) < 4 * error
    assert (policy.act(observation[:3], np.zeros((3, 2))) == logits.argmax()).all(), "no noise: the mode"


def test_a_constant_observation_is_divided_by_the_floor(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "p.h5")
    with h5py.File(path, "a") as file:  # rounding may make a variance negative
        file["snapshots/iter0000020/GaussianPolicy/obsnorm/Standardizer/meansq_1_D"][...] = 1 - 1e-12
    assert paper_policy.load_policy(path).std.tolist() == [1e-6]


# --- Files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "bias"), [("", 20), (":iter0000000", 0), (":0", 0), (":20", 20)])
def test_the_last_snapshot_or_the_one_named(tmp_path: Path, suffix: str, bias: float) -> None:
    path = write_policy(tmp_path / "p.h5", as_bytes=not suffix)
    policy = paper_policy.load_policy(f"{path}{suffix}")
    assert policy.output[1][1] == bias
    assert policy.env_id == "Toy-v1" and len(policy.checksum) == 64
    assert policy.description == f"p.h5:iter{bias:07d} (GaussianPolicy, 2 lrelu)"


def test_rows_are_rounded_alike_in_any_batch(paper_experts: Path) -> None:
    policy = paper_policy.load_policy(paper_experts / "modern/log_Ant-v1_0.h5")
    rng = np.random.default_rng(0)
    observations, noise = rng.standard_normal((40, 111)), rng.standard_normal((40, 8))
    together = policy.act(observations, noise)
    for n in (1, 2, 3, 7, 16):
        np.testing.assert_array_equal(policy.act(observations[5 : 5 + n], noise[5 : 5 + n]), together[5 : 5 + n])


@pytest.mark.parametrize(
    ("file", "sizes", "description"),
    [
        ("classic/CartPole-v0.h5", (4, 2, True), "iter0000100 (GibbsPolicy, 64-64 tanh)"),
        ("modern/log_Hopper-v0_3.h5", (11, 3, False), "iter0000500 (GaussianPolicy, 50 lrelu)"),
        ("modern/walker_eb5b2e_1.h5", (17, 6, False), "iter0000480 (GaussianPolicy, 50 lrelu)"),
        ("modern/log_HalfCheetah-v0_2.h5", (17, 6, False), "iter0000500 (GaussianPolicy, 50 lrelu)"),
        ("modern/humanoid.h5", (376, 17, False), "iter0001940 (GaussianPolicy, 64-64 tanh)"),
    ],
)
def test_the_papers_files(paper_experts: Path, file: str, sizes: tuple[int, int, bool], description: str) -> None:
    policy = paper_policy.load_policy(paper_experts / file)
    assert (policy.observation_size, policy.action_size, policy.discrete) == sizes
    assert policy.description == f"{Path(file).name}:{description}"
    assert policy.env_id is not None and policy.env_id.split("-")[0].lower() in file.lower() + "walker2d"


def test_the_hopper_experts_noise_is_that_of_the_paper(paper_experts: Path) -> None:
    policy = paper_policy.load_policy(paper_experts / "modern/log_Hopper-v0_3.h5")
    assert policy.stdevs is not None
    np.testing.assert_allclose(policy.stdevs, [0.27, 0.37, 0.31], atol=0.005)


# --- What can be wrong --------------------------------------------------------------------------------------------


def edit(name: str, value: Any) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        del file[f"snapshots/iter0000020/GaussianPolicy/{name}"]
        if value is not None:
            file[f"snapshots/iter0000020/GaussianPolicy/{name}"] = value

    return apply


def args(value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__("args", value)


AFFINE = "hidden/FeedforwardNet/layer_0/AffineLayer"
MALFORMED = {
    "no weights": (edit(f"{AFFINE}/W", None), rf"'.*{AFFINE}/W' is missing"),
    "wrong weights": (edit(f"{AFFINE}/W", np.ones((2, 2))), r"weights 'W': expected shape \[1, 2\], found \[2, 2\]"),
    "wrong output": (edit("out/AffineLayer/W", np.ones((3, 2))), r"'W': expected shape \[2, 2\], found \[3, 2\]"),
    "NaN": (edit("out/AffineLayer/b", [[0, np.nan]]), r"out/AffineLayer/b': expected finite values, found nan"),
    "no normaliser": (edit("obsnorm/Standardizer/mean_1_D", None), r"Standardizer/mean_1_D' is missing"),
    "no noise": (edit("logstdevs_1_Da", None), r"logstdevs_1_Da' is missing"),
    "no arguments": (lambda file: file.attrs.__delitem__("args"), r"attribute 'args': expected JSON .*, found None"),
    "bad arguments": (args("{"), r"attribute 'args': expected JSON, found"),
    "bad layers": (args('{"policy_hidden_spec": "[1]"}'), r"policy_hidden_spec: expected a JSON list of layers"),
    "relu": (
        args('{"policy_hidden_spec": "[{\\"type\\": \\"fc\\"}, {\\"type\\": \\"nonlin\\", \\"func\\": \\"relu\\"}]"}'),
        r"policy_hidden_spec: expected pairs of fc and tanh or lrelu layers, found .*relu",
    ),
    "no policy": (lambda file: file.pop("snapshots/iter0000020/GaussianPolicy"), r"expected a GaussianPolicy or"),
}


@pytest.mark.parametrize(("damage", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_one_clear_line(tmp_path: Path, damage: Callable[[h5py.File], None], message: str) -> None:
    path = write_policy(tmp_path / "p.h5")
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(UserError, match=rf"p\.h5: .*{message}"):
        paper_policy.load_policy(path)


@pytest.mark.parametrize("snapshot", ["iter0000007", "7", "last"])
def test_a_snapshot_that_is_not_held(tmp_path: Path, snapshot: str) -> None:
    path = write_policy(tmp_path / "p.h5")
    with pytest.raises(UserError, match=rf"p\.h5: snapshot '{snapshot}' .* one of iter0000000 to iter0000020"):
        paper_policy.load_policy(f"{path}:{snapshot}")


def test_a_file_that_is_no_policy(tmp_path: Path, native: Path) -> None:
    with pytest.raises(UserError, match=r"demos\.h5: group 'snapshots' is missing, expected a policy file"):
        load_actor(native, "CartPole-v0")
    with pytest.raises(UserError, match=r"nowhere\.h5: no such file"):
        load_actor(tmp_path / "nowhere.h5", "CartPole-v0")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(UserError, match=r"text\.h5: not an HDF5 file"):
        load_actor(tmp_path / "text.h5", "CartPole-v0")


@pytest.mark.filterwarnings("error::UserWarning")  # torch would warn of the archive
def test_an_exported_network_is_no_policy_to_record(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(torch.nn.Linear(4, 2), torch.zeros(1, 4)).save(str(tmp_path / "policy.pt"))
    (tmp_path / "policy.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    for name in ("policy.pt", "policy.onnx"):
        with pytest.raises(UserError, match=rf"{name}: an exported network, .*: --policy RUN records the run"):
            load_actor(tmp_path / name, "CartPole-v1")
    assert saved_model(tmp_path / "policy.pt") is None


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{tmp_path.name}.*no .*checkpoint"):
        load_actor(tmp_path, "CartPole-v0")
