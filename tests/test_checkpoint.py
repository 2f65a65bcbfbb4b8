"""Checkpoints: there and back to the bit, whole or not at all, and nothing in them is run."""

from __future__ import annotations

import dataclasses
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import beside
import numpy as np
import pytest
import torch
import toys
from disk import full_disk
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import Config, DiscriminatorConfig, PolicyConfig
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.records import Record
from trpo_gail.runs import checkpoint, run_folder
from trpo_gail.runs.evaluate import load_policy
from trpo_gail.spaces import alike
from trpo_gail.spaces.spec import ActionView, EnvSpec

WORKERS = Workers()
CONFIG = Config(
    "toys:Walk-v0", num_envs=2, timesteps_per_batch=60, restart_every=2, d_step=2,
    policy=PolicyConfig(hidden_sizes=(8,)), discriminator=DiscriminatorConfig(hidden_size_adversary=8),
)  # fmt: skip


def learner_of(config: Config) -> Learner:
    env, rng = vector.make(config.env, config.num_envs, "gymnasium"), np.random.default_rng(0)
    actions = rng.integers(0, 2, 30) if env.spec.actions.whole else rng.standard_normal((30, env.spec.action_size))
    expert = toys.pairs(rng.standard_normal((30, env.spec.observation_size)), actions)
    return make_learner(config, env, expert, WORKERS)


def trained(epochs: int, config: Config = CONFIG, learner: Learner | None = None) -> Learner:
    learner = learner or learner_of(config)
    for _ in range(epochs):
        iteration(learner, config, WORKERS)
    return learner


def save(folder: Path, learner: Learner, config: Config = CONFIG, view: ActionView = "raw") -> Path:
    folder.mkdir(exist_ok=True)
    return checkpoint.save(folder, learner, config, learner.sampler.env.spec.viewed(view), WORKERS)


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """A nest of dictionaries and lists as flat names and bytes or numbers; times apart."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() if key != "wall_s" for k, v in flat(item, f"{name}.{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for key, item in enumerate(value) for k, v in flat(item, f"{name}.{key}").items()}
    return {name: np.asarray(value).tobytes() if isinstance(value, torch.Tensor | np.ndarray) else value}


# ---- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["steps", "episodes"])
@pytest.mark.parametrize("env_id", ["toys:Walk-v0", "CartPole-v0"])
@pytest.mark.parametrize("k", [1, 2, 3])  # within a restart's epochs and at their end
def test_k_plus_m_epochs_are_k_save_resume_m(k: int, env_id: str, sampling: str, tmp_path: Path) -> None:
    config = changed(CONFIG, {"env": env_id, "sampling": sampling})
    learner = trained(k, config)
    path = save(tmp_path, learner, config)
    assert path.name == f"iteration_000000{k}.pt" == checkpoint.last_path(tmp_path).name
    resumed = learner_of(config)
    checkpoint.restore(path, resumed)
    assert flat(resumed.state_dict()) == flat(learner.state_dict())
    expected, got = (flat(trained(2, config, x).state_dict()) for x in (learner, resumed))
    assert got == expected
    assert got != flat(trained(2, config).state_dict()), "a blind control"


@pytest.mark.parametrize("env_id", ["toys:Walk-v0", "CartPole-v0"])
def test_what_a_checkpoint_was_made_with_comes_back(env_id: str, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, env=env_id)
    learner = learner_of(config)
    path = save(tmp_path, learner, config)
    state = checkpoint.read(path)
    assert checkpoint.config_of(state, path) == config
    assert checkpoint.spec_of(state) == learner.sampler.env.spec


def test_a_loaded_policy_acts_as_the_learners(tmp_path: Path) -> None:
    learner = trained(2)
    rng = np.random.default_rng(0)
    observations, noise = rng.standard_normal((9, 3)), 5 * rng.standard_normal((9, 2))
    expected = learner.policy.actor().act(observations, noise)
    assert np.abs(expected).max() > 1
    save(tmp_path, learner)
    np.testing.assert_array_equal(load_policy(tmp_path).act(observations, noise), expected)
    save(tmp_path, learner, view="executed")
    np.testing.assert_array_equal(load_policy(tmp_path).act(observations, noise), np.clip(expected, -1, 1))


def test_the_last_few_are_kept_and_the_best(tmp_path: Path) -> None:
    learner = learner_of(CONFIG)
    assert checkpoint.last_path(tmp_path) is None
    with pytest.raises(UserError, match="no best checkpoint"):
        load_policy(tmp_path, "best")
    save(tmp_path, learner)
    checkpoint.save_best(tmp_path, learner, CONFIG, learner.sampler.env.spec, WORKERS)
    best = learner.policy.actor()
    for _ in range(5):
        save(tmp_path, trained(1, learner=learner))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.pt", "iteration_0000003.pt", "iteration_0000004.pt", "iteration_0000005.pt"]
    x, zero = np.ones((4, 3)), np.zeros((4, 2))
    np.testing.assert_array_equal(load_policy(tmp_path, "best").act(x, zero), best.act(x, zero))
    assert (load_policy(tmp_path).act(x, zero) != best.act(x, zero)).all()


def test_ranks_that_have_come_apart_do_not_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers()
    monkeypatch.setattr(workers, "gather", lambda value: [value, "another"] if isinstance(value, str) else [value])
    learner = learner_of(CONFIG)
    with pytest.raises(RuntimeError, match="the ranks' policies differ"):
        checkpoint.save(tmp_path, learner, CONFIG, learner.sampler.env.spec, workers)
    assert not list(tmp_path.iterdir())


# ---- within an iteration ---------------------------------------------------------------------------------------------


def unfinished(folder: Path, learner: Learner, row: dict[str, float | int | None]) -> Path:
    return checkpoint.save(folder, learner, CONFIG, learner.sampler.env.spec, WORKERS, row)


def test_ranks_whose_parameters_are_the_same_in_another_order_have_come_apart(tmp_path: Path) -> None:
    """No sum of them shows that. All ranks say so, so none waits for another."""
    learners = [learner_of(CONFIG), learner_of(CONFIG)]
    with torch.no_grad():
        layer = learners[1].policy.net.layers[0]
        layer.weight.copy_(layer.weight.flip(0))

    def on_rank(workers: Workers) -> str:
        learner = learners[workers.rank]
        with pytest.raises(RuntimeError) as error:
            checkpoint.save(tmp_path, learner, CONFIG, learner.sampler.env.spec, workers)
        return str(error.value)

    assert ["the ranks' policies differ" in said for said in beside.on_two_ranks(on_rank)] == [True, True]
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_holds_no_demonstrations(tmp_path: Path) -> None:
    """Its tensors have the same sizes, whatever the number of the expert's rows."""
    found = []
    for rows in (30, 3000):
        learner, rng = learner_of(CONFIG), np.random.default_rng(1)
        expert = toys.pairs(rng.standard_normal((rows, 3)), rng.standard_normal((rows, 2)))
        learner = make_learner(CONFIG, learner.sampler.env, expert, WORKERS)
        path = save(tmp_path / str(rows), trained(1, learner=learner))
        state = flat(torch.load(path, weights_only=True))
        found.append({name: len(value) for name, value in state.items() if isinstance(value, bytes)})
    assert found[0] == found[1]


def test_a_row_that_is_not_logged_yet_is_kept(tmp_path: Path) -> None:
    learner = trained(1)
    row: Record = {"iteration": 1, "steps": 60, "kl": np.float64(1 / 3), "return_mean": None}
    path = unfinished(tmp_path, learner, row)
    assert path.name == "unfinished_0000001.pt" and checkpoint.last_path(tmp_path) == path
    resumed = learner_of(CONFIG)
    assert checkpoint.restore(path, resumed) == row
    assert flat(resumed.state_dict()) == flat(learner.state_dict())
    assert checkpoint.restore(save(tmp_path, learner), resumed) is None


def test_one_of_within_an_iteration_goes_with_the_next(tmp_path: Path) -> None:
    """And the last few are as if it had never been."""
    learner = learner_of(CONFIG)
    row: dict[str, float | int | None] = {"iteration": 1}

    def names() -> list[str]:
        return sorted(f"{p.stem[:2]}{int(p.stem[-2:])}" for p in (tmp_path / "checkpoints").iterdir())

    for _ in range(4):
        unfinished(tmp_path, learner, row)
        save(tmp_path, learner)
        trained(1, learner=learner)
    assert names() == ["it1", "it2", "it3"]
    for number in (4, 5):
        unfinished(tmp_path, learner, row)
        assert names() == ["it1", "it2", "it3", f"un{number}"]
        assert checkpoint.last_path(tmp_path) == tmp_path / "checkpoints" / f"unfinished_000000{number}.pt"
        trained(1, learner=learner)
    save(tmp_path, learner)
    assert names() == ["it2", "it3", "it6"]


# ---- whole or not at all ---------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Learner, Path]:
    """A learner, and its checkpoint of one iteration."""
    learner = trained(1)
    return learner, save(tmp_path, learner)


def assert_the_one_before_is_good(folder: Path, path: Path, before: bytes) -> None:
    assert checkpoint.last_path(folder) == path and path.read_bytes() == before
    checkpoint.restore(path, learner_of(CONFIG))


def test_a_full_disk_leaves_the_one_before(tmp_path: Path, saved: tuple[Learner, Path]) -> None:
    learner, path = saved
    before = path.read_bytes()
    trained(1, learner=learner)
    with full_disk(), pytest.raises(UserError, match=r"iteration_0000002\.pt: .*No space left on device"):
        save(tmp_path, learner)
    assert_the_one_before_is_good(tmp_path, path, before)
    assert [p.name for p in path.parent.iterdir()] == [path.name], "something was left behind"


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_being_killed_while_writing_leaves_the_one_before(
    call: str, tmp_path: Path, saved: tuple[Learner, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, path = saved
    before = path.read_bytes()
    trained(1, learner=learner)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for name in (call, "unlink"):  # nor does whoever is killed tidy up
            patch.setattr(os, name, killed)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, learner)
    assert list(path.parent.glob("*.part"))
    assert_the_one_before_is_good(tmp_path, path, before)
    assert save(tmp_path, learner) == checkpoint.last_path(tmp_path)


# ---- what is none ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"nonsense", pickle.dumps({"format": 1}), "torn", "tensor", "dict"])
def test_what_is_not_a_checkpoint_is_named(content: Any, tmp_path: Path, saved: tuple[Learner, Path]) -> None:
    path = tmp_path / "x.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "torn":
        path.write_bytes(saved[1].read_bytes()[:-1000])
    elif content is not None:
        torch.save(torch.ones(2) if content == "tensor" else {"format": 77}, path)
    with pytest.raises(UserError, match=r"x\.pt: (not|no such file,) a checkpoint") as caught:
        checkpoint.read(path)
    assert "\n" not in str(caught.value)


# ---- damage ----------------------------------------------------------------------------------------------------------


def without_seal(path: Path) -> bytes:
    """As an earlier version wrote it."""
    content = path.read_bytes()
    assert content[-71:-64] == b"sha256:"
    return content[:-73] + b"\0\0"


def read(path: Path) -> dict[str, Any] | str:
    """What a checkpoint holds, flat; or what is said of it."""
    try:
        return flat(checkpoint.read(path))
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_flipped_bit_is_noticed_or_changes_nothing(
    sealed: bool, tmp_path: Path, saved: tuple[Learner, Path], rng: np.random.Generator
) -> None:
    path, expected = tmp_path / "x.pt", read(saved[1])
    whole = saved[1].read_bytes() if sealed else without_seal(saved[1])
    path.write_bytes(whole)
    assert read(path) == expected
    ends = [*range(0, 300, 2), *range(len(whole) - 3000, len(whole) - 100, 13), *range(len(whole) - 100, len(whole))]
    noticed = 0
    for position in (*ends, *rng.integers(len(whole), size=300)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        found = read(path)
        if isinstance(found, str):
            assert found.startswith(f"{path}: not a checkpoint") and "\n" not in found and len(found) < 240
        else:
            assert found == expected, position
        noticed += isinstance(found, str)
    assert noticed > (0.98 if sealed else 0.4) * (len(ends) + 300)


def test_a_seal_hides_nothing_from_other_readers(saved: tuple[Learner, Path]) -> None:
    state = torch.load(saved[1], weights_only=True)
    assert flat(state) == flat(checkpoint.read(saved[1]))
    with zipfile.ZipFile(saved[1]) as file:
        assert file.testzip() is None and file.comment.startswith(b"sha256:")


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Checkpoints of a run of three iterations, and its best."""
    learner = learner_of(CONFIG)
    paths = [save(tmp_path, trained(1, learner=learner)) for _ in range(3)]
    checkpoint.save_best(tmp_path, learner, CONFIG, learner.sampler.env.spec, WORKERS)
    return paths


def test_a_damaged_one_names_the_last_good_one(tmp_path: Path, three: list[Path]) -> None:
    x, noise = np.ones((4, 3)), np.zeros((4, 2))
    good = load_policy(tmp_path).act(x, noise)
    spoil(three[2])
    spoil(three[1])
    with pytest.raises(UserError, match=r"0003\.pt: .*SHA-256 differs.*last good one is iteration_0000001\.pt"):
        load_policy(tmp_path)
    np.testing.assert_array_equal(load_policy(tmp_path, "best").act(x, noise), good)
    spoil(checkpoint.best_path(tmp_path))
    with pytest.raises(UserError, match=r"best\.pt: .*SHA-256 differs.*without --snapshot best, or by load_policy"):
        load_policy(tmp_path, "best")
    spoil(three[0])
    with pytest.raises(UserError, match=r"0003\.pt: .*no checkpoint of this run is good"):
        load_policy(tmp_path)


def test_damaged_ones_are_set_aside_for_the_last_good_one(tmp_path: Path, three: list[Path]) -> None:
    assert checkpoint.last_good(tmp_path) == (three[2], [])
    spoil(three[2])
    three[1].write_bytes(b"")
    assert checkpoint.last_good(tmp_path) == (three[0], [three[2], three[1]])
    assert checkpoint.last_path(tmp_path) == three[0]
    learner = learner_of(CONFIG)
    checkpoint.restore(three[0], learner)
    for _ in range(5):
        save(tmp_path, trained(1, learner=learner))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert [n for n in names if "damaged" in n] == ["iteration_0000002.pt.damaged", "iteration_0000003.pt.damaged"]
    assert [n for n in names if n.endswith(".pt")] == ["best.pt", *(f"iteration_000000{k}.pt" for k in (4, 5, 6))]


def test_where_none_is_good_none_is_set_aside(tmp_path: Path, three: list[Path]) -> None:
    for path in three:
        spoil(path)
    before = sorted((tmp_path / "checkpoints").iterdir())
    with pytest.raises(UserError, match=r"iteration_0000001\.pt: .*no checkpoint of this run is good"):
        checkpoint.last_good(tmp_path)
    assert sorted((tmp_path / "checkpoints").iterdir()) == before


def test_one_of_another_version_is_not_set_aside(tmp_path: Path, three: list[Path]) -> None:
    torch.save(torch.load(three[2], weights_only=True) | {"format": 2}, three[2])
    with pytest.raises(UserError, match=r"0003\.pt: format 2, made by a later version of trpo_gail"):
        checkpoint.last_good(tmp_path)
    assert three[2].exists()


@pytest.mark.parametrize("change", [{"gamma": 0.5}, {"seed": 7}])
def test_one_of_another_run_is_refused(change: dict[str, Any], saved: tuple[Learner, Path]) -> None:
    """As where a digit of config.json has changed: training would go on with other numbers."""
    ((name, value),) = change.items()
    other = learner_of(dataclasses.replace(CONFIG, **change))
    with pytest.raises(UserError, match=f"--{name} .*, but the run's config.json says {value}"):
        checkpoint.restore(saved[1], other)
    checkpoint.restore(saved[1], learner_of(dataclasses.replace(CONFIG, steps=5_000_000, iterations=9)))


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with pytest.raises(UserError, match="checkpoints: a file, a folder of checkpoints expected"):
        load_policy(tmp_path)


class Evil:
    """What a pickle may do to whoever loads it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "x.pt"
    torch.save({"format": run_folder.FORMAT, "learner": Evil(trace)}, path)
    with pytest.raises(UserError, match="not a checkpoint"):
        checkpoint.read(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "a blind control"


def test_a_policy_loads_without_its_environment(
    tmp_path: Path, saved: tuple[Learner, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(vector, "make")
    assert load_policy(tmp_path).predict(np.zeros(3)).shape == (2,)
    assert load_policy(tmp_path).predict(np.zeros((5, 3)), deterministic=False).shape == (5, 2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"observation_space": Box(-1, 1, (5,))}, "other observations"),
        ({"action_space": Discrete(3)}, "other actions"),
        ({"action_space": Box(-2, 2, (1,))}, "other actions"),
        ({"max_episode_steps": 80}, "another time limit"),
        ({"backend": "envpool"}, "another backend"),
        ({"action_view": "executed"}, "another view of actions"),
    ],
)
def test_another_environment_is_refused(change: dict[str, Any], what: str) -> None:
    """On resume: it would go on with a traceback, or in silence."""
    acts = Box(-1, 1, (1,)) if isinstance(change.get("action_space"), Box) else Discrete(2)
    spec = EnvSpec("Toy-v0", "gymnasium", {}, Box(-1, 1, (4,)), acts, 50)
    checkpoint._check_same_environment(spec, spec, Path("run"))
    with pytest.raises(UserError, match=f"^run: the environment 'Toy-v0' has {what} than when the run began: "):
        checkpoint._check_same_environment(spec, dataclasses.replace(spec, **change), Path("run"))


@pytest.mark.parametrize(
    "acts",
    [
        Box(-np.inf, np.float32(0.4), (2,), np.float32),
        MultiDiscrete([3, 2], dtype=np.int32, start=np.array([1, 0], np.int32)),
        Discrete(3, start=1),
        MultiBinary((2, 2)),
    ],
)
def test_a_dtype_alone_makes_no_other_environment(acts: Any) -> None:
    """Checkpoints do not keep that of labels, and another version of a library may have another."""
    spec = EnvSpec("Toy-v0", "gymnasium", {}, Box(-1, 1, (4,)), acts, 50)
    saved = checkpoint.spec_of(checkpoint.described(Config("Toy-v0"), spec))
    checkpoint._check_same_environment(saved, spec, Path("run"))
    alike.check_same(spec, saved, "env")
    if isinstance(acts, Box):
        wide = dataclasses.replace(spec, action_space=Box(-np.inf, 0.4, (2,), np.float64))
        checkpoint._check_same_environment(saved, wide, Path("run"))
    if isinstance(acts, MultiDiscrete):
        other = dataclasses.replace(spec, action_space=MultiDiscrete([3, 2]))
        with pytest.raises(UserError, match="has other actions than when the run began"):
            checkpoint._check_same_environment(saved, other, Path("run"))
