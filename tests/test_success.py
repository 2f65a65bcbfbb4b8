"""When an episode is a success: rules, what environments say, and where the share of successes goes."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from gymnasium.spaces import Box

from trpo_gail.cli import main
from trpo_gail.envs import sources, vector
from trpo_gail.envs.envpool import EnvPool
from trpo_gail.parallel import Workers
from trpo_gail.runs import episodes_file
from trpo_gail.runs.evaluate import evaluate_run
from trpo_gail.sampling.rollout import Episodes, Position, collect_episodes, collect_steps, no_noise
from trpo_gail.success import Rule, rate, said, said_by_each

NAN = math.nan


# ---- rules -----------------------------------------------------------------------------------------------------------

RETURNS, LENGTHS = np.array([10.0, 200.0, -3.5, 200.1]), np.array([1, 50, 7, 20])
TERMINATED = np.array([True, False, True, False])


@pytest.mark.parametrize(
    ("rule", "good"),
    {
        "return>=200": [0, 1, 0, 1],
        "return > 200": [0, 0, 0, 1],
        "return<=-3.5": [0, 0, 1, 0],
        "return<-3.5e0": [0, 0, 0, 0],
        "length<50": [1, 0, 1, 1],
        "length>=7": [0, 1, 1, 1],
        "terminated": [1, 0, 1, 0],
        " truncated ": [0, 1, 0, 1],
        "terminated and length<5": [1, 0, 0, 0],
        "return>0 and length>2 and truncated": [0, 1, 0, 1],
        "terminated and truncated": [0, 0, 0, 0],
    }.items(),
)
def test_a_rule_holds_in_all_its_clauses(rule: str, good: list[float]) -> None:
    np.testing.assert_array_equal(Rule.read(rule).judge(RETURNS, LENGTHS, TERMINATED), good)


@pytest.mark.parametrize(
    ("rule", "named"),
    {"won": "won", "return=200": "return=200", "length<50 and won": "won", "terminated and": "terminated and"}.items(),
)
def test_the_wrong_clause_is_named_in_one_line(rule: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "CartPole-v1", "--expert", "x.h5", "--success", rule]) == 2
    err = capsys.readouterr().err
    assert err == (
        f"trpo-gail: --success: {named!r} given, expected return>=200, length<50, terminated or truncated, or several such "
        "clauses joined by 'and'\n"
    )


def test_the_rate_is_of_those_episodes_of_which_it_is_known() -> None:
    assert rate(np.array([1.0, NAN, 0.0, 1.0, NAN])) == 2 / 3
    assert rate(np.array([NAN, NAN])) is None and rate(np.zeros(0)) is None


# ---- what environments say -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"success": True}, 1.0),
        ({"is_success": False}, 0.0),
        ({"success": np.bool_(True)}, 1.0),
        ({"success": 1.0}, 1.0),
        ({"is_success": np.array([0.0])}, 0.0),
        ({"success": 0, "is_success": 1}, 0.0),  # the first name counts
        ({"dist": 0.3}, NAN),
        ({"success": "yes"}, NAN),
        ({"success": 0.5}, NAN),
        ({"success": [True, False]}, NAN),
        ({"success": None}, NAN),
        ({"success": torch.ones(1, requires_grad=True)}, NAN),  # numpy takes no such tensor
        (None, NAN),
        ("success", NAN),
    ],
)
def test_one_environments_word(info: Any, expected: float) -> None:
    np.testing.assert_equal(said(info), expected)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"success": np.array([True, False, True])}, [1, 0, 1]),
        ({"is_success": np.array([[1.0], [0.0], [2.0]])}, [1, 0, NAN]),
        ({"success": np.array([True, False, True]), "_success": np.array([True, True, False])}, [1, 0, NAN]),
        ({"success": np.array([True, False])}, None),
        ({"success": np.array(["a", "b", "c"])}, None),
        ({"dist": np.zeros(3)}, None),
        (None, None),
    ],
)
def test_the_word_of_several_environments(info: Any, expected: list[float] | None) -> None:
    found = said_by_each(info, 3)
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected)


class Still:
    """An actor that does nothing."""

    noise_kind, noise_size = "normal", 1

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.zeros((len(observations), 1), np.float32)


def script(num_envs: int, says: str | None = "is_success") -> vector.VectorEnv:
    return vector.make("toys:Script-v0", num_envs, "gymnasium", {"says": says})


@pytest.mark.parametrize("says", ["success", "is_success"])
def test_the_last_step_of_an_episode_counts(says: str) -> None:
    """The script says the opposite at all other steps."""
    env = script(2, says)
    _, done = collect_steps(env, Position.start(env, range(2)), Still(), np.zeros((19, 2, 1)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(done.lengths, [3, 2, 4, 3, 2] * 2)
    np.testing.assert_array_equal(done.terminated, [1, 0, 1, 0, 1] * 2)
    np.testing.assert_array_equal(done.successes, [1, 0, 0, 1, 0] * 2)
    assert done.success_rate == 0.4


def test_whole_episodes_of_environments_that_rest() -> None:
    env, wanted = script(2), np.array([1, 4])
    _, done = collect_episodes(env, Still(), range(2), no_noise(Still(), 2), np.zeros(2, int), wanted)  # type: ignore[arg-type]
    np.testing.assert_array_equal(done.successes, [1, 1, 0, 0, 1])


def test_an_environment_that_says_nothing() -> None:
    env = script(2, says=None)
    _, done = collect_steps(env, Position.start(env, range(2)), Still(), np.zeros((19, 2, 1)))  # type: ignore[arg-type]
    assert np.isnan(done.successes).all() and done.success_rate is None and env.successes is None  # type: ignore[attr-defined]


def test_a_rule_stands_in_for_the_environments_word() -> None:
    env = script(1)
    _, done = collect_steps(env, Position.start(env, [0]), Still(), np.zeros((19, 1, 1)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(done.judged(Rule.read("length<=2")).successes, [0, 1, 0, 0, 1])
    assert done.judged(None) is done


def test_our_task_says_whether_the_goal_was_reached() -> None:
    env = vector.make("PointNav2D-v0", 8)
    actor = toys.policy(env.spec, (4,), dtype="float32").actor()
    _, done = collect_steps(
        env, Position.start(env, range(8)), actor, np.random.default_rng(0).gumbel(size=(300, 8, 5))
    )
    assert len(done.returns) > 30
    np.testing.assert_array_equal(done.successes, done.terminated)
    np.testing.assert_array_equal(done.successes, done.returns > 0)


def test_first_environments_of_a_lent_one() -> None:
    lent = sources.Lent(script(3), 2)
    _, done = collect_steps(lent, Position.start(lent, range(2)), Still(), np.zeros((4, 2, 1)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(done.successes, [1, 1])


class Pool:
    """What EnvPool gives: a success for each environment that was asked to step."""

    class spec:
        class config:
            max_episode_steps = 9

    observation_space, action_space = Box(-1, 1, (1,)), Box(-1, 1, (1,))

    def reset(self, which: Any = None) -> Any:
        return np.zeros((3 if which is None else len(which), 1), np.float32), {}

    def step(self, actions: np.ndarray, which: Any = (0, 1, 2)) -> Any:
        info = {"success": np.array([n == 1 for n in which]), "elapsed_step": np.zeros(len(which))}
        flags = np.ones(len(which), bool), np.zeros(len(which), bool)
        return np.zeros((len(which), 1), np.float32), np.zeros(len(which)), *flags, info

    def close(self) -> None:
        pass


def test_envpools_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EnvPool, "_make", lambda self, seeds: Pool())
    env = EnvPool("Toy-v0", 3, {}, 1)
    env.restart([0, 1, 2])
    env.step(np.zeros((3, 1)))
    np.testing.assert_array_equal(env.successes, [0, 1, 0])
    env.cut(np.array([True, False, False]))  # the first is reset, the others step
    env.step(np.zeros((3, 1)))
    np.testing.assert_array_equal(env.successes, [NAN, 1, 0])
    env.rest(np.ones(3, bool))
    env.step(np.zeros((3, 1)))
    assert env.successes is None


def metrics(run: Path) -> list[dict[str, str]]:
    """Rows without the seconds."""
    with open(run / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in csv.DictReader(file)]


# ---- in a run --------------------------------------------------------------------------------------------------------

EXPERT = Path(__file__).parents[1] / "expert_data" / "PointNav2D-v0.h5"
TRAIN = ["train", "PointNav2D-v0", "--expert", str(EXPERT), "--num_envs", "4", "--timesteps_per_batch", "160",
         "--eval_every", "320", "--eval_episodes", "3", "--final_episodes", "5", "--quiet"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five iterations of our task."""
    out = tmp_path_factory.mktemp("success") / "run"
    assert main([*TRAIN, "--iterations", "5", "--save_every", "2", "--out", str(out)]) == 0
    return out


def test_a_run_has_the_share_everywhere(run: Path) -> None:
    rows, summary = metrics(run), json.loads((run / "summary.json").read_text())
    episodes = episodes_file.read(run)
    assert len(episodes.T) == int(rows[-1]["episodes"])
    for row in rows:
        its = episodes[:, episodes[0] == float(row["iteration"])]
        assert float(row["success_rate"]) == its[3].mean() == (its[1] > 0).mean()
        assert float(row["length_mean"]) == its[2].mean()
        assert bool(row["eval_success_rate"]) == bool(row["eval_return_mean"])
    assert summary["success_rate"] == np.mean(summary["successes"]) == (np.array(summary["returns"]) > 0).mean()
    assert len(summary["successes"]) == 5 and 0 <= summary["random_success_rate"] <= 1
    told = evaluate_run(run, 5, False, "last", 0, Workers())[0]
    assert told["success_rate"] == summary["success_rate"]
    assert evaluate_run(run, 5, False, "last", 0, Workers(), "length>1000")[0]["success_rate"] == 0
    assert evaluate_run(run, 5, False, "last", 0, Workers(), "length<1000")[0]["success_rate"] == 1


def test_a_resume_gives_the_same_files(run: Path, tmp_path: Path) -> None:
    """Two sessions, the first of which has written more than its last checkpoint holds."""
    out = tmp_path / "run"
    assert main([*TRAIN, "--iterations", "3", "--save_every", "2", "--out", str(out)]) == 0
    (out / "checkpoints" / "iteration_0000003.pt").unlink()
    assert main(["train", "PointNav2D-v0", "--resume", "--iterations", "5", "--out", str(out), "--quiet"]) == 0
    assert metrics(out) == metrics(run)
    assert (out / "episodes.csv").read_bytes() == (run / "episodes.csv").read_bytes()


def test_a_run_that_knows_of_no_success_has_no_column(tmp_path: Path) -> None:
    base = ["expert", "toys:Script-v0", "--num_envs", "2", "--timesteps_per_batch", "20", "--iterations", "2",
            "--eval_every", "20", "--eval_episodes", "2", "--final_episodes", "2", "--quiet"]  # fmt: skip
    assert main([*base, "--out", str(tmp_path / "a")]) == 0
    assert main([*base, "--success", "length>=3", "--out", str(tmp_path / "b")]) == 0
    silent, ruled = metrics(tmp_path / "a"), metrics(tmp_path / "b")
    more = {"success_rate", "eval_success_rate"}
    assert set(ruled[0]) - set(silent[0]) == more
    assert [{k: v for k, v in row.items() if k not in more} for row in ruled] == silent
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["success_rate"] is None and summary["random_success_rate"] is None and summary["successes"] == []
    assert "success_rate" not in evaluate_run(tmp_path / "a", 2, False, "last", 0, Workers())[0]
    assert float(ruled[0]["success_rate"]) == 0.5  # of each environment an episode of 3 and one of 2


def test_ranks_together_know_what_one_knows() -> None:
    parts = [Episodes(np.ones(n), np.ones(n, int), np.ones(n, bool), np.arange(n) % 2.0) for n in (3, 0, 2)]
    assert Episodes.together(parts).success_rate == 2 / 5
    assert Episodes.together([]).success_rate is None


# ---- episodes.csv ----------------------------------------------------------------------------------------------------


def test_episodes_come_back_to_the_last_digit_and_are_cut(tmp_path: Path) -> None:
    file = episodes_file.EpisodesFile(tmp_path)
    file.append(1, np.array([[1 / 3, -2e300], [3.0, 4.0], [1.0, NAN]]))
    file.append(2, np.zeros((3, 0)))
    file.append(3, np.array([[5.0], [6.0], [0.0]]))
    expected = np.array([[1, 1, 3], [1 / 3, -2e300, 5], [3, 4, 6], [1, NAN, 0]])
    np.testing.assert_array_equal(episodes_file.read(tmp_path), expected)
    with open(tmp_path / "episodes.csv", "a") as torn:
        torn.write("4,1.0,x,\n4,2.0")
    np.testing.assert_array_equal(episodes_file.read(tmp_path), expected)
    file.cut(2)
    np.testing.assert_array_equal(episodes_file.read(tmp_path), expected[:, :2])
    file.append(3, np.array([[5.0], [6.0], [0.0]]))
    np.testing.assert_array_equal(episodes_file.read(tmp_path), expected)
    with open(tmp_path / "episodes.csv", newline="") as text:
        assert next(csv.reader(text)) == ["iteration", "return", "length", "success"]


METRICS = [{"iteration": float(k), "episodes": n} for k, n in ((1, 2.0), (2, 2.0), (3, 3.0), (4, 5.0))]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text, None),
        (lambda text: text.replace("1,2.5,4", "1,2x5,4"), "1 row is damaged or missing, the first in line 3"),
        (lambda text: text.replace("3,5.0,6,0\n", ""), "1 row is damaged or missing, the first of iteration 3"),
        (lambda text: text[:-5], "1 row is damaged or missing, the first of iteration 4"),
        (lambda text: text[:-5] + "\0" * 5, "1 row is damaged or missing, the first of iteration 4"),
        (lambda text: text.splitlines(keepends=True)[0], None),  # so had a run of an old version, which was killed soon
        (lambda text: "\0" * len(text), "5 rows are damaged or missing, the first of iteration 1"),
        (
            lambda text: text.replace("1,1.5,3,1\n1,2.5,4,\n", ""),
            None,
        ),  # a run of an old version began it on its resume
    ],
)
def test_damaged_and_missing_episodes_are_told(
    damage: Callable[[str], str], says: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = episodes_file.EpisodesFile(tmp_path)
    file.append(1, np.array([[1.5, 2.5], [3.0, 4.0], [1.0, NAN]]))
    file.append(3, np.array([[5.0], [6.0], [0.0]]))
    file.append(4, np.array([[7.0, 8.0], [9.0, 10.0], [0.0, 1.0]]))
    path = tmp_path / "episodes.csv"
    path.write_text(before := damage(path.read_text()))
    episodes_file.read(tmp_path, METRICS)
    told = capsys.readouterr().err
    assert told == (f"warning: {path}: {says}: they are left out\n" if says else "")
    file.cut(4, METRICS)
    told, copy = capsys.readouterr().err, tmp_path / "episodes.csv.old"
    left_out = bool(says) and (not before.endswith("\n") or "in line" in str(says))  # and not only missing
    kept = f"; the file as it was is {copy.name}" if left_out else ""
    assert told == (f"warning: {path}: {says}: they stay out{kept}\n" if says else "")
    assert copy.exists() == left_out and (not left_out or copy.read_text() == before)
    file.cut(4, METRICS)  # a copy of the damaged file outlives the next resume
    assert [one.name for one in tmp_path.glob("*.old*")] == [copy.name] * left_out
    assert not left_out or copy.read_text() == before


def test_episodes_that_another_program_has_saved_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On Windows, with its ends of lines and a mark of UTF-8."""
    file = episodes_file.EpisodesFile(tmp_path)
    file.append(1, np.array([[1.5, 2.5], [3.0, 4.0], [1.0, NAN]]))
    path, expected = tmp_path / "episodes.csv", episodes_file.read(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(episodes_file.read(tmp_path, METRICS[:1]), expected)
    file.cut(1, METRICS[:1])
    np.testing.assert_array_equal(episodes_file.read(tmp_path, METRICS[:1]), expected)
    assert capsys.readouterr().err == "" and not list(tmp_path.glob("*.old"))


def test_episodes_after_a_checkpoint_are_not_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = episodes_file.EpisodesFile(tmp_path)
    file.append(1, np.array([[1.5, 2.5], [3.0, 4.0], [1.0, NAN]]))
    file.cut(2, METRICS)
    episodes_file.read(tmp_path, METRICS[:2])
    assert capsys.readouterr().err == ""
    (tmp_path / "episodes.csv").unlink()  # as of an old run
    episodes_file.read(tmp_path, METRICS)
    file.cut(2, METRICS)
    assert capsys.readouterr().err == ""


def test_episodes_that_cannot_be_written_end_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "episodes.csv").mkdir()
    file = episodes_file.EpisodesFile(tmp_path)
    for iteration in (1, 2):
        file.append(iteration, np.ones((3, 1)))
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "no longer written" in err
    assert episodes_file.read(tmp_path).shape == (4, 0)
