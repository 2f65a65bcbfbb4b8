"""Policy files of Stable-Baselines3, made by hand: what is read, by closed forms, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete

from trpo_gail.errors import UserError
from trpo_gail.experts.files import unpickling
from trpo_gail.experts.policies import heads, stable_baselines3
from trpo_gail.runs.experts import load_actor
from trpo_gail.spaces.spec import EnvSpec

SEEN = Box(-np.inf, np.inf, (2,), np.float32)
REAL = Box(np.array([-2.0], np.float32), np.array([6.0], np.float32))
LABEL = Discrete(3)


def reference(module: str, name: str) -> bytes:
    """The pickle of a class that need not exist here."""
    return f"c{module}\n{name}\n.".encode()


def pickled(content: bytes) -> dict[str, str]:
    return {":type:": "object", ":serialized:": base64.b64encode(content).decode()}


def write(
    path: Path,
    weights: dict[str, Any],
    actions: Any = REAL,
    policy: tuple[str, str] = ("stable_baselines3.common.policies", "ActorCriticPolicy"),
    seen: Any = SEEN,
    **more: Any,
) -> Path:
    data = {
        "policy_class": pickled(reference(*policy)),
        "observation_space": pickled(pickle.dumps(seen)),
        "action_space": pickled(pickle.dumps(actions)),
        "policy_kwargs": {},
        "use_sde": False,
        **more,
    }
    tensors = io.BytesIO()
    torch.save({name: torch.tensor(values, dtype=torch.float32) for name, values in weights.items()}, tensors)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", tensors.getvalue())
    return path


ONE = {"weight": [[1.0, 2.0]], "bias": [0.5]}  # to one number
THREE: dict[str, Any] = {"weight": [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], "bias": [0.0, 0.0, 0.0]}
ROWS = np.array([[0.1, -0.2], [1.0, 2.0], [-3.0, 0.4]], np.float32)
LINEAR = ROWS @ np.array([1.0, 2.0], np.float32) + 0.5  # of ONE


def layer(name: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": value for key, value in values.items()}


def to_bounds(scaled: np.ndarray) -> np.ndarray:
    return -2.0 + 0.5 * (scaled + 1.0) * 8.0


def acted(path: Path, noise: float = 0.0) -> np.ndarray:
    actor = load_actor(path, "Toy-v0")
    return actor.act(ROWS, np.full((3, actor.noise_size), noise))


# ---- the families ----------------------------------------------------------------------------------------------------


def test_an_actor_critic_is_clipped(tmp_path: Path) -> None:
    path = write(tmp_path / "p.zip", layer("action_net", ONE) | {"log_std": [np.log(0.5)]})
    np.testing.assert_allclose(acted(path)[:, 0], np.clip(LINEAR, -2, 6), atol=1e-6)
    np.testing.assert_allclose(acted(path, 3.0)[:, 0], np.clip(LINEAR + 1.5, -2, 6), atol=1e-6)
    actor: Any = load_actor(path, "Toy-v0")
    assert (actor.observation_size, actor.action_size, actor.discrete, actor.action_view) == (2, 1, False, "executed")
    assert actor.description == "p.zip (Stable-Baselines3, PPO, A2C or TRPO)" and len(actor.checksum) == 64


@pytest.mark.parametrize(("given", "function"), [(None, np.tanh), ("ReLU", lambda x: np.maximum(x, 0))])
def test_hidden_layers_and_activations(tmp_path: Path, given: str | None, function: Any) -> None:
    eye = {"weight": [[1.0, 0.0], [0.0, 1.0]], "bias": [0.1, 0.2]}
    weights = layer("mlp_extractor.policy_net.0", eye) | layer("mlp_extractor.policy_net.2", eye)
    kwargs = pickle.dumps({"x": 1})
    if given:  # a dict with a class in it, as cloudpickle refers to one
        kwargs = b"}S'activation_fn'\nctorch.nn.modules.activation\n" + given.encode() + b"\ns."
    path = write(tmp_path / "p.zip", weights | layer("action_net", THREE), LABEL, policy_kwargs=pickled(kwargs))
    bias = np.array([0.1, 0.2])
    h = function(function(ROWS + bias) + bias)
    values = h @ np.array(THREE["weight"]).T
    assert acted(path).tolist() == values.argmax(axis=1).tolist()
    actor = load_actor(path, "Toy-v0")
    gumbel = np.random.default_rng(0).gumbel(size=(3, 3))
    assert (
        actor.noise_kind == "gumbel" and actor.act(ROWS, gumbel).tolist() == (values + gumbel).argmax(axis=1).tolist()
    )


def test_noise_that_depends_on_the_state(tmp_path: Path) -> None:
    weights = layer("action_net", ONE) | {"log_std": [[np.log(0.5)], [np.log(0.1)]]}
    path = write(tmp_path / "p.zip", weights, use_sde=True)
    std = np.sqrt((ROWS**2) @ [0.25, 0.01] + 1e-6)
    np.testing.assert_allclose(acted(path, -1.0)[:, 0], np.clip(LINEAR - std, -2, 6), atol=1e-5)


def test_sac_is_squashed_to_the_bounds(tmp_path: Path) -> None:
    weights = layer("actor.mu", ONE) | layer("actor.log_std", {"weight": [[0.0, 0.0]], "bias": [np.log(0.5)]})
    path = write(tmp_path / "p.zip", weights, policy=("stable_baselines3.sac.policies", "SACPolicy"))
    np.testing.assert_allclose(acted(path)[:, 0], to_bounds(np.tanh(LINEAR)), atol=1e-5)
    np.testing.assert_allclose(acted(path, 1.0)[:, 0], to_bounds(np.tanh(LINEAR + 0.5)), atol=1e-5)


def test_sac_with_gsde_clips_its_mean(tmp_path: Path) -> None:
    weights = layer("actor.mu.0", ONE) | {"actor.log_std": [[0.0], [0.0]]}
    path = write(tmp_path / "p.zip", weights, policy=("sb3_contrib.tqc.policies", "TQCPolicy"), use_sde=True)
    np.testing.assert_allclose(acted(path)[:, 0], to_bounds(np.tanh(np.clip(LINEAR, -2, 2))), atol=1e-5)


def test_td3_is_deterministic(tmp_path: Path) -> None:
    path = write(tmp_path / "p.zip", layer("actor.mu.0", ONE), policy=("stable_baselines3.td3.policies", "TD3Policy"))
    assert load_actor(path, "Toy-v0").noise_size == 0
    np.testing.assert_allclose(acted(path)[:, 0], to_bounds(np.tanh(LINEAR)), atol=1e-5)


def test_values_and_quantiles(tmp_path: Path) -> None:
    best = (ROWS @ np.array(THREE["weight"]).T).argmax(axis=1).tolist()
    dqn = ("stable_baselines3.dqn.policies", "DQNPolicy")
    assert acted(write(tmp_path / "a.zip", layer("q_net.q_net.0", THREE), LABEL, dqn)).tolist() == best
    twice: Any = {name: [*values, *values] for name, values in THREE.items()}  # two quantiles that are alike
    path = write(tmp_path / "b.zip", layer("quantile_net.quantile_net.0", twice), LABEL, dqn)
    assert acted(path).tolist() == best


@pytest.mark.parametrize(("name", "squashed"), [("ARSPolicy", True), ("ARSLinearPolicy", False)])
def test_random_search(tmp_path: Path, name: str, squashed: bool) -> None:
    path = write(tmp_path / "p.zip", layer("action_net.0", ONE), policy=("sb3_contrib.ars.policies", name))
    expected = to_bounds(np.tanh(LINEAR)) if squashed else np.clip(LINEAR, -2, 6)
    np.testing.assert_allclose(acted(path)[:, 0], expected, atol=1e-5)


# ---- observations ----------------------------------------------------------------------------------------------------

STATISTICS = (
    b"cstable_baselines3.common.vec_env.vec_normalize\nVecNormalize\n)\x81}(S'obs_rms'\n"
    b"cstable_baselines3.common.running_mean_std\nRunningMeanStd\n)\x81}(S'mean'\n%sS'var'\n%sub"
    b"S'clip_obs'\nF1.5\nS'epsilon'\nF0.0\nS'norm_obs'\nI01\nub."
)


def array(values: list[float]) -> bytes:
    """The opcodes of an array, without the frame of a pickle."""
    return b"".join([pickle.dumps(np.array(values), protocol=2)[2:-1]])


@pytest.mark.parametrize("where", ["vecnormalize.pkl", "p/vecnormalize.pkl", "Toy-v0/vecnormalize.pkl"])
def test_observations_are_normalised(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "Toy-v0_1"
    (folder / where).parent.mkdir(parents=True)
    path = write(folder / "p.zip", layer("action_net", ONE) | {"log_std": [0.0]})
    (folder / where).write_bytes(STATISTICS % (array([1.0, 0.0]), array([4.0, 1.0])))
    z = np.clip((ROWS - [1.0, 0.0]) / [2.0, 1.0], -1.5, 1.5)
    np.testing.assert_allclose(acted(path)[:, 0], np.clip(z @ [1.0, 2.0] + 0.5, -2, 6), atol=1e-6)
    actor: Any = load_actor(path, "Toy-v0")
    assert "normalised by vecnormalize.pkl" in actor.description


def test_statistics_of_another_size(tmp_path: Path) -> None:
    path = write(tmp_path / "p.zip", layer("action_net", ONE) | {"log_std": [0.0]})
    (tmp_path / "vecnormalize.pkl").write_bytes(STATISTICS % (array([1.0]), array([4.0])))
    with pytest.raises(
        UserError, match=r"vecnormalize\.pkl: observation statistics: expected 2 as p\.zip has, found 1"
    ):
        load_actor(path, "Toy-v0")


def test_a_time_feature_is_made_here(tmp_path: Path) -> None:
    low, high = np.array([-9.0, 0.0], np.float32), np.array([9.0, 1.0], np.float32)
    path = write(tmp_path / "p.zip", layer("action_net", ONE) | {"log_std": [0.0]}, seen=Box(low, high))
    policy = stable_baselines3.read(path)
    spec = EnvSpec("Toy-v0", "gymnasium", observation_space=Box(-1, 1, (1,)), max_episode_steps=4)
    actor = policy.for_env(spec)
    assert actor.observation_size == 1 and policy.observation_size == 2
    for _ in range(2):
        actor.begin()
        for step in range(3):
            action = actor.act(np.array([[0.25]], np.float32), np.zeros((1, 1)))
            assert action.tolist() == [[0.25 + 2 * (1 - step / 4) + 0.5]]
    assert policy.for_env(EnvSpec("Toy-v0", "gymnasium", observation_space=Box(-1, 1, (2,)))) is policy


# ---- refusals --------------------------------------------------------------------------------------------------------

GAUSSIAN = layer("action_net", ONE) | {"log_std": [0.0]}


@pytest.mark.parametrize(
    ("weights", "changes", "said"),
    [
        (
            GAUSSIAN,
            {"policy": ("my_module", "MyPolicy")},
            "expected one of stable_baselines3 or sb3_contrib, found my_module",
        ),
        (GAUSSIAN | {"lstm_actor.weight_ih_l0": [[0.0]]}, {}, "a recurrent policy"),
        (GAUSSIAN | {"features_extractor.cnn.0.weight": [[0.0]]}, {}, "features extractor of its own"),
        (GAUSSIAN, {"policy": ("sb3_contrib.common.maskable.policies", "MaskablePolicy")}, "action masks"),
        (GAUSSIAN | {"actor.latent_pi.1.running_var": [0.0]}, {}, "layers that are not linear"),
        (GAUSSIAN, {"seen": Dict(x=SEEN)}, "observation_space: expected a Box or a Discrete space, found Dict"),
        (GAUSSIAN, {"seen": Box(0, 1, (3,))}, "expected weights for 3 observations"),
        (GAUSSIAN | {"log_std": [np.nan]}, {}, "'log_std': expected finite numbers"),
        ({"other.weight": [[0.0]]}, {}, "a policy that is not known, with weights other.weight"),
        (layer("action_net", ONE), {}, "weights are missing or of other shapes"),
        (GAUSSIAN, {"policy_kwargs": {"activation_fn": "mine"}}, "activation_fn: expected one of ReLU"),
    ],
)
def test_what_cannot_be_had_is_refused(tmp_path: Path, weights: Any, changes: Any, said: str) -> None:
    if changes.get("policy_kwargs"):
        weights = layer("mlp_extractor.policy_net.0", {"weight": [[1.0, 0.0], [0.0, 1.0]]}) | weights
    with pytest.raises(UserError, match=said) as refused:
        load_actor(write(tmp_path / "p.zip", weights, **changes), "Toy-v0")
    assert str(refused.value).startswith(str(tmp_path))


def test_no_code_of_a_file_runs(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    evil = f"cos\nsystem\n(S'touch {touched}'\ntR.".encode()
    path = write(tmp_path / "p.zip", GAUSSIAN, policy_class=pickled(evil))
    with pytest.raises(UserError):
        load_actor(path, "Toy-v0")
    path = write(tmp_path / "q.zip", GAUSSIAN)
    (tmp_path / "vecnormalize.pkl").write_bytes(evil)
    with pytest.raises(UserError, match="expected a VecNormalize"):
        load_actor(path, "Toy-v0")
    (tmp_path / "vecnormalize.pkl").unlink()
    with zipfile.ZipFile(path) as archive:
        data = archive.read("data")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", data)
        archive.writestr("policy.pth", evil)
    with pytest.raises(UserError, match=r"policy\.pth"):
        load_actor(path, "Toy-v0")
    assert not touched.exists()


def test_weights_that_claim_more_than_they_store(tmp_path: Path) -> None:
    path = write(tmp_path / "p.zip", GAUSSIAN)
    with zipfile.ZipFile(path) as archive:
        data = archive.read("data")
    tensors = io.BytesIO()
    torch.save({"action_net.weight": torch.zeros(1).expand(10**6, 10**6)}, tensors)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", data)
        archive.writestr("policy.pth", tensors.getvalue())
    with pytest.raises(UserError, match="expected at most 67108864 weights, found 1000000000000"):
        load_actor(path, "Toy-v0")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", data)
        archive.writestr("policy.pth", bytes(2**28 + 1))
    with pytest.raises(UserError, match=r"member 'policy\.pth': expected at most 268435456 bytes"):
        load_actor(path, "Toy-v0")


def test_damaged_files(tmp_path: Path) -> None:
    content = write(tmp_path / "p.zip", GAUSSIAN).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(content)
        for at in rng.integers(0, len(content), 6):
            broken[at] = int(rng.integers(256))
        (tmp_path / "b.zip").write_bytes(broken)
        try:
            load_actor(tmp_path / "b.zip", "Toy-v0")
        except UserError:
            continue


# ---- pickles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_are_themselves(protocol: int) -> None:
    value = {
        "a": [np.arange(6.0).reshape(2, 3), (np.float32(2.5), "x")],
        "b": np.array([1, 2], ">i4"),
        "c": {"d": None},
    }
    found = unpickling.loads(pickle.dumps(value, protocol), "x")
    np.testing.assert_array_equal(found["a"][0], value["a"][0])
    np.testing.assert_array_equal(found["b"], [1, 2])
    assert found["a"][1] == (2.5, "x") and found["c"] == {"d": None}


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"]" * 9, b"cos\nsystem\n", pickle.dumps(list(range(9)))[:-3], b"]q\x00h\x00a."]
)
def test_damaged_pickles(content: bytes) -> None:
    with contextlib.suppress(UserError):
        unpickling.loads(content, "x")


def test_an_array_that_claims_more_than_it_holds() -> None:
    honest = pickle.dumps(np.zeros(3), protocol=2)
    with pytest.raises(UserError, match="another size than it states"):
        unpickling.loads(honest.replace(b"K\x03\x85", b"K\xff\x85"), "x")


def test_every_family_has_a_name() -> None:
    assert len({family for *_, family in heads._FAMILIES}) == len(heads._FAMILIES)
