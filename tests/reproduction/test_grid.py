"""The grid against the paper: Table 3's cells, the numbers of runs, the settings of Table 2; and who selects what."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import h5py
import pytest

from trpo_gail.commands.clone import _CloneArguments
from trpo_gail.commands.parsing import parse
from trpo_gail.commands.train import parse_flags
from trpo_gail.errors import UserError
from trpo_gail.studies.reproduction.grid import Cell, Places, Selection, command, load_grid, parse_shard, select

GRID = load_grid()
EXPERTS = Path(__file__).parents[2] / "expert_data" / "paper"
CLASSIC, MUJOCO = ("cartpole", "acrobot", "mountaincar"), ("halfcheetah", "hopper", "walker", "ant")
FOUR = ("bc", "fem", "gtal", "gail")
TABLE_3 = {
    *product(CLASSIC, FOUR, (1, 4, 7, 10)),
    *product(MUJOCO, FOUR, (4, 11, 18, 25)),
    *product(("humanoid",), FOUR, (80, 160, 240)),
    *product(("reacher",), ("bc", "gail", "gail_ent1e-3", "gail_ent1e-2"), (4, 11, 18)),
}


def flags(cell: Cell) -> dict[str, str]:
    """A command's flags with their values; "" for those without."""
    words = command(GRID, cell, Places())[2:]
    pairs = zip(words, [*words[1:], "--"], strict=True)
    return {a: "" if b.startswith("--") else b for a, b in pairs if a.startswith("--")}


def test_the_cells_are_those_of_table_3_and_the_published_rest() -> None:
    assert len(TABLE_3) == 48 + 64 + 12 + 12
    more = {("reacher", "gail_ent1e-1", n) for n in (4, 11, 18)} | {(task, "constant", 0) for task in GRID.tasks}
    assert set(GRID.groups()) == TABLE_3 | more
    assert len(GRID.groups()) == 148


def test_iterations_and_pairs_are_those_of_table_2() -> None:
    """One more iteration than the table says: theirs count from 0 and evaluate the policy of iteration 300, 500, ..."""
    for task, (iterations, pairs) in {
        **dict.fromkeys(CLASSIC, (301, 5000)), **dict.fromkeys(MUJOCO, (501, 50000)),
        "reacher": (201, 50000), "humanoid": (1501, 50000),
    }.items():  # fmt: skip
        cell = Cell(task, "gail", GRID.tasks[task].trajectories[0], 3)
        given = flags(cell)
        assert (int(given["--iterations"]), int(given["--timesteps_per_batch"])) == (iterations, pairs)
        assert GRID.work(cell) == iterations * pairs


def test_commands() -> None:
    assert command(GRID, Cell("hopper", "gtal", 11, 2), Places()) == [
        "train", "Paper/Hopper-v1", "--preset", "paper", "--adversary", "gtal",
        "--timesteps_per_batch", "50000", "--num_envs", "24", "--expert", "expert_data/paper/Hopper-v1.h5",
        "--trajectories", "11", "--subsample", "20", "--iterations", "501", "--seed", "2",
        "--out", "runs/paper/hopper-gtal-11-seed2", "--quiet",
    ]  # fmt: skip
    assert command(GRID, Cell("reacher", "bc", 4, 0), Places()) == [
        "clone", "Paper/Reacher-v1", "--no_action_scaling",
        "--expert", "expert_data/paper/Reacher-v1.h5", "--trajectories", "4", "--subsample", "1",
        "--iterations", "10001", "--eval_every", "500", "--seed", "0",
        "--out", "runs/paper/reacher-bc-4-seed0", "--quiet",
    ]  # fmt: skip


def test_what_sets_cells_apart() -> None:
    assert flags(Cell("reacher", "gail_ent1e-3", 4, 0))["--causal_entcoeff"] == "0.001"
    assert flags(Cell("reacher", "gail_ent1e-2", 4, 0))["--causal_entcoeff"] == "0.01"
    assert "--causal_entcoeff" not in flags(Cell("reacher", "gail", 4, 0))
    rewards = {task: flags(Cell(task, "gail", 4, 0)).get("--discriminator.reward") for task in GRID.tasks}
    assert {task for task, reward in rewards.items() if reward == "log(D)"} == {"acrobot", "mountaincar"}
    constant = flags(Cell("ant", "constant", 0, 0))
    assert constant["--adversary"] == "constant" and not constant.keys() & {"--expert", "--trajectories"}


def test_train_takes_these_flags() -> None:
    """One cell of every task and every algorithm."""
    by_task = {task: Cell(task, "gail", GRID.tasks[task].trajectories[0], 0) for task in GRID.tasks}
    by_algorithm = {group[1]: Cell(*group, 1) for group in GRID.groups() if group[1] != "bc"}
    for cell in (*by_task.values(), *by_algorithm.values()):
        words = command(GRID, cell, Places())
        config = parse_flags(words[1:]).config
        task = GRID.tasks[cell.task]
        assert (config.env, config.preset, config.iterations) == (task.env, "paper", task.iterations)
        assert (config.expert is None, config.adversary == "constant") == (cell.algorithm == "constant",) * 2
        assert config.timesteps_per_batch * task.iterations == GRID.work(cell)


def test_clone_takes_these_flags() -> None:
    for name, task in GRID.tasks.items():
        words = command(GRID, Cell(name, "bc", max(task.trajectories), 1), Places())
        config = parse(_CloneArguments, words[1:], "clone").config
        assert (config.env, config.trajectories, config.seed) == (task.env, max(task.trajectories), 1)
        assert (config.iterations, config.eval_every) == (task.clone_iterations, task.clone_eval_every)


def test_the_demonstrations_are_there() -> None:
    """Enough of them, of the right environment, and the right pairs left of each."""
    spacing = {"cartpole": 10, "acrobot": 5, "mountaincar": 5, "reacher": 1}  # the others: every 20th pair
    for name, task in GRID.tasks.items():
        with h5py.File(EXPERTS / task.demonstrations) as file:
            assert file.attrs["env_id"] == task.env
            assert len(file["episode_lengths"]) >= max(task.trajectories)
            assert int(file.attrs["subsample"]) * task.subsample == spacing.get(name, 20)


def test_every_cell_has_a_name_of_its_own() -> None:
    cells = select(GRID, Selection())
    assert len({cell.name for cell in cells}) == len(cells) == len({*cells})


def test_a_selection_keeps_the_grids_order() -> None:
    chosen = select(GRID, Selection(("hopper", "cartpole"), ("gail", "bc"), (4, 7), (1, 0)))
    assert [cell.name for cell in chosen] == [
        "cartpole-bc-4-seed0", "cartpole-bc-7-seed0", "cartpole-gail-4-seed0", "cartpole-gail-7-seed0",
        "cartpole-bc-4-seed1", "cartpole-bc-7-seed1", "cartpole-gail-4-seed1", "cartpole-gail-7-seed1",
        "hopper-bc-4-seed0", "hopper-gail-4-seed0", "hopper-bc-4-seed1", "hopper-gail-4-seed1",
    ]  # fmt: skip
    assert {cell.seed for cell in select(GRID, Selection(("walker",)))} == {0, 1, 2}
    assert {cell.seed for cell in select(GRID, Selection(("acrobot",)))} == set(range(7))


@pytest.mark.parametrize("parts", [1, 2, 7, 64])
def test_shards_are_a_partition(parts: int) -> None:
    whole = select(GRID, Selection())
    shards = [select(GRID, Selection(shard=(part, parts))) for part in range(1, parts + 1)]
    assert sorted(cell.name for shard in shards for cell in shard) == sorted(cell.name for cell in whole)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Selection(tasks=("swimmer",)), "--task: 'swimmer' is not in the grid, which has cartpole, acrobot"),
        (Selection(algorithms=("airl",)), "--algorithm: 'airl' is not in the grid, which has bc, fem"),
        (Selection(("reacher",), ("fem",)), "--algorithm: fem is not in the grid: reacher has bc"),
        (Selection(("hopper",), (), (4, 5)), "--trajectories: 5 is not in the grid: hopper has 0, 4, 11, 18, 25"),
        (Selection(("hopper",), ("gail",), (0,)), "no cell of the grid is all of hopper; gail; 0 trajectories"),
        (Selection(seeds=(-1,)), "--seeds: -1 given, at least 0"),
    ],
)
def test_what_is_not_in_the_grid_is_told_in_one_line(wanted: Selection, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        select(GRID, wanted)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(UserError, match=r"--shard: .* i/n with i from 1 to n expected"):
        parse_shard(text)


def test_a_shard() -> None:
    assert parse_shard("2/4") == (2, 4)
