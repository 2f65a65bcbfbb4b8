"""The report of runs: every section for a run that is whole, and as much as there is for one that is not."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import charts, check_alone
from repeats import every

from trpo_gail.cli import main
from trpo_gail.errors import RunError, UserError
from trpo_gail.reports import metric_sections, state_section, style
from trpo_gail.reports.metric_sections import NOT_RECORDED
from trpo_gail.reports.page import Figure, Section, Table
from trpo_gail.reports.run_data import load
from trpo_gail.reports.run_report import _expert_means, _own_expert, report, save_learning_curve
from trpo_gail.reports.state_section import States, states_section
from trpo_gail.reports.visits import Visits
from trpo_gail.runs.run_folder import read_metrics

SECTIONS = [
    "Returns", "Learning curve", "Episodic returns", "Discriminator", "Policy learning", "KL and step acceptance",
    "States visited, expert and learner", "Expert and learner from the same start", "Time", "Settings",
]  # fmt: skip
PICTURES = [
    "episodes",
    "learning_curve",
    "training_episodes",
    "episodic_returns",
    "discriminator",
    "logits",
    "policy",
    "trust_region",
    "time",
]


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are laid out, but not painted, which takes the most time; other tests paint them."""
    monkeypatch.setattr(style, "png", lambda figure: b"")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are not even laid out, where a test is of words and numbers."""

    def drawn(name: str, draw: Any, alt: str, caption: str = "", chart: Any = None) -> Figure:
        return Figure(name, b"", alt, caption, None, chart)

    monkeypatch.setattr(Figure, "drawn", drawn)


def pictures(sections: list[Section]) -> list[str]:
    return [part.name for section in sections for part in section.parts if isinstance(part, Figure)]


def table(sections: list[Section], title: str, number: int = 0) -> list[dict[str, Any]]:
    (section,) = (s for s in sections if s.title == title)
    found = [part for part in section.parts if isinstance(part, Table)][number]
    return [dict(zip(found.header, row, strict=True)) for row in found.rows]


def text(sections: list[Section], title: str) -> str:
    return next(section.text for section in sections if section.title == title)


# ---- runs that are whole ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unpainted")
def test_a_run_has_every_section_and_picture(cartpole: Path) -> None:
    sections = report(load([cartpole]), 2)
    assert [section.title for section in sections] == SECTIONS
    assert sorted(pictures(sections)) == sorted([*PICTURES, "states_CartPole_v0", "actions_CartPole_v0", "same_start"])
    assert not any(NOT_RECORDED in section.text for section in sections)
    summary = json.loads((cartpole / "summary.json").read_text())
    (row,) = table(sections, "Returns")
    assert row["learned"] == summary["return_mean"] and row["random"] == summary["random_return_mean"]
    assert row["expert"] == 200.0 and row["steps"] == summary["steps"]
    assert row["scaled"] == pytest.approx(summary["scaled_score"], abs=1e-3)
    (seconds,) = table(sections, "Time")
    phases = [value for name, value in seconds.items() if name.endswith(", s") and "evaluation" not in name]
    assert sum(phases[:-1]) == pytest.approx(phases[-1], rel=1e-6)  # they add up to the training's
    (states,) = table(sections, "States visited, expert and learner")
    assert states["episodes"] == 2 and 0.0 < states["mean distance"] <= states["greatest distance"] <= 1.0


def test_the_command_writes_one_file_that_stands_alone(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DPI", "NARROW_DPI"):  # fewer dots are painted faster
        monkeypatch.setattr(style, name, getattr(style, name) // 3)
    before = {path.name for path in copy.iterdir()}
    assert main(["report", str(copy), "--episodes", "1", "--png", str(tmp_path / "png")]) == 0
    assert capsys.readouterr().out == f"report  {copy / 'report.html'}\n"
    assert {path.name for path in copy.iterdir()} == before | {"report.html"}
    page = check_alone((copy / "report.html").read_text())
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == len(list((tmp_path / "png").iterdir())) == len(PICTURES) + 3
    assert all(image["alt"] for image in images)


@pytest.mark.usefixtures("undrawn")
def test_the_numbers_of_the_page_are_those_of_the_metrics(cartpole: Path, tmp_path: Path) -> None:
    """To six digits, with the steps at which they stand; what was not measured is a gap."""
    assert main(["report", str(cartpole), "--episodes", "1", "--out", str(tmp_path / "page.html")]) == 0
    curve, _, episodic, discriminator, *_ = charts(check_alone((tmp_path / "page.html").read_text()))
    with (cartpole / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ends = [int(float(row["steps"])) for row in rows]
    (panel,) = curve["plots"]
    training, evaluation = panel["series"]
    assert curve["xs"][training["x"]] == [0, *ends[:-1]] and training["y"] == column(rows, "return_mean")
    evaluated = [row for row in rows if row["eval_return_mean"]]
    assert curve["xs"][evaluation["x"]] == [int(float(row["steps"])) for row in evaluated]
    assert evaluation["y"] == column(evaluated, "eval_return_mean")
    spread = zip(evaluation["low"], evaluation["high"], column(evaluated, "eval_return_std"), strict=True)
    for low, high, std in spread:
        assert std is not None and high - low == pytest.approx(2 * std, rel=1e-4)
    levels = {level["name"]: level["value"] for level in panel["levels"]}
    random = json.loads((cartpole / "summary.json").read_text())["random_return_mean"]
    assert levels == {"expert": 200, "random": pytest.approx(random, rel=1e-5)}
    for figure, names in ((episodic, ["return_mean", "return_std"]), (discriminator, ["d_loss", "d_entropy"])):
        for plot, name in zip(figure["plots"], names, strict=False):
            assert plot["series"][0]["y"] == column(rows, name), name


def column(rows: list[dict[str, str]], name: str) -> list[float | None]:
    return [float(f"{float(row[name]):.6g}") if row[name] else None for row in rows]


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_the_same_run_gives_the_same_page(cartpole: Path, tmp_path: Path) -> None:
    for name in "ab":
        assert main(["report", str(cartpole), "--episodes", "1", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_several_runs_have_a_row_each_and_a_picture_per_environment(
    cartpole: Path, point_nav: Path, cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = report(load([cartpole, point_nav, cloned]), 2)
    assert [s.title for s in sections] == [
        *SECTIONS[:2], "Success", *SECTIONS[2:6], "Behavioural cloning", *SECTIONS[6:],
    ]  # fmt: skip
    of_each = [f"{what}_{env}_v0" for what in ("states", "actions") for env in ("CartPole", "PointNav2D")]
    same_starts = [f"same_start_{number}" for number in (1, 2, 3)]
    assert sorted(pictures(sections)) == sorted([*PICTURES, "cloning", "success", *of_each, *same_starts])
    for title in ("Returns", "Time", "States visited, expert and learner"):
        labels = [row["run"] for row in table(sections, title)]
        assert labels == ["/".join(path.parts[-2:]) for path in (cartpole, point_nav, cloned)]
    assert [row["learns by"] for row in table(sections, "Returns")] == [
        "TRPO, gail",
        "PPO, gail",
        "behavioural cloning",
    ]
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(cartpole), str(point_nav), "--episodes", "1"]) == 0
    check_alone((tmp_path / "report.html").read_text())


@pytest.mark.usefixtures("unpainted")
def test_two_dimensions_are_drawn_as_paths(point_nav: Path) -> None:
    (section,) = (s for s in report(load([point_nav]), 2) if s.title.startswith("States"))
    assert "trajectories" in section.parts[0].alt


# ---- runs that are not -----------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_a_run_that_was_cut_short_is_reported_as_far_as_it_went(copy: Path) -> None:
    """No summary, and a row that was being written."""
    (copy / "summary.json").unlink()
    whole = read_metrics(copy)
    with open(copy / "metrics.csv", "a") as file:
        file.write("9,600,1,0.")
    assert read_metrics(copy) == whole
    sections = report(load([copy]), 2)
    assert [section.title for section in sections] == SECTIONS
    assert sorted(pictures(sections)) == sorted([*PICTURES, "states_CartPole_v0", "actions_CartPole_v0", "same_start"])
    (row,) = table(sections, "Returns")
    evaluated = [r for r in whole if r["eval_return_mean"] is not None]
    assert row["learned"] == evaluated[-1]["eval_return_mean"]
    assert row["steps"] == whole[-1]["steps"] and row["random"] is None and row["ended by"] is None
    assert row["expert"] == 200.0  # of the file
    assert "Without a last evaluation" in text(sections, "Returns")


@pytest.mark.usefixtures("unpainted")
def test_a_run_that_has_just_begun_is_reported(copy: Path) -> None:
    for name in ("summary.json", "metrics.csv", "learning_curve.png"):
        (copy / name).unlink()
    shutil.rmtree(copy / "checkpoints")
    sections = report(load([copy]), 2)
    assert [section.title for section in sections] == SECTIONS
    assert pictures(sections) == []
    assert text(sections, "Learning curve") == NOT_RECORDED
    assert save_learning_curve(copy) is None and not (copy / "learning_curve.png").exists()
    assert "no last checkpoint" in text(sections, "States visited, expert and learner")


def test_the_expert_of_several_runs_is_one_if_they_agree(point_nav: Path) -> None:
    """A run that goes on still states nothing; runs with other experts have none in common."""
    (run,) = load([point_nav])
    other = replace(run, summary=run.summary | {"expert_return_mean": 0.25})
    silent = replace(run, summary={})
    own = run.summary["expert_return_mean"]
    assert _expert_means([run, silent], None) == {run.env: own}
    assert _expert_means([run, other], None) == {}
    assert [_own_expert(one, 0, None) for one in (run, other, silent)] == [own, 0.25, None]


@pytest.mark.usefixtures("unpainted")
def test_without_the_experts_file_the_learner_is_shown_alone(
    copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    change(lambda content: (content["setting"].update(expert="gone.h5"), content["config"].update(expert="gone.h5")))
    sections = report(load([copy]), 2)
    assert "states_CartPole_v0" in pictures(sections)
    assert "gone.h5, is no longer where" in text(sections, "States visited, expert and learner")
    (states,) = table(sections, "States visited, expert and learner")
    assert states["mean distance"] is None
    assert table(sections, "Returns")[0]["expert"] == 200.0  # the summary's


@pytest.mark.usefixtures("unpainted")
def test_an_old_run_lacks_columns_and_settings(
    copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    def forget(content: dict[str, Any]) -> None:
        del content["config"]["trpo"], content["setting"], content["sessions"]

    change(forget)
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps({"return_mean": summary["return_mean"]}))
    keep = ["iteration", "steps", "return_mean", "kl"]
    with open(copy / "metrics.csv", newline="") as file:
        rows = [{name: row[name] for name in keep} for row in csv.DictReader(file)]
    with open(copy / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, keep)
        writer.writeheader()
        writer.writerows(rows)
    sections = report(load([copy]), 2)
    assert [section.title for section in sections] == SECTIONS
    assert text(sections, "Discriminator") == text(sections, "Policy learning") == NOT_RECORDED
    assert {"learning_curve", "episodic_returns", "trust_region"} <= set(pictures(sections))


@pytest.mark.usefixtures("undrawn")
def test_a_setting_that_is_no_default_is_shown(
    copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    change(lambda content: content["config"]["trpo"].update(max_kl=0.5))
    shown = {row["setting"]: row["copy"] for row in table(report(load([copy]), 1), "Settings")}
    assert shown["trpo.max_kl"] == "0.5" and shown["env"] == "CartPole-v0" and shown["num_envs"] == "2"
    assert "gamma" not in shown


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("loss", "title", "chance", "bottom"),
    [
        ("cross-entropy", "discriminator loss, nats", 1.38629, 0),
        ("least-squares", "discriminator loss", 2, 0),
        ("wasserstein", "discriminator loss", 0, None),  # it is negative while D tells the sides apart
    ],
)
def test_the_discriminators_loss_is_called_what_it_is(
    loss: str, title: str, chance: float, bottom: float | None, copy: Path,
    change: Callable[[Callable[[dict[str, Any]], Any]], None],
) -> None:  # fmt: skip
    change(lambda content: content["config"]["discriminator"].update(loss=loss))
    section = metric_sections.discriminator(load([copy]))
    chart = getattr(section.parts[0], "chart")  # noqa: B009 - of a figure
    panel = chart.plots[0]
    assert panel.title == title and panel.bottom == bottom
    assert [round(level.value, 5) for level in panel.levels] == [chance]
    assert section.text.startswith(f"Loss: {metric_sections.LOSSES[loss][0]}. Accuracy: ")


@pytest.mark.usefixtures("undrawn")
def test_runs_of_two_losses_have_both_told(
    cartpole: Path, copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    change(lambda content: content["config"]["discriminator"].update(loss="wasserstein"))
    told = metric_sections.discriminator(load([cartpole, copy])).text
    assert told.startswith("Loss, cross-entropy: ") and " Loss, wasserstein: " in told


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("settings", "hidden"),
    [
        ({}, True),
        ({"adversary": "env_reward"}, False),
        ({"task_weight": 0.5}, False),
        ({"task_weight_end": 1.0}, False),
    ],
)
def test_whether_the_learner_sees_the_environments_reward(
    settings: dict[str, Any], hidden: bool, copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    change(lambda content: content["config"].update(settings))
    assert ("the learner never sees" in metric_sections.episodic(load([copy])).text) == hidden


@pytest.mark.usefixtures("undrawn")
def test_a_policy_that_stays_learns_by_nothing(
    copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None]
) -> None:
    change(lambda content: content["config"].update(generator="none"))
    assert table(report(load([copy]), 1), "Returns")[0]["learns by"] == "nothing (--generator none)"


# ---- what users get wrong --------------------------------------------------------------------------------------------


def test_a_users_mistakes_are_one_line(cartpole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line, says in (
        ([], "no run folder given"),
        ([str(tmp_path)], f"{tmp_path}: not a run folder (it has no config.json)\n"),
        ([str(cartpole), str(cartpole)], "given twice"),
        ([str(cartpole), "--episodes", "0"], "--episodes: 0 given"),
        ([str(cartpole), "--out", str(tmp_path)], f"--out {tmp_path}: a folder"),
        ([str(cartpole), "--out", str(tmp_path / "no" / "x.html")], "x.html: the folder"),
        ([str(cartpole), "--png", str(cartpole / "summary.json")], "summary.json: a file, a folder expected"),
    ):
        assert main(["report", *line]) == 2
        told = capsys.readouterr().err
        assert says in told and told.count("\n") == 1, told
    assert list(tmp_path.iterdir()) == []


def test_what_a_study_keeps_beside_a_run_is_left_out(cartpole: Path, tmp_path: Path) -> None:
    """A pattern of the shell names it, too."""
    (tmp_path / "a.b-seed0").symlink_to(cartpole)
    for name in ("a.b-seed0.lock", "a.b-seed0.log"):
        (tmp_path / name).touch()
    assert [run.path.name for run in load(sorted(tmp_path.iterdir()))] == ["a.b-seed0"]
    with pytest.raises(UserError, match=r"a\.b-seed0\.log: not a run folder"):
        load([tmp_path / "a.b-seed0.log"])
    (tmp_path / "other.log").touch()
    with pytest.raises(UserError, match=r"other\.log: not a run folder"):
        load(sorted(tmp_path.iterdir()))


def test_a_comparisons_folder_is_pointed_to_its_page(tmp_path: Path) -> None:
    (tmp_path / "index.html").touch()
    with pytest.raises(UserError, match=r"not a run folder .*; a comparison's page is .*index\.html$"):
        load([tmp_path])


def test_labels_are_as_long_as_it_takes(cartpole: Path, point_nav: Path, copy: Path) -> None:
    assert [run.label for run in load([cartpole])] == ["run"]
    assert [run.label for run in load([cartpole, copy])] == ["run", "copy"]
    assert [run.label for run in load([cartpole, point_nav])] == [
        "/".join(path.parts[-2:]) for path in (cartpole, point_nav)
    ]


# ---- what is damaged -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("content", ["{", "[]", "\0"])
def test_a_damaged_summary_is_left_out_and_that_is_said(
    content: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "summary.json").write_text(content)
    sections = report(load([copy]), 1)
    err = capsys.readouterr().err
    assert err.startswith(f"warning: {copy / 'summary.json'}: ") and "it is left out" in err and err.count("\n") == 1
    assert table(sections, "Returns")[0]["ended by"] is None and "Without a last evaluation" in text(
        sections, "Returns"
    )


@pytest.mark.usefixtures("undrawn")
def test_values_of_another_kind_are_left_out_and_that_is_said(
    copy: Path, change: Callable[[Callable[[dict[str, Any]], Any]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: dict[str, Any] = {"return_mean": "many", "returns": [1, None], "steps": 2.5, "stopped": None}
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps(summary | wrong))
    change(lambda content: content["config"].update(subsample="2", generator=7, eval_every="abc", seed=[1], success=3))
    change(lambda content: content["sessions"][0].update(versions=[], command={}))
    (row,) = table(report(load([copy]), 1), "Returns")
    assert row["random"] == summary["random_return_mean"] and row["learns by"] == "TRPO, gail"
    told = capsys.readouterr().err.splitlines()
    fields = [*wrong, "subsample", "generator", "versions", "command", "eval_every", "seed", "success"]
    assert sorted(line.split("field ")[1].split(":")[0] for line in told) == sorted(f"'{name}'" for name in fields)
    assert all(line.endswith("; it is left out") and str(copy) in line for line in told)


@pytest.mark.usefixtures("undrawn")
def test_a_row_that_is_damaged_is_left_out_and_that_is_said(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_metrics(copy)
    lines = (copy / "metrics.csv").read_bytes().split(b"\r\n")
    lines[2] = lines[2].replace(b".", b"\xff", 1)
    (copy / "metrics.csv").write_bytes(b"\r\n".join(lines))
    assert load([copy])[0].rows == [rows[0], *rows[2:]]
    assert capsys.readouterr().err == (
        f"warning: {copy / 'metrics.csv'}: 1 damaged rows are left out, the first in line 3\n"
    )


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize("value", every(3, ["", "nan", "-inf", "1e308"]))
def test_what_cannot_be_drawn_is_a_gap(value: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(copy / "metrics.csv", newline="") as file:
        header, first, *rows = csv.reader(file)
    first[2:] = [value] * (len(header) - 2)
    rows[0][header.index("eval_return_std")] = value
    with open(copy / "metrics.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, first, *rows])
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps(summary | {"return_std": 1e308, "returns": [1e308, -1e308]}))
    sections = report(load([copy]), 1)
    assert set(PICTURES) <= set(pictures(sections))
    assert table(sections, "Returns")[0]["±"] is None
    assert capsys.readouterr().err.count("; it is left out\n") == 2


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_checkpoint_leaves_the_rest(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = max((copy / "checkpoints").glob("iteration_*.pt"))
    last.write_bytes(last.read_bytes()[:-2000])
    assert main(["report", str(copy), "--episodes", "1"]) == 0
    err = capsys.readouterr().err
    assert err.startswith(f"warning: copy: no episodes of its policy, for {last}: ") and err.count("\n") == 1
    assert f"no episodes of its policy, for {last}" in (copy / "report.html").read_text()


def test_a_run_is_of_the_kind_that_it_says(cartpole: Path, cloned: Path, tmp_path: Path) -> None:
    assert [run.cloned for run in load([cartpole, cloned])] == [False, True]
    old = Path(shutil.copytree(cloned, tmp_path / "old"))
    content = json.loads((old / "config.json").read_text())
    del content["kind"]  # as version 0.1.0 wrote it
    (old / "config.json").write_text(json.dumps(content))
    before, now = load([old, cloned])
    assert before.cloned and before.config == now.config


@pytest.mark.usefixtures("undrawn")
def test_a_run_without_anything_yet_is_reported(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a row was being written, or a header."""
    for path in copy.iterdir():
        if path.name != "config.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for content in (None, "", "iteration,steps\r\n", "iteration,steps\r\n1,"):
        if content is not None:
            (copy / "metrics.csv").write_text(content)
        assert main(["report", str(copy), "--episodes", "1"]) == 0
        err = capsys.readouterr().err
        assert "no last checkpoint of a run here" in err and err.count("\n") == 1


# ---- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_runs_whose_observations_differ_in_size_have_a_picture_each(cartpole: Path) -> None:
    """As by the arguments of one environment."""
    run = load([cartpole])[0]
    sides = {place: Visits([np.zeros((3, size))], None, True) for place, size in enumerate((3, 2, 3))}
    found = pictures([states_section([run] * 3, States(learners=sides))])
    assert [name for name in found if name.startswith("states")] == ["states_CartPole_v0", "states_CartPole_v0_2"]


def test_a_policy_that_cannot_be_rolled_out_is_noted(
    cartpole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*given: object) -> Visits:
        raise RunError("the environment gave an observation that is not finite")

    monkeypatch.setattr(state_section, "of_learner", fails)
    found = state_section.look_at_states(load([cartpole]), 1)
    assert not found.learners and "no episodes of its policy, for the environment gave an" in found.missing[0]
    assert "the environment gave an observation" in capsys.readouterr().err
