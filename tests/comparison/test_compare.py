"""`trpo-gail compare` with a stand-in for training: what it writes, that an interruption changes nothing, what it refuses."""

from __future__ import annotations

import csv
import dataclasses
import fcntl
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import charts, check_alone

from trpo_gail.cli import main
from trpo_gail.commands import compare
from trpo_gail.commands.parsing import parse
from trpo_gail.experts.load import read as read_demonstrations
from trpo_gail.experts.save import save
from trpo_gail.runs.run_folder import read_metrics
from trpo_gail.studies import runner, store
from trpo_gail.studies.comparison import results
from trpo_gail.studies.comparison.plan import Cell, Plan, keep, load

EXPERT = Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5"
FAKE = (sys.executable, str(Path(__file__).with_name("fake_run.py")))
HALF = Cell("CartPole-v0", "small", 0)  # the one that is interrupted


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "POLL_S", 0.01)
        yield


def words(out: Path, *more: str) -> list[str]:
    return [
        "--env", "CartPole-v0", "--expert", str(EXPERT), "--trajectories", "3", "--seeds", "2", "--steps", "50000",
        "--eval_every", "5000", "--contestant", "small: --max_kl 0.001", "--contestant", "ppo: --generator ppo",
        "--jobs", "2", "--out", str(out), "--runs", str(out / "runs"), *more,
    ]  # fmt: skip


def run(out: Path, *more: str) -> int:
    return compare._compare(parse(compare._Arguments, words(out, *more), "compare"), FAKE)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that nothing interrupted."""
    out = tmp_path_factory.mktemp("compare") / "out"
    assert run(out) == 0
    return out


def table(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def tables(out: Path) -> dict[str, bytes]:
    """All that is written, but for times: files by name, the page without that section."""
    found = {f.name: f.read_bytes() for f in out.iterdir() if f.is_file() and not f.name.startswith("times")}
    page = found["index.html"].decode()
    assert page.count('<section id="time">') == 1
    return found | {"index.html": re.sub(r'<section id="time">.*?</section>', "", page, flags=re.DOTALL).encode()}


def result_of(out: Path, cell: Cell) -> results.Result:
    [found] = [result for result in results.read_all(out, load(out)) if result.cell == cell]
    return found


def test_scores_by_hand(done: Path) -> None:
    """`small` climbs to 140 + 3 seed of 200, random is 20; `ppo` to 195 + seed, at 95 % of the expert (191) in the last."""
    found = {(row["contestant"], row["seed"]): row for row in table(done / "runs.csv")}
    assert float(found["small", "1"]["score"]) == pytest.approx((143 - 20) / 180, abs=1e-6)
    assert float(found["ppo", "1"]["score"]) == pytest.approx((196 - 20) / 180, abs=1e-6)
    assert (found["ppo", "0"]["steps_to_95"], found["small", "0"]["steps_to_95"]) == ("50064", "")
    rows = {row["contestant"]: row for row in table(done / "comparison.csv")}
    assert (rows["small"]["runs"], rows["small"]["reached_95"], rows["small"]["steps_to_95_median"]) == ("2", "0", "")
    assert (rows["ppo"]["reached_95"], rows["ppo"]["held_95"]) == ("2", "0"), "the last evaluation alone is that good"
    assert float(rows["small"]["score_iqm"]) == pytest.approx((141.5 - 20) / 180, abs=1e-6)
    assert float(rows["ppo"]["steps_to_95_median"]) == pytest.approx(50032)
    [row] = table(done / "improvement.csv")
    assert (row["first"], row["second"], row["probability_first_is_higher"], row["high"]) == ("small", "ppo", "0", "0")
    curve = [row for row in table(done / "curves.csv") if row["contestant"] == "small"]
    assert (curve[0]["steps"], curve[-1]["steps"]) == ("5064", "50000"), "not where all runs were evaluated"
    assert {p.name for p in done.glob("*.png")} == {
        "scores.png", "curves.png", "profiles.png", "improvement.png", "times_curves.png"
    }  # fmt: skip


def test_the_expert_is_that_of_the_trajectories_that_are_given(tmp_path: Path) -> None:
    """The first four of Walker2d's file are better than the mean of all fifty."""
    out, file = tmp_path / "out", EXPERT.with_name("Walker2d-v4.h5")
    words = [
        "--env",
        "Walker2d-v4",
        "--expert",
        str(file),
        "--trajectories",
        "4",
        "--steps",
        "50000",
        "--eval_every",
        "5000",
    ]
    words += [
        "--contestant",
        "a:",
        "--contestant",
        "b: --max_kl 0.001",
        "--out",
        str(out),
        "--runs",
        str(tmp_path / "runs"),
    ]
    plan = compare._plan(parse(compare._Arguments, words, "compare"))
    assert plan.tasks[0].expert_return_mean == pytest.approx(6364.0, abs=1.0)


@pytest.mark.parametrize("batch", [2048, 8192])
def test_a_larger_batch_has_no_more_evaluations(batch: int, tmp_path: Path) -> None:
    """The last batch of 8192 passes 27,000, which a run of 26,000 steps does not come to with smaller ones."""
    steps, every, rows, due = 26_000, 9_000, [], 9_000
    for at in range(batch, steps + batch, batch):
        rows.append(f"{at // batch},{at},{1.0 if at >= due else ''},1.0")
        due = (at // every + 1) * every if at >= due else due
    (tmp_path / "metrics.csv").write_text("\n".join(["iteration,steps,eval_return_mean,wall_s", *rows]) + "\n")
    assert len(results.curve(tmp_path, read_metrics(tmp_path), steps, every)["steps"]) == 2


def test_a_task_may_have_flags_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(out, "--seeds", "1", "--task_flags", "CartPole-v0: --gamma 0.9") == 0
    plan = load(out)
    assert plan.tasks[0].settings == {"gamma": 0.9} and {c.config["gamma"] for c in plan.contestants} == {0.99}
    for cell in plan.cells():  # `finish` has compared the runs' settings with the plan's
        assert "--gamma 0.9" in " ".join(result_of(out, cell).command)
    assert "--gamma 0.9" in (out / "index.html").read_text()


def test_every_run_has_the_same_terms(done: Path) -> None:
    plan = load(done)
    for cell in plan.cells():
        result = result_of(done, cell)
        text = " ".join(result.command)
        assert text.startswith("trpo-gail train CartPole-v0 ") and f"--seed {cell.seed}" in text
        assert "--expert CartPole-v0.h5 --d_step 16 --trajectories 3 --subsample 1 --steps 50000" in text
        assert str(done.parent) not in store.path(done, cell.name).read_text(), "a path of this machine in a result"
    assert str(EXPERT.parent) not in (done / "plan.json").read_text() + (done / "index.html").read_text()


def test_evaluations_are_a_twentieth_or_an_epoch_apart(tmp_path: Path) -> None:
    for steps, every in (("100000", 5000), ("20000", 2048)):
        given = parse(compare._Arguments, words(tmp_path, "--steps", steps, "--eval_every"), "compare")
        assert compare._plan(given).tasks[0].eval_every == every


def test_a_contestants_preset_overrides_the_common_one(tmp_path: Path) -> None:
    line = words(tmp_path, "--flags=--preset stable-baselines --d_step 24", "--contestant", "x: --preset default")
    plan = compare._plan(parse(compare._Arguments, line, "compare"))
    small, x = plan.contestant("small").config, plan.contestant("x").config
    assert (small["preset"], small["gamma"], small["timesteps_per_batch"]) == ("stable-baselines", 0.99, 1024)
    assert (x["preset"], x["gamma"], x["timesteps_per_batch"]) == ("default", 0.99, 2048)


def test_the_page_stands_alone(done: Path) -> None:
    page = (done / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    steps, seconds = charts(check_alone(page))
    assert_curves(done, steps, "curves.csv", "steps")
    assert_curves(done, seconds, "times_curves.csv", "seconds")
    for title in (
        "Scores",
        "Performance profiles",
        "Probability of improvement",
        "Failures",
        "Terms",
        "Time",
        "Method",
    ):
        assert f">{title}</h2>" in page
    assert "best evaluation 0.667, last policy 0.667" in page, "a failure is not listed"
    assert "trpo.max_kl" in page and "ppo.clip_range" in page


def test_one_contestant_alone_has_curves_and_intervals_and_no_differences(tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = [word for word in words(out) if not word.startswith("ppo:")]
    del given[given.index("--contestant") + 2]  # the other one's flag
    assert compare._compare(parse(compare._Arguments, given, "compare"), FAKE) == 0
    page = (out / "index.html").read_text()
    assert "<title>Runs of small</title>" in page and ">Scores</h2>" in page and "1 contestant on" in page
    assert "Probability of improvement" not in page and "Differences" not in page
    assert table(out / "differences.csv") == [] and len(table(out / "comparison.csv")) == 1


def assert_curves(done: Path, chart: dict[str, Any], file: str, x: str) -> None:
    """The numbers of the page are those of the table, whose scores are 0 at random and 1 at the expert's return."""
    rows = table(done / file)
    for plot in chart["plots"]:
        of_task = [row for row in rows if row["env"] == ("all" if plot["title"] == "all tasks" else plot["title"])]
        expert, _, random = (level["value"] for level in plot["levels"])
        for series in plot["series"]:
            mine = [row for row in of_task if row["contestant"] == series["name"]]
            if plot["title"] != "all tasks":
                assert chart["xs"][series["x"]] == pytest.approx([float(row[x]) for row in mine], rel=1e-5)
            for values, name in (("y", "score_iqm"), ("low", "iqm_low"), ("high", "iqm_high")):
                expected = [random + float(row[name]) * (expert - random) for row in mine]
                assert series[values] == pytest.approx(expected, rel=1e-4, abs=1e-3)
        assert {series["name"] for series in plot["series"]} == {row["contestant"] for row in of_task}


def test_one_task_has_all_trajectories_and_the_next_has_some(tmp_path: Path) -> None:
    two = ["--env", "CartPole-v0", "CartPole-v1", "--expert", str(EXPERT), str(EXPERT.with_name("CartPole-v1.h5"))]
    given = parse(compare._Arguments, [*words(tmp_path), *two, "--trajectories", "None", "4"], "compare")
    assert [task.trajectories for task in compare._plan(given).tasks] == [None, 4]
    given = parse(compare._Arguments, [*words(tmp_path), *two, "--trajectories", "None"], "compare")
    assert [task.trajectories for task in compare._plan(given).tasks] == [None, None]


def test_an_interruption_changes_nothing_but_times(done: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    runs = out / "runs"
    runs.mkdir(parents=True)
    (runs / f"{HALF.name}.order").write_text("hang")
    sender = threading.Thread(target=_signal_when, args=(runs / HALF.name / "ready",))
    sender.start()
    assert run(out, "--jobs", "1") == runner.INCOMPLETE
    sender.join()
    assert not (out / "index.html").exists() and not (out / "comparison.csv").exists()
    assert len(list((out / "cells").glob("*.json") if (out / "cells").exists() else [])) < 4
    (runs / f"{HALF.name}.order").unlink()
    assert run(out) == 0
    ours, theirs = tables(out), tables(done)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert (out / "times.csv").read_bytes() != (done / "times.csv").read_bytes(), "the stand-in's seconds are all alike"


def _signal_when(ready: Path) -> None:
    while not ready.exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)


def test_what_is_under_way_elsewhere_is_collected_later(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a runner was killed, whose run goes on and holds the lock."""
    out = tmp_path / "out"
    (out / "runs").mkdir(parents=True)
    with open(out / "runs" / f"{HALF.name}.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run(out) == runner.INCOMPLETE
        said = capsys.readouterr().out
        assert "3 done, 0 failed, 1 under way elsewhere: the same command collects those once they have ended" in said
        assert [row["runs"] for row in table(out / "comparison.csv")] == ["1", "2"]
    assert run(out) == 0
    assert tables(out) == tables(done)


def test_a_run_that_fails_is_listed_and_tried_again(done: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    store.path(out, HALF.name).unlink()
    shutil.rmtree(out / "runs" / HALF.name)
    order = out / "runs" / f"{HALF.name}.order"
    order.write_text("fail")
    assert run(out) == 1
    page = (out / "index.html").read_text()
    assert "Without a result, and in no number here: 1." in page
    assert "Without a result: failed, not run yet, or still under way." in page
    assert [row["runs"] for row in table(out / "comparison.csv")] == ["1", "2"]
    order.unlink()
    assert run(out) == 0
    assert tables(out) == tables(done)


def test_a_run_of_another_plan_is_not_taken_for_this_ones(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where two comparisons of one name share a folder of runs."""
    runs = tmp_path / "runs"
    (runs / HALF.name).mkdir(parents=True)
    for name in ("config.json", "summary.json", "metrics.csv"):
        shutil.copy(done / "runs" / HALF.name / name, runs / HALF.name)
    file = runs / HALF.name / "config.json"
    content = json.loads(file.read_text())
    content["config"]["trpo"]["max_kl"] = 0.5
    file.write_text(json.dumps(content))
    out = tmp_path / "out"
    assert run(out, "--runs", str(runs)) == 1
    assert f"{runs / HALF.name}: made with --trpo.max_kl 0.5, 0.001 by the plan" in capsys.readouterr().out
    assert not store.path(out, HALF.name).exists()


def test_a_run_of_another_number_of_ranks_is_not_taken_for_this_ones(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copytree(done / "runs" / HALF.name, tmp_path / "runs" / HALF.name)
    file = tmp_path / "runs" / HALF.name / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ranks": 2}))
    assert run(tmp_path / "out", "--runs", str(tmp_path / "runs")) == 1
    assert "its last session had 2 rank(s), 1 by the plan" in capsys.readouterr().out
    assert not store.path(tmp_path / "out", HALF.name).exists()


def test_runs_that_began_with_different_policies_are_not_put_together(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(done / "plan.json", tmp_path)
    shutil.copytree(done / "cells", tmp_path / "cells")
    for seed in (0, 1):
        file = store.path(tmp_path, Cell("CartPole-v0", "small", seed).name)
        file.write_text(json.dumps(json.loads(file.read_text()) | {"init_policy_sha256": f"{seed}"}))
    assert "field 'init_policy_sha256': another policy to begin with than in" in refused(
        capsys, "report", "--out", str(tmp_path)
    )


def copy_with_random_return(done: Path, folder: Path, value: float) -> None:
    """A comparison's plan and cells in which random actions return so much."""
    shutil.copy(done / "plan.json", folder)
    shutil.copytree(done / "cells", folder / "cells")
    for cell in load(done).cells():
        file = store.path(folder, cell.name)
        file.write_text(json.dumps(json.loads(file.read_text()) | {"random_return_mean": value}))


def test_an_expert_that_is_hardly_better_than_random_is_told_of(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_with_random_return(done, tmp_path, 199.0)
    assert main(["compare", "report", "--out", str(tmp_path)]) == 0
    says = "CartPole-v0: its demonstrations return 200 and random actions 199, which hardly differ"
    assert says in capsys.readouterr().err and says in (tmp_path / "index.html").read_text()


def test_seeds_that_another_runner_has_added_are_in_the_tables(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    real = runner.Runner.run

    def grown(self: Any) -> Any:
        outcome = real(self)
        monkeypatch.setattr(runner.Runner, "run", real)
        assert run(out, "--seeds", "3") == 0  # while the other one works
        return outcome

    monkeypatch.setattr(runner.Runner, "run", grown)
    assert run(out) == 0
    assert {row["seed"] for row in table(out / "runs.csv")} == {"0", "1", "2"}


def test_of_two_that_write_the_tables_at_once_the_last_has_all_results(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runners that end together read the results and write one after the other."""
    shutil.copytree(done, out := tmp_path / "out")
    real, handle, free = results.read_all, os.open(out, os.O_RDONLY), list[bool]()

    def look() -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(True)
        except BlockingIOError:
            free.append(False)

    monkeypatch.setattr(results, "read_all", lambda *given: look() or real(*given))
    monkeypatch.setattr("trpo_gail.studies.comparison.tables.write_tables", lambda *_: look())
    monkeypatch.setattr("trpo_gail.studies.comparison.page.write_page", lambda *_: look())
    assert main(["compare", "report", "--out", str(out)]) == 0
    os.close(handle)
    assert free == [False, False, False]


def test_a_folder_in_which_another_comparison_begins_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    keep(plan_of(out), out)
    (out / "runs").mkdir()
    with open(out / "runs" / f"{HALF.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "holds another comparison" in refused(capsys, *words(out, "--flags=--gamma 0.9"))


def test_the_report_alone(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("plan.json", "cells"):  # what is kept under version control is enough
        source = done / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    assert main(["compare", "report", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/index.html\n"
    assert tables(tmp_path) == tables(done)


def test_packed_results_make_the_same_tables(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    other = out / "cells" / "other.json"
    other.write_text("no cell of the plan")
    assert main(["compare", "pack", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}/cells.jsonl: 4 results, 4 of them packed now\n"
    assert list((out / "cells").iterdir()) == [other]
    other.unlink()
    for name in tables(out).keys() - {"plan.json", "cells.jsonl"}:
        (out / name).unlink()
    assert run(out) == 0, "what is done ran again"
    now = tables(out)
    del now["cells.jsonl"]
    assert now == tables(done)


def test_unequal_updates_are_told_of_where_they_happened(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As whole episodes may make them: `small` had twice the epochs, and so the updates, in as many steps."""
    assert (
        "updates per step, as counted, are the same for all that have a discriminator, to 0.0%"
        in (done / "index.html").read_text()
    )
    shutil.copy(done / "plan.json", tmp_path)
    shutil.copytree(done / "cells", tmp_path / "cells")
    for file in (tmp_path / "cells").glob("*-small-*.json"):
        content = json.loads(file.read_text())
        file.write_text(json.dumps(content | {"iterations": 2 * content["iterations"]}))
    assert main(["compare", "report", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert said.startswith("CartPole-v0: unequal discriminator updates per 1000 steps, ") and said.count("\n") == 1
    page = (tmp_path / "index.html").read_text()
    assert f"They are not on equal terms. {said.strip()}" in page and "as counted, are the same" not in page


# ---- what a user gets wrong ------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_another_plan_in_the_same_folder(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tables(done)
    assert "holds another comparison (seeds: 0 1 there, 1 2 here)" in refused(capsys, *words(done, "--seeds", "1", "2"))
    assert "tasks[0].steps: 50000 there, 12000 here" in refused(capsys, *words(done, "--steps", "12000"))
    assert "contestants[0].config.gamma" in refused(capsys, *words(done, "--flags=--gamma 0.9"))
    assert "contestants: small, ppo there, small, ppo, x here" in refused(capsys, *words(done, "--contestant", "x:"))
    assert tables(done) == before


def test_more_seeds_of_the_same_comparison_are_added(done: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out, ignore=shutil.ignore_patterns("runs"))
    assert run(out, "--seeds", "3") == 0
    assert load(out).seeds == (0, 1, 2) and len(results.read_all(out, load(out))) == 6


def test_a_comparison_of_which_nothing_has_begun_makes_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    for cell in plan_of(out).cells():
        (out / "runs").mkdir(parents=True, exist_ok=True)
        (out / "runs" / f"{cell.name}.order").write_text("fail")
    assert run(out, "--seeds", "1", "--flags=--gamma 0.9") == 1  # all of them fail
    for order in (out / "runs").glob("*.order"):
        order.unlink()
    assert run(out, "--seeds", "1") == 0 and load(out).flags == ()
    assert "holds another comparison" in refused(capsys, *words(out, "--flags=--gamma 0.9"))


def plan_of(out: Path) -> Plan:
    """The comparison that `words` gives."""
    return compare._plan(parse(compare._Arguments, words(out), "compare"))


def test_demonstrations_of_another_environment_are_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, *words(tmp_path / "out", "--env", "MountainCar-v0"))
    assert "expected rows of shape [2] as the environment 'MountainCar-v0' has, found [4]" in said
    assert not (tmp_path / "out").exists()
    assert "Nowhere-v0" in refused(capsys, *words(tmp_path / "out", "--env", "Nowhere-v0"))


def test_a_discriminator_that_rests_is_counted_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(out, "--seeds", "1", "--contestant", "rests: --discriminator.rest_above 0.9") == 0
    said = capsys.readouterr().err
    assert "unequal discriminator updates per 1000 steps" in said and "0.05992 of rests" in said  # 3 in 50,064 steps
    assert "as counted, are the same" not in (out / "index.html").read_text()


def test_a_task_without_a_scale_is_left_out(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(done / "plan.json", tmp_path)
    shutil.copytree(done / "cells", tmp_path / "cells")
    plan = json.loads((tmp_path / "plan.json").read_text())
    other = plan["tasks"][0] | {"env": "Acrobot-v1", "expert_return_mean": 10.0}
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"tasks": [*plan["tasks"], other]}))
    changed = load(tmp_path)
    for cell in changed.cells():
        if cell.env == "Acrobot-v1":
            like = json.loads(store.path(done, Cell("CartPole-v0", cell.contestant, cell.seed).name).read_text())
            content = like | {"env": cell.env, "setup": changed.setup(cell)}
            store.path(tmp_path, cell.name).write_text(json.dumps(content))
    assert main(["compare", "report", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "Acrobot-v1: its demonstrations return 10 and random actions 20, of which no scale can be made" in said
    runs, rows = table(tmp_path / "runs.csv"), table(tmp_path / "comparison.csv")
    for row in (*runs, *rows, *table(tmp_path / "times.csv")):
        assert row["env"] in ("CartPole-v0", "Acrobot-v1")
        assert bool(row.get("score", row.get("score_iqm", "1"))) == (row["env"] == "CartPole-v0") or "train_s" in row
    found = [(row["runs"], row["return_mean"], row["random_return"]) for row in rows if row["env"] == "Acrobot-v1"]
    assert found == [("2", "141.5", "20"), ("2", "195.5", "20")]
    assert {row["env"] for row in table(tmp_path / "curves.csv")} == {"CartPole-v0"}
    page = (tmp_path / "index.html").read_text()
    assert "Without scores, Acrobot-v1: its demonstrations return 10" in page and "Returns without scores" in page


def test_a_comparison_without_any_scale_writes_returns(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_with_random_return(done, tmp_path, 300.0)
    assert main(["compare", "report", "--out", str(tmp_path)]) == 0
    assert "its demonstrations return 200 and random actions 300, of which no scale" in capsys.readouterr().err
    assert [row["return_mean"] for row in table(tmp_path / "runs.csv")] == ["140", "195", "143", "196"]
    assert table(tmp_path / "curves.csv") == []
    page = (tmp_path / "index.html").read_text()
    assert "Without scores, CartPole-v0: its demonstrations return 200" in page and ">141.5<" in page
    check_alone(page)
    assert "failed, not run yet" not in page
    store.path(tmp_path, HALF.name).unlink()
    assert main(["compare", "report", "--out", str(tmp_path)]) == 0
    assert "Without a result: failed, not run yet, or still under way." in (tmp_path / "index.html").read_text()


def test_before_the_first_run_there_is_a_warning_of_demonstrations_that_return_no_more_than_random_actions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = read_demonstrations(EXPERT)
    assert held.rewards is not None and held.episode_returns is not None
    poor = dataclasses.replace(held, rewards=0 * held.rewards, episode_returns=0 * held.episode_returns)
    save(tmp_path / "poor.h5", poor)
    given = parse(compare._Arguments, words(tmp_path / "out", "--expert", str(tmp_path / "poor.h5")), "compare")
    compare._warn_of_scales(compare._plan(given), given)
    said = capsys.readouterr().err
    assert re.search(r"^warning: CartPole-v0: its demonstrations return 0 and random actions \d", said), said
    given = parse(compare._Arguments, words(tmp_path / "out"), "compare")
    compare._warn_of_scales(compare._plan(given), given)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--contestant", "small"], '"NAME: FLAGS" expected'),
        (["--contestant", "x: --nonsense 3"], "--contestant x: train: "),
        (["--contestant", "x: --steps 3"], "--contestant x: --steps is the same for all"),
        (["--contestant", "x: 'a"], "No closing quotation"),
        (["--contestant", "x: --max_kl -1"], "--contestant x: --trpo.max_kl: -1.0 given, more than 0 expected"),
        (["--flags=--seed 3"], "--flags: --seed is the same for all"),
        (["--generators", "ppo"], "'ppo' given twice"),
        (["--generators", "trpo", "ppo"], "with commas: --generators trpo,ppo"),
        (["--generators", "dqn"], "--contestant dqn: --generator: 'dqn' given, "),
        (["--expert", "a.h5", "b.h5"], "--expert: 2 given, one for each of 1 environments expected"),
        (["--expert"], "--expert: 0 given, one for each of 1 environments expected"),
        (["--env", "--expert"], "--env: none given, at least 1 expected"),
        (["--steps"], "--steps: 0 given, 1 or one for each of 1 environments"),
        (["--expert", "nowhere.h5"], "nowhere.h5"),
        (["--trajectories", "1000"], "trajectories: expected 1 to"),
        (["--trajectories", "None", "3"], "--trajectories: 2 given, 1 or one for each of 1 environments expected"),
        (["--trajectories", "0"], "--trajectories: 0 given, at least 1 expected"),
        (["--trajectories", "all"], "Error parsing --trajectories: 'all' given, a whole number or None expected"),
        (["--subsample", "None"], "Error parsing --subsample: 'None' given, a whole number expected"),
        (["--steps", "1", "2"], "--steps: 2 given, 1 or one for each of 1 environments"),
        (["--eval_every", "2000"], "--eval_every: 2000 given for CartPole-v0, but one iteration of small has 2048"),
        (
            ["--steps", "1000", "--eval_every", "1000"],
            "--steps: 1000 given for CartPole-v0, but one iteration of small has 2048",
        ),
        (["--contestant", f"{'x' * 200}: --gamma 0.9"], "would have files whose names are too long: 218 characters"),
        (["--seeds", "0"], "--seeds: 0 given, at least 1"),
        (["--seeds", "20261130"], "--seeds: 20261130 given, at most 10000 expected: one number alone is the number of"),
        (["--seeds", "3", "3"], "--seeds: 3 3 given, different numbers"),
        (["--eval_every", "60000"], "--eval_every: 60000 given, at most --steps 50000"),
        (["--final_episodes", "0"], "--final_episodes: 0 given, at least 1"),
        (["--task_flags", "CartPole-v0"], "--task_flags: 'CartPole-v0' given, \"ENV: FLAGS\" expected"),
        (["--task_flags", "Hopper-v4: --gamma 0.9"], "--task_flags: 'Hopper-v4' given, one of CartPole-v0 expected"),
        (["--task_flags", "CartPole-v0: --gamma 0.9", "--task_flags", "CartPole-v0: --lam 0.9"], "given twice"),
        (["--task_flags", "CartPole-v0: --seed 3"], "--task_flags CartPole-v0: --seed is the same for all"),
        (["--task_flags", "CartPole-v0: --num_envs 4"], "--task_flags CartPole-v0: --num_envs is for all tasks"),
        (["--task_flags", "CartPole-v0: --max_kl 0.1"], "--task_flags CartPole-v0: "),  # PPO has no such field
        (["--ranks", "17"], "--ranks: 17 given, but small has 16 environments"),
    ],
)
def test_mistakes(more: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in refused(capsys, *words(tmp_path / "out", *more))
    assert not (tmp_path / "out").exists(), "something was made"


def test_folders_that_are_files(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    name = str(tmp_path / "file")
    shutil.copy(done / "plan.json", tmp_path)
    assert f"{name}: File exists" in refused(capsys, *words(tmp_path, "--runs", name))
    assert f"{name}/plan.json cannot be written: File exists" in refused(capsys, *words(Path(name)))


def test_a_folder_that_holds_no_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no comparison (no plan.json)" in refused(capsys, "report", "--out", str(tmp_path))
    (tmp_path / "plan.json").write_text('{"format": 0}')
    assert "field 'format': 1 expected, 0 found" in refused(capsys, "report", "--out", str(tmp_path))
    (tmp_path / "plan.json").write_text('{"format": 1}')
    assert "fields missing or unknown" in refused(capsys, "report", "--out", str(tmp_path))


def test_a_damaged_plan(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads((done / "plan.json").read_text())
    (task, *_), (contestant, *_) = content["tasks"], content["contestants"]
    for wrong, says in (
        ([content], "plan.json: an object expected"),
        (content | {"seeds": ["0"]}, "plan.json: field 'seeds': a list of whole numbers expected, found ('0',)"),
        (content | {"ranks": None}, "plan.json: field 'ranks': a whole number expected, found None"),
        (content | {"tasks": [task | {"steps": "many"}]}, "plan.json: field 'steps': a whole number expected"),
        (content | {"tasks": [3]}, "plan.json: fields missing or unknown"),
        (content | {"contestants": [contestant | {"config": []}]}, "plan.json: field 'config': an object "),
        (content | {"seeds": [0, 0, 1]}, "plan.json: tasks and different seeds expected"),
        (content | {"tasks": [task | {"steps": 0}]}, "plan.json: steps of CartPole-v0: at least 1 expected, found 0"),
        (content | {"contestants": [contestant, contestant]}, "plan.json: --contestant: 'small' given twice"),
    ):
        (tmp_path / "plan.json").write_text(json.dumps(wrong))
        assert says in refused(capsys, "report", "--out", str(tmp_path))


def test_results_that_are_not_the_plans(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(done / "plan.json", tmp_path)
    assert f"--out {tmp_path}: no run of the comparison has a result" in refused(
        capsys, "report", "--out", str(tmp_path)
    )
    content = json.loads(store.path(done, HALF.name).read_text())
    file = store.path(tmp_path, HALF.name)
    file.parent.mkdir()
    for wrong, says in (
        (content | {"setup": "x"}, "field 'setup'"),
        (content | {"seed": 9}, "holds the cell CartPole-v0-small-seed9"),
        ({"setup": "x"}, "fields missing or unknown"),
        (content | {"returns": []}, "finite numbers of at most 1e+100 expected"),
        (content | {"returns": ["x"]}, "a list of finite numbers expected"),
        (content | {"returns": [1e308, 1e308], "return_mean": 1e308}, "finite numbers of at most 1e+100 expected"),
        (content | {"steps": 0}, "fields 'steps' and 'curve': steps from 1 on that rise expected"),
        (
            content | {"curve": content["curve"] | {"steps": content["curve"]["steps"][::-1]}},
            "steps from 1 on that rise",
        ),
        (content | {"return_mean": 1.25}, "field 'return_mean': 1.25 found"),
        (content | {"steps": "many"}, "field 'steps': a whole number expected, found 'many'"),
        (content | {"curve": {}}, "field 'curve': finite numbers expected, as many in each of"),
        (content | {"curve": content["curve"] | {"steps": [1]}}, "field 'curve': finite numbers expected"),
        (content | {"curve": []}, "field 'curve': an object whose values are each a list of finite numbers expected"),
        ([content], "an object expected"),
    ):
        file.write_text(json.dumps(wrong))
        assert says in refused(capsys, "report", "--out", str(tmp_path))
