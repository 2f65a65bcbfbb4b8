"""JSON: RLlib's lines, steps, episodes, documents; and what is refused in one line."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.formats import json_lines
from trpo_gail.experts.load import load, read

BATCH: dict[str, Any] = {
    "type": "SampleBatch",
    "obs": [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]],
    "new_obs": [[1.0, 1.5], [9.0, 9.5], [3.0, 3.5]],
    "actions": [0, 1, 1],
    "rewards": [1.0, 2.0, 3.0],
    "terminateds": [False, True, False],
    "truncateds": [False, False, False],
    "eps_id": [7, 7, 8],
    "t": [0, 1, 0],
    "infos": [{}, {}, {}],
    "action_prob": [0.5, 0.5, 0.5],
    "unroll_id": [0, 0, 0],
}
SECOND = BATCH | {"obs": [[3.0, 3.5]] * 3, "eps_id": [8, 9, 9], "t": [1, 0, 1]}
STEP = {"obs": [0.0, 1.0], "action": 1, "reward": 2.0, "done": False}
EPISODE = {
    "observations": [[0.0], [1.0], [2.0]],
    "actions": [[0.5], [0.25]],
    "rewards": [1.0, 2.0],
    "dones": [False, True],
}


def lines(folder: Path, *values: Any) -> Path:
    path = folder / "x.json"
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def test_rllibs_lines(tmp_path: Path) -> None:
    held = load(lines(tmp_path, BATCH, SECOND))
    assert held.format == "JSON (RLlib's lines and others)" and held.episode_lengths.tolist() == [2, 2, 2]
    assert held.actions.tolist() == [0, 1, 1, 0, 1, 1] and held.next_observations is not None
    assert held.terminals.tolist() == [False, True, False, False, False, False] and held.next_observations[1, 0] == 9
    assert held.episode_returns is not None and held.episode_returns.tolist() == [3.0, 4.0, 5.0]


def test_rllibs_lines_of_one_line_and_older_flags(tmp_path: Path) -> None:
    batch = {name: BATCH[name] for name in ("type", "obs", "actions", "rewards")} | {"dones": [False, True, True]}
    assert load(lines(tmp_path, batch)).episode_lengths.tolist() == [2, 1]


def test_texts_may_name_the_episodes(tmp_path: Path) -> None:
    held = load(lines(tmp_path, BATCH | {"eps_id": ["a", "a", "b"]}, SECOND | {"eps_id": ["b", "c", "c" * 1000]}))
    assert held.episode_lengths.tolist() == [2, 2, 1, 1]


def test_a_folder_of_rllibs_files(tmp_path: Path) -> None:
    for number, batch in ((10, SECOND), (9, BATCH)):
        lines(tmp_path, batch).rename(tmp_path / f"output-2026_worker-0_{number}.json")
    held = load(tmp_path)
    assert held.episode_lengths.tolist() == [2, 2, 2] and held.observations[0].tolist() == [0.0, 0.5]


def test_rllibs_agents(tmp_path: Path) -> None:
    held = load(lines(tmp_path, {"type": "MultiAgentBatch", "count": 3, "policy_batches": {"default_policy": BATCH}}))
    assert held.episode_lengths.tolist() == [2, 1]
    with pytest.raises(UserError, match="value 0: expected one policy, found a, b"):
        load(lines(tmp_path, {"type": "MultiAgentBatch", "policy_batches": {"a": BATCH, "b": BATCH}}))


def test_packed_columns_are_refused(tmp_path: Path) -> None:
    packed = base64.b64encode(b"\x04\x22\x4d\x18" + bytes(200)).decode()
    said = r"value 0: 'obs': expected a list of numbers, found packed as a pickle; write it with RLlib's output_config"
    with pytest.raises(UserError, match=said):
        load(lines(tmp_path, BATCH | {"obs": packed}))


def test_a_step_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_TOGETHER", 3)
    held = load(lines(tmp_path, *[STEP | {"done": i == 2, "info": {"x": i}} for i in range(5)]))
    assert held.episode_lengths.tolist() == [3, 2] and held.unfinished and held.observations.shape == (5, 2)


def test_observations_of_parts(tmp_path: Path) -> None:
    held = load(lines(tmp_path, *[STEP | {"obs": {"b": [1.0, 2.0], "a": i}} for i in range(3)]))
    assert held.observations.dtype.names == ("a", "b") and held.observations["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "document",
    [
        [EPISODE, EPISODE],
        {"episodes": [EPISODE, EPISODE]},
        {"env": "x", "data": {"trajectories": [EPISODE, EPISODE]}},
        {"demo_0": EPISODE, "demo_1": EPISODE},
    ],
)
def test_episodes_of_a_document(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "x.json"
    for indent in (None, 1):
        path.write_text(json.dumps(document, indent=indent))
        held = load(path)
        assert held.episode_lengths.tolist() == [2, 2] and held.return_mean == 3.0
        assert held.final_observations is not None and held.terminals.tolist() == [False, True] * 2


def test_an_episode_a_line(tmp_path: Path) -> None:
    assert load(lines(tmp_path, EPISODE, EPISODE, EPISODE)).trajectories == 3
    bare = {"states": [[0.0], [1.0]], "actions": [1, 0]}
    held = load(lines(tmp_path, bare, bare))
    assert held.ends is None and held.actions.tolist() == [1, 0, 1, 0]


def test_lists_of_steps(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([[STEP, STEP], [STEP | {"done": True}]]))
    held = load(path)
    assert held.episode_lengths.tolist() == [2, 1] and held.terminals.tolist() == [False, False, True]
    path.write_text(json.dumps([STEP, STEP | {"done": True}, STEP]))
    assert load(path).episode_lengths.tolist() == [2, 1]


def test_lists_of_steps_a_line(tmp_path: Path) -> None:
    held = read(lines(tmp_path, [STEP, STEP, STEP], [STEP, STEP | {"done": True}]))
    assert held.episode_lengths.tolist() == [3, 2] and held.terminals.tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    "marks", [{"episode_lengths": [1, 2]}, {"episode_ends": [1, 3]}, {"episode_starts": [0, 1]}, {"lens": [1, 2]}]
)
def test_flat_arrays_with_marks_of_episodes_beside_them(tmp_path: Path, marks: dict[str, Any]) -> None:
    flat = {"obs": [[0.0], [1.0], [2.0]], "actions": [[0.5]] * 3, "rewards": [1.0] * 3}
    assert read(lines(tmp_path, flat | marks)).episode_lengths.tolist() == [1, 2]
    assert read(lines(tmp_path, flat | {"lengths": [1, 1, 1]})).episode_lengths.tolist() == [1, 1, 1]
    named = flat | {"episode": [4, 4, 5], "length": [2, 2, 1]}  # a number for each row marks none
    assert read(lines(tmp_path, named)).episode_lengths.tolist() == [2, 1]


def test_batches_of_episodes_in_a_document(tmp_path: Path) -> None:
    batch: dict[str, Any] = {"obs": np.arange(12.0).reshape(2, 3, 2).tolist(), "actions": [[[0.5]] * 3] * 2}
    held = read(lines(tmp_path, batch | {"lengths": [3, 2]}))
    assert held.episode_lengths.tolist() == [3, 2] and held.observations.shape == (5, 2)


def test_one_episode_of_a_document(tmp_path: Path) -> None:
    held = read(lines(tmp_path, {"obs": [[0.0], [1.0], [2.0]], "actions": [[0.5], [0.25]], "terminated": True}))
    assert held.episode_lengths.tolist() == [2] and held.terminals.tolist() == [False, True]
    assert held.final_observations is not None and held.final_observations.tolist() == [[2.0]]


def test_flat_arrays(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    flat = {"observations": [[0.5], [1.5], [2.5]], "actions": [0, 1, 1], "terminals": [0, 1, 0]}
    path.write_text(json.dumps(flat))
    held = load(path)
    assert held.episode_lengths.tolist() == [2, 1] and held.unfinished


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"obs": [0.5], "action": 0}\n{"obs": [0.5], "action": 0\n', "line 2: expected JSON: "),
        ('{"obs": [0.5], "action": 0}\n{"obs": [0.5]}\n', "expected obs, action in each step, found obs"),
        (
            '{"obs": [0.5], "action": 0}\n{"obs": [0.5, 1], "action": 0}\n',
            "'obs': expected an array, found list of several",
        ),
        ('{"obs": [0.5], "action": 0}\n[]\n', "expected steps, batches of rows or episodes, found episode, step"),
        ('{"obs": [0.5], "action": 0}\n3\n', "value 1: expected an object such as {obs, action}, found int"),
        ('{"obs": [0.5]}\n{"obs": [0.5]}', "no column is called actions"),
        ('{"obs": [NaN], "action": 0}', "expected finite values"),
        ('{"obs": ["x"], "action": 0}', "steps, 'obs': expected numbers, found texts"),
        ('{"obs": "x", "action": 0}', "steps, 'obs': expected numbers, found texts"),
        ('{"obs": ' + "[" * 5000 + "]" * 5000 + ', "action": 0}', "x.json: "),
        ('{"obs": [' + "9" * 5000 + '], "action": 0}', "x.json: "),
        (
            '{"obs_0": [1, 2], "obs_1": [1, 2, 3], "actions": [0, 1], "dones": [0, 1]}',
            "expected as many rows of each part, found 0 2, 1 3",
        ),
        (
            '{"obs_0": 1, "obs_1": {"a": 1}, "action": 0}',
            "observations: expected numbers in each of 2 columns, found others",
        ),
        ('{"obs": [1e999], "action": 0}', "expected finite values"),
        ('{"obs": [], "action": []}', "x.json: "),
        ('{"obs": [0.5], "action": 0, "rewrd": 1}', "'rewrd': unexpected here, did you mean reward"),
        ('[[{"obs": [0.5], "action": 0, "doned": 1}]]', "'doned': unexpected here, did you mean done"),
        ("{'obs': 1}", "x.json: "),
        ('[{"obs": 1}', "x.json: expected JSON: "),
    ],
)
def test_one_line_says_it(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        read(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_a_document_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_LONGEST", 200)
    with pytest.raises(UserError, match="expected lines of less than 0 MB; write a line an episode"):
        read(lines(tmp_path, STEP, BATCH))


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", '"obs"', "{", "", '{"loss": [1], "value": 2}', "obs: 1"])
def test_other_texts_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert not json_lines.holds(tmp_path / "x")


def test_mutated_files_are_one_line_or_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = (json.dumps(BATCH) + "\n" + json.dumps(SECOND) + "\n").encode()
    for _ in range(300):
        broken = bytearray(whole)
        for at in rng.integers(0, len(broken), 2):
            broken[at] = int(rng.integers(32, 127))
        (tmp_path / "x").write_bytes(broken)
        if json_lines.holds(tmp_path / "x"):
            try:
                read(tmp_path / "x")
            except UserError as error:
                assert str(error).startswith(str(tmp_path)), error  # noqa: PT017
