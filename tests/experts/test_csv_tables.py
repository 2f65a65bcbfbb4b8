"""CSV: names, delimiters, episodes, folders, and what is refused in one line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from trpo_gail.cli import main
from trpo_gail.errors import UserError
from trpo_gail.experts.files import text_tables
from trpo_gail.experts.formats import csv_tables
from trpo_gail.experts.load import load, read

SHARED = Path(__file__).parents[2].parent / "shared" / "formats" / "csv"
TABLE = """obs_0,obs_1,action,reward,done
0,0.5,0,1,0
1,1.5,1,1,1
2,2.5,1,2,0
3,3.5,0,2,1
"""


def written(folder: Path, text: str, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("change", [",", ";", "\t", "|", " ", ", ", "   "])
def test_delimiters(tmp_path: Path, change: str) -> None:
    held = load(written(tmp_path, TABLE.replace(",", change)))
    assert held.observations.tolist() == [[0, 0.5], [1, 1.5], [2, 2.5], [3, 3.5]] and held.format == "CSV"
    assert held.actions.tolist() == [0, 1, 1, 0] and held.actions.dtype == np.int64
    assert held.episode_lengths.tolist() == [2, 2] and held.return_mean == 3.0


@pytest.mark.parametrize(
    ("header", "same"),
    [
        ("observation.0,observation.1,Action,Reward,Terminal", True),
        ("obs[0],obs[1],actions,rewards,terminated", True),
        ("state_1,state_2,act,rew,dones", True),
        ("obs1,obs2,action_0,reward,done", True),
        ("obs_1,obs_0,action,reward,done", False),
    ],
)
def test_names_of_columns(tmp_path: Path, header: str, same: bool) -> None:
    held = load(written(tmp_path, TABLE.replace(TABLE.splitlines()[0], header)))
    assert held.observations[1].tolist() == ([1, 1.5] if same else [1.5, 1]) and held.trajectories == 2


@pytest.mark.parametrize(
    ("column", "lengths"),
    [
        ("episode\n0\n0\n0\n1", [3, 1]),
        ("episode_id\nb\na\nb\na", [2, 2]),
        ("traj\n7\n7\n3\n3", [2, 2]),
        ("timestep\n0\n1\n2\n0", [3, 1]),
        ("t\n5\n0\n1\n2", [1, 3]),
        ("truncated\nFalse\nTrue\nFalse\nTrue", [2, 2]),
        ("done\n0\n1\n0\n0", [2, 2]),
        ("done,step\n0,0\n0,1\n0,0\n1,1", [2, 2]),
        ("done,step\n0,7\n0,7\n0,7\n1,7", [4]),
        ("unknown\n1\n2\n3\n4", [4]),
    ],
)
def test_what_tells_episodes_apart(tmp_path: Path, column: str, lengths: list[int]) -> None:
    lines = [line.rpartition(",")[0] for line in TABLE.splitlines()]
    text = "\n".join(f"{line},{cell}" for line, cell in zip(lines, column.split("\n"), strict=True))
    held = load(written(tmp_path, text + "\n"))
    assert held.episode_lengths.tolist() == lengths
    assert held.unfinished == (column.startswith("unknown") or column.endswith("1\n0\n0"))
    assert any("no column marks the episodes" in note for note in held.notes) == column.startswith("unknown")


def test_episodes_whose_rows_are_mixed(tmp_path: Path) -> None:
    held = load(written(tmp_path, "obs,action,episode,done\n0,0,1,0\n1,0,0,0\n2,1,1,0\n3,1,0,1\n"))
    assert held.observations.tolist() == [0, 2, 1, 3] and held.steps.tolist() == [0, 1, 0, 1]
    assert held.terminals.tolist() == [False, False, False, True] and held.timeouts.tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_next_observations_show_a_break(tmp_path: Path) -> None:
    rows = "".join(f"{i}.5,0,{i + 1 if i != 3 else 9}.5\n" for i in range(8))
    held = load(written(tmp_path, "obs,action,next_obs\n" + rows))
    assert held.episode_lengths.tolist() == [4, 4] and "1 episode ends without a flag" in held.notes[0]


def test_cells_may_hold_lists(tmp_path: Path) -> None:
    text = 'obs,action,done\n"[0.5 1.\n 2]",0.5,False\n"[3, 4, 5]",1.0,True\n'
    held = load(written(tmp_path, "," + text.replace("\n", "\n0,", 1).replace('False\n"[3', 'False\n1,"[3')))
    assert held.observations.tolist() == [[0.5, 1, 2], [3, 4, 5]] and held.actions.tolist() == [[0.5], [1.0]]


def test_pandas_index_texts_and_remarks_are_left_out(tmp_path: Path) -> None:
    text = ",obs_0,action,info,done\n0,0.5,1,left,False\n# a remark\n\n1,0.25,0,right,True\n"
    assert load(written(tmp_path, text)).observations.tolist() == [[0.5], [0.25]]


def test_numpy_savetxt_with_a_header(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.txt", np.arange(6.0).reshape(2, 3) + 0.5, header="obs_0 obs_1 action")
    held = load(tmp_path / "x.txt")
    assert held.observations.tolist() == [[0.5, 1.5], [3.5, 4.5]] and held.actions.tolist() == [[2.5], [5.5]]


@pytest.mark.parametrize("form", ["obs.q.{}", "obs/q_{}", "obs.q[{}]", "obs_{}"])
def test_numbered_columns_of_one_part_that_were_sorted_as_texts(tmp_path: Path, form: str) -> None:
    names = sorted(form.format(i) for i in range(12))
    numbers = {form.format(i): str(i + 0.5) for i in range(12)}
    lines = [",".join([*names, "obs.v", "action"]) if "q" in form else ",".join([*names, "obs_12", "action"])]
    lines += [",".join([*(numbers[name] for name in names), "99.5", "1"])] * 2
    held = read(written(tmp_path, "\n".join(lines)))
    assert held.observations[0].tolist() == [*(i + 0.5 for i in range(12)), 99.5]


def test_whole_numbers_stay_floats_if_they_are_written_so(tmp_path: Path) -> None:
    assert load(written(tmp_path, "obs,action\n0.5,1.0\n0.5,0.0\n")).actions.tolist() == [[1.0], [0.0]]


def test_many_rows_and_an_integer_that_becomes_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_tables, "_CHUNK", 2000)
    values = np.random.default_rng(0).normal(size=(3000, 3))
    lines = [",".join([*map(repr, row.tolist()), "1"]) for row in values]
    held = load(written(tmp_path, "obs_0,obs_1,obs_2,action\n" + "\n".join(lines)))
    assert np.array_equal(held.observations, values) and held.actions.dtype == np.int64
    lines[-1] = "0,,0,1.5"
    with pytest.raises(UserError, match=r"'observations': expected finite values, found nan at \[2999, 1\]"):
        load(written(tmp_path, "obs_0,obs_1,obs_2,action\n" + "\n".join(lines)))
    lines[-1] = "0,0,x,1.5"
    with pytest.raises(UserError, match=r"x\.csv: column 'obs_2', row 3000: expected a number, found 'x'"):
        load(written(tmp_path, "obs_0,obs_1,obs_2,action\n" + "\n".join(lines)))


# --- Without names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", ["obs*2 action reward done", "obs, obs, action, reward, done\n", "obs_0 obs_1 act rew done"]
)
def test_columns_without_names(tmp_path: Path, names: str) -> None:
    path = written(tmp_path, "\n".join(TABLE.splitlines()[1:]))
    said = r"x\.csv: a table of 5 columns, which nothing names: write their names into x\.csv\.columns, such as"
    with pytest.raises(UserError, match=said):
        load(path)
    written(tmp_path, names, "x.csv.columns")
    held = load(path)
    assert held.observations.shape == (4, 2) and held.trajectories == 2 and held.return_mean == 3.0


def test_names_beside_a_file_count_more(tmp_path: Path) -> None:
    path = written(tmp_path, TABLE.replace("obs_0,obs_1,action,reward,done", "x,y,u,r,end"))
    with pytest.raises(UserError, match=r"no column is called observations: .*; found x, y, u, r, end"):
        load(path)
    written(tmp_path, "obs*2 action reward done", "x.csv.columns")
    assert load(path).trajectories == 2


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("obs*2 action", "expected names of 5 columns, found 3"),
        ("obs*99999 action", r"expected 5 names such as obs\*4, action, found 'obs\*99999'"),
        ("obs*x", r"found 'obs\*x'"),
        ("", "found ''"),
    ],
)
def test_names_that_do_not_fit(tmp_path: Path, names: str, said: str) -> None:
    path = written(tmp_path, "\n".join(TABLE.splitlines()[1:]))
    written(tmp_path, names, "x.csv.columns")
    with pytest.raises(UserError, match=said):
        load(path)


# --- Folders ------------------------------------------------------------------------------------------------------


def test_the_real_folder() -> None:
    if not SHARED.is_dir():
        pytest.skip("the real files are not beside this checkout")
    held = load(SHARED)
    assert held.observations.shape == (3997, 4) and held.actions.dtype == np.int64
    assert held.episode_lengths.tolist() == [200] * 18 + [197, 200]
    assert "20 were told apart by breaks in the observations, a guess" in held.notes[0]


def test_an_array_a_file(tmp_path: Path) -> None:
    written(tmp_path, "0.5 1\n2 3\n4 5\n", "states.txt")
    written(tmp_path, "1\n0\n1\n", "actions.csv")
    written(tmp_path, "reward\n1\n2\n3\n", "rewards.csv")
    written(tmp_path, "0\n0\n1\n", "episode.csv")
    held = load(tmp_path)
    assert held.actions.tolist() == [1, 0, 1] and held.episode_lengths.tolist() == [2, 1]
    assert held.episode_returns is not None and held.episode_returns.tolist() == [3, 3]


def test_an_episode_a_file(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        written(tmp_path, f"obs_0,obs_1,action\n{number},0.5,1\n{number},1.5,0\n", f"demo_{number}.csv")
    held = load(tmp_path)
    assert held.observations[::2, 0].tolist() == [1, 9, 10] and held.trajectories == 3 and held.ends is None
    assert held.notes == ("3 files, one an episode, in the order of their numbers",)
    written(tmp_path, "obs_0,action\n1,1\n", "demo_2.csv")
    with pytest.raises(UserError, match=r"demo_2\.csv: expected the columns obs_0, obs_1, action as in demo_1\.csv"):
        load(tmp_path)


def test_other_folders_are_none(tmp_path: Path) -> None:
    written(tmp_path, "a,b\n1,2\n")
    assert not csv_tables.holds(tmp_path)


# --- What is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE + "1,2,3\n", "row 5: expected 5 columns, found 3"),
        (TABLE.replace("3.5", "x"), "column 'obs_1', row 4: expected a number, found 'x'$"),
        (TABLE.replace("obs_1", "obs_0"), "two columns are called 'obs_0'"),
        (TABLE.replace("reward", "done"), "two columns are called 'done'"),
        (TABLE.replace("action", "thrust"), "no column is called actions: expected columns called obs_0, obs_1, "),
        (TABLE.replace("1,1.5", "1,nan"), r"expected finite values, found nan at \[1, 1\]"),
        (TABLE.replace("2,1\n", "2,7\n"), "dataset 'terminals': expected 0 or 1, found 7"),
        ('obs,action\n"[1 2]",0\n"[1 2 3]",1\n', "column 'obs': expected lists of one length, found several"),
        ('obs,action\n"[1 2",0\n"[1 2]",1\n', "column 'obs', row 1: expected a list of numbers"),
        (TABLE + "9" * 200_000 + ",1,1,1,1\n", r"."),
        ("obs,action\n1,1\n" + "1" * 5_000_000 + "\n", "expected lines of at most 4,194,304 characters"),
    ],
)
def test_one_line_says_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(written(tmp_path, text))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(written(tmp_path, "1 2 3\n4 5 6\n"))]) == 2
    assert "which nothing names: write their names into x.csv.columns" in capsys.readouterr().err


def test_a_table_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trpo_gail.experts.files.apart.most_bytes", lambda path: 50)
    with pytest.raises(UserError, match=r"takes more than 0 MB in memory \(TRPO_GAIL_EXPANSION_MB"):
        read(written(tmp_path, TABLE))


@pytest.mark.parametrize(
    "content",
    [
        b"hello world\nthis is a text\n",
        b"a: 1\nb: 2\n",
        b'{"obs": 1}\n',
        b"[1, 2]\n",
        b"\xff\xfe1\x00",
        b"x\n",
        b"\n\n",
        b"a,b\n",
    ],
)
def test_other_texts_are_no_tables(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not csv_tables.holds(tmp_path / "x")


def test_mutated_files_are_one_line_or_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(TABLE.encode() * 2)
        for at in rng.integers(0, len(broken), 3):
            broken[at] = int(rng.integers(256))
        path = tmp_path / "x.csv"
        path.write_bytes(broken)
        if not csv_tables.holds(path):
            continue
        try:
            read(path)
        except UserError as error:
            assert str(error).startswith(str(tmp_path)), error  # noqa: PT017


NEWEST_FIRST = "episode,step,obs_0,action,terminal\n" + "".join(
    f"{episode},{step},{step}.5,0.5,{int(step == 5)}\n" for episode in (0, 1) for step in reversed(range(6))
)


def test_rows_whose_newest_come_first_are_put_in_order(tmp_path: Path) -> None:
    """The flag on the first row of each episode shows that the step does not count what is left."""
    held = load(written(tmp_path, NEWEST_FIRST))
    assert held.observations[:, 0].tolist() == [step + 0.5 for step in range(6)] * 2
    assert np.flatnonzero(held.terminals).tolist() == [5, 11]
    assert any("in the order of their step, in 2 of 2 episodes" in note for note in held.notes)


def test_a_step_that_counts_what_is_left_keeps_its_rows(tmp_path: Path) -> None:
    left = NEWEST_FIRST.replace(",1\n", ",x\n").replace("0,0.5,0.5,0", "0,0.5,0.5,1").replace(",x\n", ",0\n")
    held = load(written(tmp_path, left))
    assert held.observations[:, 0].tolist() == [step + 0.5 for step in reversed(range(6))] * 2
    assert np.flatnonzero(held.terminals).tolist() == [5, 11] and not held.notes
    without = "\n".join(line.rpartition(",")[0] for line in left.splitlines())
    held = load(written(tmp_path, without, "without.csv"))
    assert held.observations[0, 0] == 5.5
    assert any("steps go down in 2 of 2 episodes: taken for the time that is left" in note for note in held.notes)


def test_newest_first_without_names_of_episodes_is_refused(tmp_path: Path) -> None:
    text = "\n".join(line.partition(",")[2] for line in NEWEST_FIRST.splitlines())
    with pytest.raises(
        UserError, match=r"x\.csv: step: goes down from each row that a flag ends, so the newest rows come"
    ):
        load(written(tmp_path, text))


# --- What to do ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("3,5", ": write decimal points in place of commas$"),
        ("-3,5e-2", ": write decimal points"),
        ("1,234.5", ": write it without commas$"),
        ("1.5D-03", ": write the exponent with E in place of D$"),
        ("\u22123.5", ": write a minus in place of the dash$"),
        ("NA", ": a number is missing$"),
        ("obs_1", ": the line of names comes again, leave it out$"),
        ("word", "$"),
    ],
)
@pytest.mark.parametrize("rows", [0, 1500])
def test_a_cell_that_is_no_number_is_shown(tmp_path: Path, cell: str, hint: str, rows: int) -> None:
    text = "obs_0;obs_1;action;done\n" + "0.5;1.5;0;0\n" * rows + f"0.5;{cell};1;1\n"
    with pytest.raises(UserError, match=f"column 'obs_1', row {rows + 1}: expected a number, found '{cell}'{hint}"):
        read(written(tmp_path, text))


def test_words_for_flags(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="column 'done', row 1: expected a number, found 'N': write 0 and 1, or true and false"
    ):
        read(written(tmp_path, "obs_0,obs_1,action,done\n0.5,1,0,N\n0.5,1,0,Y\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# by me, 2024\n" + TABLE, "a table but for line 1, '# by me, 2024', before the names of its columns"),
        ("by me\non Monday\n" + TABLE, "a table but for the first 2 lines, from 'by me' on, before the names"),
        ("sep=,\n" + TABLE, "a table but for line 1, 'sep=,', before"),
        (TABLE.replace("\n", "\nm,rad,N,-,-\n", 1), "a table but for line 2, 'm,rad,N,-,-', between the names"),
        (TABLE.replace("\n", ",\n"), "a table whose lines end in ',', behind which no column stands: leave it out"),
        ("thrust,spin\n0.5,1\n", "names of all columns may stand in x.csv.columns"),
    ],
)
def test_what_is_no_table_but_for_a_little(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        read(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a table of numbers, found an empty file"),
        (TABLE.split("\n")[0], "expected rows below the line of names, found 'obs_0,"),
        ("a text\nof words\n", "expected a table of numbers, found another text"),
        ("by me\n" + TABLE, "a table but for line 1, 'by me'"),
    ],
)
def test_a_file_of_a_folder_that_is_no_table(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "ep0.csv").write_text(TABLE)
    (tmp_path / "ep1.csv").write_text(text)
    with pytest.raises(UserError, match=rf"ep1\.csv: {said}"):
        read(tmp_path)


@pytest.mark.parametrize("line", [TABLE.split("\n")[0], "# obs_0 action", "obs_0;action\n\n"])
def test_a_line_of_names_alone(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"x\.csv: expected rows below the line of names, found '(# )?obs_0"):
        read(written(tmp_path, line))


def test_other_texts_are_not_taken_for_tables(tmp_path: Path) -> None:
    for text in ("root:x:0,0\nbin:x:1,1\na,b\n1,2\n", "hello\na,b\n1,2\n", "// a step a line\n", "some words\n"):
        with pytest.raises(UserError, match="of no format that is read"):
            read(written(tmp_path, text))
