"""An exported reward is the one that training pays."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from repeats import every
from runs import ROBOT, SPACES, batch, first, in_own_structure, make_run, resumed, toy_envs

from trpo_gail import RewardFunction, RewardWrapper, UserError
from trpo_gail.adversaries.pay import LEAST
from trpo_gail.cli import main
from trpo_gail.exports.write_reward import export_reward
from trpo_gail.runs import checkpoint
from trpo_gail.sampling.transitions import Transitions

CASES = [
    *((kind, "gail", {}) for kind in SPACES),
    ("box", "gail", {"actions": "executed", "dtype": "float64", "discriminator.reward": "log(D)"}),
    ("robot", "gail", {"discriminator.ignore": ("camera",), "normalise_from_expert": True}),
    ("box", "gail", {"discriminator.inputs": ("state", "next_state", "done"), "discriminator.loss": "least-squares"}),
    ("label", "gail", {"discriminator.spectral_norm": True, "discriminator.dropout": 0.3}),
    ("box", "gail", {"discriminator.reward_normalise": "standardise", "discriminator.reward_clip": 2.0}),
    ("box", "airl", {"discriminator.spectral_norm": True}),
    ("label", "airl", {"airl.shaping": False}),
    ("box", "fem", {}),
    ("label", "gtal", {}),
]


def expected_pay(kind: str, adversary: Any, seen: Transitions) -> np.ndarray:
    """What training pays; AIRL's reward for other policies; what FEM and GTAL pay before these rows move their shift."""
    made: np.ndarray = (adversary.reward if kind == "gail" else adversary.pays)(seen)
    return made


@pytest.mark.parametrize(("kind", "adversary", "given"), every(2, CASES))
def test_it_pays_what_training_pays(kind: str, adversary: str, given: dict[str, Any], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", kind, adversary=adversary, **given)
    export_reward(folder, tmp_path / "reward.pt")
    with resumed(folder) as learner:
        seen, spec = batch(learner), learner.sampler.env.spec
        expected = expected_pay(adversary, learner.adversary, seen)
    (tmp_path / "run").rename(tmp_path / "gone")
    reward = RewardFunction.load(tmp_path / "reward.pt")
    obs, act, next_obs, done = in_own_structure(seen, spec)
    paid = reward(obs, act, next_obs, done)
    assert paid.dtype == np.float64 and paid.shape == (len(seen),) and np.ptp(paid) > 1e-3
    if spec.action_scaling:  # back to [-1, 1] and from it, rounded twice
        np.testing.assert_allclose(paid, expected, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(paid, expected)
    alone = [reward(first(obs, n), act[n], first(next_obs, n), done[n]) for n in range(3)]
    assert {np.shape(x) for x in alone} == {()}
    np.testing.assert_allclose(alone, paid[:3], rtol=1e-5)  # a product of one row is rounded otherwise
    assert (reward.env_id, reward.iteration) == (spec.id, 2)
    assert (reward.observation_space, reward.action_space) == SPACES[kind]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("box") / "run", "box")


@pytest.fixture(scope="module")
def reward(box: Path) -> RewardFunction:
    return export_reward(box, box.parent / "reward.pt")


@pytest.fixture(scope="module")
def of_robot(tmp_path_factory: pytest.TempPathFactory) -> RewardFunction:
    folder = tmp_path_factory.mktemp("robot")
    return export_reward(make_run(folder / "run", "robot"), folder / "reward.pt")


def test_other_dtypes_pay_the_same(reward: RewardFunction) -> None:
    obs, act = np.array([[0.1, 0.2, 0.3]], np.float32), np.array([[0.5, -0.25]], np.float32)
    expected = reward(obs, act, obs, [False])
    wide = reward(obs.astype(np.float64), act.astype(np.float64), None, np.array([0.0]))
    lists = reward(obs.tolist(), act.tolist(), obs.tolist(), [0])
    np.testing.assert_array_equal([wide, lists], [expected, expected])
    assert reward(torch.from_numpy(obs), act, obs, [True]) == expected
    assert reward(obs[:0], act[:0], obs[:0], []).shape == (0,)


def test_running_normalisation_is_on_or_off(tmp_path: Path) -> None:
    """On: (r - mean) / std of the statistics in the file, then the factor; the std is at least a tenth of the root mean
    square. Off: r times the factor."""
    given = {"discriminator.reward_normalise": "standardise", "discriminator.reward_scale": 0.5}
    export_reward(make_run(tmp_path / "run", "box", **given), tmp_path / "reward.pt")
    on, off = (RewardFunction.load(tmp_path / "reward.pt", normalised=is_on) for is_on in (True, False))
    running = checkpoint.read_sealed(tmp_path / "reward.pt", "reward file")["learned"]["pay"]["running"]
    mean, std = float(running["mean"]), float(torch.sqrt(running["meansq"] - running["mean"] ** 2))
    std = max(std, LEAST * float(torch.sqrt(running["meansq"])))
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((9, 3)), rng.uniform(-1, 1, (9, 2)), None, np.zeros(9, bool)
    assert abs(mean) > 0.1 and (off(*rows) > 0.0).all()  # 0.5 * -log(1-D)
    np.testing.assert_allclose(on(*rows), 0.5 * (off(*rows) / 0.5 - mean) / std, rtol=1e-12)
    again = RewardFunction.load(tmp_path / "reward.pt")
    for _ in range(3):  # no statistics move
        np.testing.assert_array_equal(on(*rows), again(*rows))
    env = RewardWrapper(gymnasium.make(on.env_id), off)
    obs, _ = env.reset(seed=0)
    following, paid, terminated, _, _ = env.step(np.zeros(2, np.float32))
    assert paid == off(obs, np.zeros(2), following, terminated) != on(obs, np.zeros(2), following, terminated)


@pytest.mark.parametrize(
    ("adversary", "given"), [("gail", {"discriminator.reward_clip": 1.0}), ("airl", {}), ("fem", {})]
)
def test_what_was_not_normalised_is_paid_as_it_is(adversary: str, given: dict[str, Any], tmp_path: Path) -> None:
    export_reward(make_run(tmp_path / "run", "box", adversary=adversary, **given), tmp_path / "reward.pt")
    on, off = (RewardFunction.load(tmp_path / "reward.pt", normalised=is_on) for is_on in (True, False))
    rows = np.ones((2, 3)), np.zeros((2, 2)), np.ones((2, 3)), [False, True]
    np.testing.assert_array_equal(on(*rows), off(*rows))


OBS, ACT = np.zeros(3), np.zeros(2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.zeros(4), ACT, OBS, False), "obs of shape (4,), (3,) or (n, 3) expected"),
        ((OBS, np.zeros(3), OBS, False), "act of shape (3,), (2,) or (n, 2) expected"),
        ((OBS, ACT, np.zeros((2, 2)), False), "next_obs of shape (2, 2), (3,) or (n, 3) expected"),
        ((OBS, np.zeros((2, 2)), OBS, False), "act: a batch of 2 given, one step expected as of obs"),
        (
            (np.zeros((3, 3)), np.zeros((2, 2)), None, [0] * 3),
            "act: a batch of 2 given, a batch of 3 expected as of obs",
        ),
        ((OBS, ACT, OBS, [False]), "done: bool of shape (1,) given, booleans of shape () expected"),
        ((OBS, ACT, OBS, 2), "done: 2 given, booleans of shape () expected"),
        ((np.array([0, np.nan, 0]), ACT, OBS, False), "obs: nan in 1 of 3 numbers"),
        ((OBS, np.array([np.inf, 0]), OBS, False), "act: inf in 1 of 2 numbers"),
        ((OBS, ACT, np.array([0, 1e300, 0]), False), "next_obs: 1e+300 given, numbers of float32 expected"),
        (({"x": OBS}, ACT, OBS, False), "obs: values of object, numbers expected"),
        (([[1.0], [1.0, 2.0]], ACT, OBS, False), "obs: no array of numbers: setting an array element"),
        (("ab", ACT, OBS, False), "obs: values of <U2, numbers expected"),
    ],
)
def test_mistakes_end_in_one_line(reward: RewardFunction, given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        reward(*given)
    assert "\n" not in str(error.value)


def test_mistakes_in_parts_and_labels(of_robot: RewardFunction, tmp_path: Path) -> None:
    good, act = ROBOT.sample(), np.zeros(2)
    assert np.isfinite(of_robot(good, act, good, False))
    as_floats = good | {"camera": good["camera"].astype(float)}
    assert of_robot(as_floats, act, good, False) == of_robot(good, act, good, False)
    for change, message in (
        ({"camera": good["camera"] / 255.0}, "obs 'camera': 0.\\d+ given, numbers of uint8 expected"),
        ({"mode": np.int64(2)}, "obs 'mode': 2 is no label"),
        ({"speed": np.zeros(3)}, "obs 'speed' of shape \\(3,\\), \\(2,\\) or \\(n, 2\\) expected"),
    ):
        with pytest.raises(UserError, match=message):
            of_robot(good | change, act, good, False)
    del good["mode"]
    with pytest.raises(UserError, match=r"^obs: expected an observation with the part 'mode', found "):
        of_robot(good, act, good, False)
    labels = export_reward(make_run(tmp_path / "run", "labels"), tmp_path / "reward.pt")
    assert np.isfinite(labels(2, [1, -1], 5, False))
    for labelled, message in (
        ([0, -1], "act: 0 is no label"),
        ([1, 1], "act: 1 is no label"),
        ([1.5, 0], "act: 1.5 given"),
    ):
        with pytest.raises(UserError, match=message):
            labels(2, labelled, 5, False)


# ---- files -----------------------------------------------------------------------------------------------------------


def content(box: Path) -> dict[str, Any]:
    made: dict[str, Any] = checkpoint.read_sealed(box.parent / "reward.pt", "reward file")
    return made


def test_a_file_names_no_path_and_holds_no_optimiser(box: Path, reward: RewardFunction) -> None:
    held = content(box)
    assert held["config"]["expert"] in (None, "demonstrations.h5")
    assert set(held["learned"]) == {"network", "form", "pay"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "something"}, "not a reward file of trpo_gail (it holds something else)"),
        ({"format": 99}, "not a reward file of this version (format 1 expected, found 99)"),
        ({"learned": {}}, "a damaged reward file (KeyError"),
        ({"observations": "nonsense"}, "a damaged reward file (TypeError"),
    ],
)
def test_other_files_are_refused(
    box: Path, reward: RewardFunction, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    checkpoint.write_sealed(tmp_path / "other.pt", content(box) | change, "reward file")
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'other.pt'}: {message}")):
        RewardFunction.load(tmp_path / "other.pt")


def test_a_file_imports_no_code_that_it_names(box: Path, reward: RewardFunction, tmp_path: Path) -> None:
    for flag in ("adversary", "generator"):
        held = content(box)
        held["config"][flag] = "antigravity:geohash"
        checkpoint.write_sealed(tmp_path / "other.pt", held, "reward file")
        with pytest.raises(UserError, match=f"{flag} 'antigravity:geohash': expected one of "):
            RewardFunction.load(tmp_path / "other.pt")


def test_a_damaged_file_is_noticed(box: Path, reward: RewardFunction, tmp_path: Path) -> None:
    data = bytearray((box.parent / "reward.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "other.pt").write_bytes(data)
    with pytest.raises(UserError, match="not a reward file of trpo_gail, or damaged"):
        RewardFunction.load(tmp_path / "other.pt")
    with pytest.raises(UserError, match="no such file"):
        RewardFunction.load(tmp_path / "none.pt")


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command(box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, policy = tmp_path / "reward.pt", tmp_path / "policy.pt"
    assert main(["export", str(box), "--reward", str(out), "--policy", str(policy)]) == 0
    said = capsys.readouterr().out
    name = toy_envs.env_id(*SPACES["box"])
    assert said.startswith(f"{out}: reward of gail on {name} after iteration 2\n{policy}: policy; ")
    assert np.isfinite(RewardFunction.load(out)(OBS, ACT, OBS, False))
    for given, message in (
        ([], "--reward FILE or --policy FILE expected"),
        (["--reward", str(out)], f"--reward {out}: exists already, a new file expected"),
        (["--reward", str(tmp_path / "no" / "x.pt")], "no does not exist"),
        (
            ["--reward", str(tmp_path / "x.pt"), "--policy", str(tmp_path / "x.pt")],
            "x.pt given for both, two files expected",
        ),
        (
            ["--reward", str(tmp_path / "x.pt"), "--policy", str(tmp_path / "y.xyz")],
            "a file FILE.pt or FILE.onnx expected",
        ),
        (["--reward", ""], "--reward: an empty text given, as of a shell's variable that is not set; a value expected"),
        (["--reward", str(tmp_path / "x.pt"), "--best"], "--snapshot best (--best): expected with --policy"),
        (["--policy", str(tmp_path / "x.pt"), "--expert", "demos.h5"], "--expert: expected with --reward"),
        (["--reward", str(tmp_path / "x.pt"), "--expert", "demos.h5"], "demos.h5: no such file, the demonstrations of"),
        (["--policy", str(tmp_path / "x.zip")], "a file FILE.pt or FILE.onnx expected"),
    ):
        assert main(["export", str(box), *given]) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1, said
    assert not (tmp_path / "x.pt").exists()


def test_moved_demonstrations(box: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    box.rename(moved)
    try:
        export_reward(moved, tmp_path / "reward.pt")  # its own copy is found
        kept = moved / "demonstrations.h5"
        if not kept.exists():
            (kept,) = moved.rglob("*.h5")
        kept.rename(tmp_path / "demos.h5")
        with pytest.raises(UserError, match="no such file"):
            export_reward(moved, tmp_path / "again.pt")
        export_reward(moved, tmp_path / "again.pt", str(tmp_path / "demos.h5"))
        other = make_run(tmp_path / "other", "label")
        (other_demos,) = other.rglob("*.h5")
        with pytest.raises(UserError, match="SHA-256 differs"):
            export_reward(moved, tmp_path / "third.pt", str(other_demos))
        (tmp_path / "demos.h5").rename(kept)
    finally:
        moved.rename(box)


@pytest.mark.parametrize("adversary", ["constant", "env_reward"])
def test_a_run_without_a_learned_reward(adversary: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", "box", adversary=adversary)
    with pytest.raises(UserError, match=f"--adversary {adversary} learns no reward: expected a run that imitates"):
        export_reward(folder, tmp_path / "reward.pt")
    given = {"discriminator.absorbing": True, "sampling": "episodes"}
    absorbing = make_run(tmp_path / "absorbing", "box", **given)
    with pytest.raises(UserError, match="with absorbing states an end is paid by the time that is left"):
        export_reward(absorbing, tmp_path / "reward.pt")
    with pytest.raises(UserError, match="no checkpoint of a run here"):
        export_reward(tmp_path, tmp_path / "reward.pt")


def test_it_learns_in_gymnasiums_own_environment(reward: RewardFunction) -> None:
    """The id that the file names makes an environment of its spaces."""
    env = gymnasium.make(reward.env_id)
    assert (env.observation_space, env.action_space) == (reward.observation_space, reward.action_space)


def test_it_can_be_pickled(reward: RewardFunction) -> None:
    """As another process needs it."""
    obs, act = reward.observation_space.sample(), reward.action_space.sample()
    again = pickle.loads(pickle.dumps(reward))
    assert again(obs, act, obs, False) == reward(obs, act, obs, False)
