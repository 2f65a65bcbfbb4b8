"""Pickles of demonstrations in the containers that people use, and what of a pickle is refused."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import time
import types
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import PART, UNSAID
from trpo_gail.experts.formats import pickles
from trpo_gail.experts.load import read

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "berkeley"
LENGTHS = (3, 2)  # of the two episodes of all layouts here


@dataclass
class Trajectory:
    """As `imitation` has them: an observation more than actions."""

    obs: Any
    acts: np.ndarray
    infos: Any
    terminal: bool
    rews: np.ndarray


@dataclass
class Flattened:
    """As `imitation` has transitions."""

    obs: np.ndarray
    acts: np.ndarray
    next_obs: np.ndarray
    dones: np.ndarray


def rows(episode: int, more: int = 0) -> np.ndarray:
    return np.arange(LENGTHS[episode] + more)[:, None] + np.array([10.0 * episode, 0.5])


def episode(i: int, plural: str = "s") -> dict[str, Any]:
    """One of T rows; the first ends by termination."""
    last = np.arange(LENGTHS[i]) == LENGTHS[i] - 1
    return {
        f"observation{plural}": rows(i),
        f"action{plural}": np.full((LENGTHS[i], 1), 0.5 + i),
        f"reward{plural}": np.arange(1.0, 1 + LENGTHS[i]),
        f"next_observation{plural}": rows(i, 1)[1:],
        f"terminal{plural}": last & (i == 0),
    }


def steps(i: int) -> list[dict[str, Any]]:
    """As DI-engine has them: one mapping a step."""
    whole = episode(i)
    return [
        {
            "obs": whole["observations"][t],
            "next_obs": whole["next_observations"][t],
            "action": whole["actions"][t],
            "reward": whole["rewards"][t : t + 1],
            "done": bool(t == LENGTHS[i] - 1),
            "collect_iter": 0,
        }
        for t in range(LENGTHS[i])
    ]


def tensors(step: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.as_tensor(value) for name, value in step.items()}


def flat() -> dict[str, np.ndarray]:
    whole = [episode(i) for i in range(2)]
    ends = np.array([0, 0, 1, 0, 1])
    return {name: np.concatenate([e[name] for e in whole]) for name in whole[0]} | {"timeouts": ends.astype(bool)}


def without(held: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values for name, values in held.items() if name not in names}


def tuples(i: int, order: str = "sarnd") -> list[tuple[Any, ...]]:
    place = {"s": "obs", "a": "action", "r": "reward", "n": "next_obs", "d": "done"}
    plain = [{**step, "reward": float(step["reward"][0]), "done": float(step["done"])} for step in steps(i)]
    return [tuple(step[place[c]] for c in order) for step in plain]


def padded() -> dict[str, np.ndarray]:
    whole = [episode(i) for i in range(2)]
    out = {}
    for name in ("observations", "actions", "rewards"):
        out[name] = np.zeros((2, 3, *whole[0][name].shape[1:]))
        for i in range(2):
            out[name][i, : LENGTHS[i]] = whole[i][name]
    return out


def objects(values: list[Any]) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made


LAYOUTS: dict[str, Any] = {
    "episodes, plural": [episode(0), episode(1)],
    "episodes, singular, with more": [{**episode(i, ""), "image_obs": [], "info": {"a": [None]}} for i in range(2)],
    "episodes in a tuple": (episode(0), episode(1)),
    "episodes in a deque": deque([episode(0), episode(1)]),
    "episodes in an array of objects": objects([episode(0), episode(1)]),
    "episodes by name": {"a": episode(0), "b": episode(1)},
    "episodes by number": OrderedDict((i, episode(i)) for i in range(2)),
    "episodes within": {"config": {"env": "x"}, "data": {"paths": [episode(0), episode(1)]}},
    "episodes of lists": [{name: values.tolist() for name, values in episode(i).items()} for i in range(2)],
    "episodes of one flag": [{**episode(i), "terminals": i == 0} for i in range(2)],
    "trajectories of imitation": [
        Trajectory(rows(i, 1), episode(i)["actions"], None, i == 0, episode(i)["rewards"]) for i in range(2)
    ],
    "transitions": steps(0) + steps(1),
    "transitions of tensors": [tensors(step) for step in steps(0) + steps(1)],
    "transitions an episode": [steps(0), steps(1)],
    "flat arrays": flat(),
    "flat lists": {name: values.tolist() for name, values in flat().items()},
    "flat arrays, ends by breaks": without(flat(), "terminals", "timeouts"),
    "flat arrays and lengths": {**without(flat(), "terminals", "timeouts", "next_observations"), "lengths": [3, 2]},
    "flat tensors": {name: torch.as_tensor(values) for name, values in flat().items()},
    "arrays an episode": {name: [episode(i)[name] for i in range(2)] for name in episode(0)},
    "padded, with lengths": {**padded(), "lengths": np.array([3, 2])},
    "tuples": tuples(0) + tuples(1),
    "tuples in TD3's order": tuples(0, "snard") + tuples(1, "snard"),
    "tuples an episode": [tuples(0), tuples(1)],
    "tuples of four": tuples(0, "sarn") + tuples(1, "sarn"),
    "pairs an episode": [[(o, a) for o, a, *_ in tuples(i)] for i in range(2)],
    "pairs of arrays": [(episode(i)["observations"], episode(i)["actions"]) for i in range(2)],
}  # fmt: skip


def written(folder: Path, tree: Any, protocol: int = 4) -> Path:
    path = folder / "demos.pkl"
    path.write_bytes(pickle.dumps(tree, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("tree", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path: Path, tree: Any, protocol: int) -> None:
    held = read(written(tmp_path, tree, protocol))
    assert held.format == "pickle" and held.episode_lengths.tolist() == [3, 2]
    np.testing.assert_array_equal(held.observations, np.concatenate([rows(0), rows(1)]))
    np.testing.assert_array_equal(held.actions.ravel(), [0.5] * 3 + [1.5] * 2)
    if held.rewards is not None:
        assert held.episode_returns is not None and held.episode_returns.tolist() == [6, 3] and not held.unfinished
    following = held.transitions().next_observations
    if held.next_observations is not None or held.final_observations is not None:
        np.testing.assert_array_equal(following, np.concatenate([rows(0, 1)[1:], rows(1, 1)[1:]]))


def test_how_episodes_end(tmp_path: Path) -> None:
    ends = read(written(tmp_path, LAYOUTS["episodes, plural"])).ends
    assert ends is not None and (ends.terminal, ends.limit) == (1, 1)
    ends = read(written(tmp_path, LAYOUTS["trajectories of imitation"])).ends
    assert ends is not None and (ends.terminal, ends.limit) == (1, 1)
    ends = read(written(tmp_path, LAYOUTS["transitions"])).ends
    assert ends is not None and ends.terminal == 2
    assert read(written(tmp_path, LAYOUTS["flat arrays, ends by breaks"])).ends is None


@pytest.mark.parametrize("tree", ["trajectories of imitation", "transitions, flattened"])
def test_what_imitations_own_objects_call_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: str) -> None:
    """They say so of time limits, too."""
    theirs = types.ModuleType("imitation")
    monkeypatch.setitem(sys.modules, "imitation", theirs)
    for kind in (Trajectory, Flattened):
        monkeypatch.setattr(kind, "__module__", "imitation")
        setattr(theirs, kind.__name__, kind)
    steps = flat()
    flattened = Flattened(steps["observations"], steps["actions"], steps["next_observations"], steps["terminals"])
    held = read(written(tmp_path, flattened if tree == "transitions, flattened" else LAYOUTS[tree]))
    whole = tree == "trajectories of imitation"
    assert held.ends is None and held.endings.tolist() == [UNSAID, PART if whole else UNSAID]
    assert held.unfinished != whole


def test_a_break_without_a_flag_is_noted(tmp_path: Path) -> None:
    held = read(written(tmp_path, without(flat(), "timeouts")))
    assert held.episode_lengths.tolist() == [3, 2] and held.unfinished
    held = read(written(tmp_path, LAYOUTS["tuples of four"]))
    assert held.notes[0].startswith("1 episode ends without a flag")


def test_a_misspelt_key_is_named(tmp_path: Path) -> None:
    """In one mapping of arrays, in each of several episodes, and in steps: left out, it would change how episodes end."""
    one = {"obs": np.zeros((3, 2)), "acts": np.zeros((2, 1)), "termnal": True}
    step = {"obs": np.zeros(2), "act": np.zeros(1), "termnal": True}
    for tree in (one, [one, one], {"a": one, "b": one}, [step, step], [[step], [step, step]]):
        with pytest.raises(UserError, match=r"demos\.pkl: (.*: )?'termnal': unexpected here, did you mean terminal"):
            read(written(tmp_path, tree))


def test_masks_in_place_of_flags(tmp_path: Path) -> None:
    """A common buffer keeps 1 where an episode goes on."""
    masked = [(o, a, r, n, 1.0 - d) for o, a, r, n, d in tuples(0) + tuples(1)]
    held = read(written(tmp_path, masked))
    assert held.episode_lengths.tolist() == [3, 2] and "taken for masks" in held.notes[0]
    turned = {**without(flat(), "terminals", "timeouts"), "not_done": np.array([1.0, 1, 0, 1, 0])}
    assert read(written(tmp_path, turned)).episode_lengths.tolist() == [3, 2]


def test_labels(tmp_path: Path) -> None:
    stepped = [{**step, "action": np.array([t % 2])} for t, step in enumerate(steps(0) + steps(1))]
    held = read(written(tmp_path, stepped))
    assert held.actions.tolist() == [0, 1, 0, 1, 0] and held.actions.dtype == np.int64
    stepped = [{**step, "action": t % 2} for t, step in enumerate(steps(0) + steps(1))]
    assert read(written(tmp_path, stepped)).actions.tolist() == [0, 1, 0, 1, 0]


def test_observations_of_several_parts(tmp_path: Path) -> None:
    parts = [{**step, "obs": {"image": np.zeros((4, 4), np.uint8), "speed": np.zeros(2)}} for step in steps(0)]
    held = read(written(tmp_path, [without(step, "next_obs") for step in parts]))
    assert held.observations.dtype.names == ("image", "speed") and held.observations["image"].shape == (3, 4, 4)


def test_images_are_steps(tmp_path: Path) -> None:
    pictured = [{"obs": np.zeros((5, 5, 3), np.uint8), "action": 1, "done": t == 3} for t in range(4)]
    held = read(written(tmp_path, pictured))
    assert held.observations.shape == (4, 5, 5, 3) and held.episode_lengths.tolist() == [4]


def test_lists_of_images_are_steps(tmp_path: Path) -> None:
    pictured = {"obs": [np.zeros((5, 5, 3), np.uint8)] * 4, "acts": [np.zeros(2)] * 4, "dones": [0, 1, 0, 1]}
    held = read(written(tmp_path, pictured))
    assert held.observations.shape == (4, 5, 5, 3) and held.episode_lengths.tolist() == [2, 2]


def test_episodes_of_one_step(tmp_path: Path) -> None:
    held = read(written(tmp_path, [{name: values[:1] for name, values in episode(i).items()} for i in range(2)]))
    assert held.episode_lengths.tolist() == [1, 1]


def test_real_files() -> None:
    if not REAL.is_dir():
        pytest.skip("the real files are not beside this checkout")
    held = read(REAL / "expert_data_Hopper-v4.pkl")
    assert held.episode_lengths.tolist() == [1000, 1000] and held.observations.shape == (2000, 11)
    assert held.episode_returns is not None
    np.testing.assert_allclose(held.episode_returns, [3717.2, 3717.9], atol=0.15)
    with pytest.raises(UserError, match=r"if it is a policy, record some with: trpo-gail record ENV --policy"):
        read(REAL / "expert_policy_Hopper.pkl")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("name", ["episodes, plural", "transitions", "flat arrays", "tuples an episode"])
def test_arrays_of_objects(tmp_path: Path, name: str, suffix: str) -> None:
    """As `np.save` and `np.savez` make of a list, or of one dict."""
    path, layout = tmp_path / f"demos.{suffix}", LAYOUTS[name]
    made = objects(layout) if isinstance(layout, list) else np.array(layout, object)
    np.save(path, made, allow_pickle=True) if suffix == "npy" else np.savez(path, demos=made)
    held = read(path)
    assert held.episode_lengths.tolist() == [3, 2]


# --- What is refused ----------------------------------------------------------------------------------------------


class Thing:
    """An object of some class."""


REFUSED = {
    "a number": (3, "a pickle of a int, expected observations and actions"),
    "nothing": ([], "a pickle of a list of 0, expected observations"),
    "another dict": ({"weights": np.zeros(3)}, "a pickle of a dict of weights, expected observations"),
    "an object": (Thing(), r"a pickle of an object, .*Thing, expected"),
    "an array": (np.zeros((3, 2)), r"a pickle of an array, float64 \[3, 2\], expected"),
    "observations alone": ([{"obs": np.zeros((3, 2))}], r"a pickle of a list of 1, first a dict of obs, expected"),
    "several sets": ({"train": [episode(0)], "test": [episode(1)]}, "several sets of demonstrations: train, test"),
    "an odd item": ([episode(0), None], "item 1: expected one as item 0, found NoneType"),
    "an odd step": ([*steps(0), {"obs": np.zeros(2), "action": np.zeros(1)}], "step 3: expected observations, actions"),
    "texts": ({**flat(), "observations": ["x"] * 4 + ["x" * 10**6]}, "observations: expected numbers, found texts"),
    "texts within": ({**flat(), "observations": [[1.0], ["x" * 10**6]]}, "observations: expected numbers, found texts"),
    "other lengths": ({**padded(), "lengths": [3, 9]}, "episode 1: expected a length from 1 to 3, found 9"),
    "fewer lengths": ({**padded(), "lengths": [3]}, "lengths: expected 2 whole numbers, found int64"),
    "ragged": ({**flat(), "observations": [[1.0], [1.0, 2.0]]}, "observations"),
}  # fmt: skip


@pytest.mark.parametrize(("tree", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path: Path, tree: Any, said: str) -> None:
    with pytest.raises(UserError, match=rf"demos\.pkl: {said}") as caught:
        read(written(tmp_path, tree))
    assert "\n" not in str(caught.value)


def test_a_trap_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "trapped"),)

    held = read(written(tmp_path, [{**episode(0), "info": Trap()}]))
    assert held.trajectories == 1
    with pytest.raises(UserError, match=r"demos\.pkl"):
        read(written(tmp_path, [{**episode(0), "observations": Trap()}]))
    assert not (tmp_path / "trapped").exists()


class NumpyArrayWrapper:
    """What joblib puts before the bytes of an array."""


def test_joblib(tmp_path: Path) -> None:
    content = pickle.dumps({"obs": NumpyArrayWrapper()}, 4)
    (tmp_path / "demos.pkl").write_bytes(content[:-2] + np.zeros(9).tobytes() + content[-2:])
    with pytest.raises(UserError, match=r"demos\.pkl: written by joblib, which is not read; pickle\.dump\("):
        read(tmp_path / "demos.pkl")


def test_where_episodes_end_may_not_be_said(tmp_path: Path) -> None:
    held = read(written(tmp_path, {"obs": rows(0), "acts": rows(0)}))
    assert held.trajectories == 1 and held.ends is None
    assert held.notes == ("where its episodes end is not said: all rows are taken for one episode",)


def test_lists_that_double_are_refused_at_once(tmp_path: Path) -> None:
    doubled: Any = [1.0]
    for _ in range(60):
        doubled = [doubled, doubled]
    began = time.monotonic()
    with pytest.raises(UserError, match="an absurd number of bytes unpacked"):
        read(written(tmp_path, {"obs": doubled, "actions": doubled}))
    assert time.monotonic() - began < 2


def test_pickles_are_told_by_their_content(tmp_path: Path) -> None:
    for protocol in range(6):
        assert pickles.holds(written(tmp_path, [episode(0)], protocol))
        assert pickles.holds(written(tmp_path, flat(), protocol))
    path = tmp_path / "demos.pt"
    torch.save({"a": 1}, path, _use_new_zipfile_serialization=False)
    assert not pickles.holds(path) and not pickles.holds(tmp_path)


def test_random_changes_of_trees(tmp_path: Path) -> None:
    """A valid dataset or one error, whatever is in place of a value."""
    rng = np.random.default_rng(0)
    odd = [None, 3, "x", [], {}, (), np.zeros(0), np.zeros((2, 3)), [[1], [2, 3]], [None], {"a": 1}, np.float32(2)]
    for tree in LAYOUTS.values():
        for _ in range(12):
            changed = pickle.loads(pickle.dumps(tree))
            _change(changed, rng, odd[rng.integers(len(odd))])
            with contextlib.suppress(UserError):
                read(written(tmp_path, changed))


def _change(tree: Any, rng: np.random.Generator, value: Any) -> None:
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        inner = tree[key]
        if rng.random() < 0.5 and isinstance(inner, (dict, list)) and inner:
            tree = inner
        elif isinstance(tree, (dict, list)):
            tree[key] = value
            return
        else:
            return


def test_a_selection_of_it_is_learned_from(tmp_path: Path) -> None:
    held: Demonstrations = read(written(tmp_path, LAYOUTS["episodes, plural"])).select(1, 2)
    assert held.trajectories == 1 and held.return_mean == 4.5


@pytest.mark.parametrize("marked", [{"episode"}, {"episode", "step"}, {"step"}, {"episode", "truncated"}])
@pytest.mark.parametrize("kind", ["steps", "rows"])
def test_steps_name_their_episodes_as_in_a_table(tmp_path: Path, kind: str, marked: set[str]) -> None:
    """Two episodes of which neither is marked by flags, or the second one alone."""
    each = {
        "obs": np.arange(10.0).reshape(5, 2), "action": np.full((5, 1), 0.5), "reward": np.ones(5),
        "episode": np.array(["b", "b", "b", "a", "a"]), "step": np.array([0, 1, 2, 0, 1]),
        "truncated": np.array([False, False, False, False, True]),
    }  # fmt: skip
    given = {name: values for name, values in each.items() if name in {"obs", "action", "reward"} | marked}
    (path := tmp_path / "x.pkl").write_bytes(
        pickle.dumps(given if kind == "rows" else [{n: v[i] for n, v in given.items()} for i in range(5)])
    )
    held = read(path)
    assert held.episode_lengths.tolist() == list(LENGTHS) and not held.unfinished and held.notes == ()
    assert held.timeouts.any() == held.terminals.any() == ("truncated" in marked)


def test_flags_of_short_episodes_are_no_masks(tmp_path: Path) -> None:
    """Of two episodes of one step and one of two, most steps are last ones, as most masks are 1."""

    def step(i: int, j: int, done: float) -> tuple[Any, ...]:
        return np.array([i, 0.5]), np.array([0.1]), 1.0, np.array([j, 0.5]), done

    flags = [step(0, 9, 1.0), step(1, 2, 0.0), step(2, 9, 1.0), step(3, 9, 1.0)]
    held = read(written(tmp_path, flags))
    assert held.episode_lengths.tolist() == [1, 2, 1] and held.terminals.tolist() == [True, False, True, True]
    both = [(*step(i, 9, i % 3 != 1), i % 3 == 1) for i in range(4)]  # terminated and truncated
    assert read(written(tmp_path, both)).terminals.tolist() == [True, False, True, True]
    masks = [step(0, 1, 1.0), step(1, 2, 1.0), step(2, 9, 0.0), step(3, 4, 1.0), step(4, 9, 0.0)]
    assert read(written(tmp_path, masks)).episode_lengths.tolist() == [3, 2]
