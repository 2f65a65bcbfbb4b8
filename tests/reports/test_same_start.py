"""Expert and learner from one start: the same first observation, the file's own episode, and who reached the goal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from trpo_gail.errors import UserError
from trpo_gail.reports import style, visit_plots
from trpo_gail.reports.run_data import load
from trpo_gail.reports.run_report import report
from trpo_gail.reports.same_start import MOST, Pair, Side, pairs


def test_both_begin_alike_and_the_experts_episode_is_the_files(point_nav: Path) -> None:
    (run,) = load([point_nav])
    found = pairs(run)
    assert len(found) == MOST
    with h5py.File(run.setting["expert"]) as file:
        observations, lengths, returns = (file[n][:] for n in ("observations", "episode_lengths", "episode_returns"))
    for number, pair in enumerate(found):
        begin = lengths[:number].sum()
        rows = observations[begin : begin + lengths[number]]
        np.testing.assert_array_equal(pair.expert.observations[: len(rows)], rows)
        np.testing.assert_allclose(pair.expert.ret, returns[number], atol=1e-5)
        np.testing.assert_array_equal(pair.learner.observations[0], rows[0])
        assert len(pair.learner.observations) == len(pair.learner.rewards) + 1
        for side in (pair.expert, pair.learner):
            assert side.success == (side.ret > 0)  # as the environment says, of the expert's actions taken again


def test_a_rule_judges_both_sides(point_nav: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(point_nav, tmp_path / "run"))
    from trpo_gail.runs import checkpoint

    path = checkpoint.last_path(run)
    assert path is not None
    content = checkpoint.read(path)
    content["config"]["success"] = "length>=8"
    checkpoint.write_sealed(path, content, "checkpoint")
    for pair in pairs(load([run])[0]):
        for side in (pair.expert, pair.learner):
            assert side.success == (len(side.rewards) >= 8)


def test_where_nothing_is_said_nothing_is_known(cartpole: Path) -> None:
    found = pairs(load([cartpole])[0])
    assert all(np.isnan(side.success) for pair in found for side in (pair.expert, pair.learner))


@pytest.mark.long
def test_another_start_is_said(point_nav: Path, tmp_path: Path) -> None:
    """A file whose seed is not the one that its episodes began with; and one that does not know its seed."""
    run = Path(shutil.copytree(point_nav, tmp_path / "run"))
    content = json.loads((run / "config.json").read_text())
    file = tmp_path / "expert.h5"
    shutil.copy(content["setting"]["expert"], file)
    content["setting"] |= {"expert": str(file), "expert_sha256": None}
    (run / "config.json").write_text(json.dumps(content))
    with h5py.File(file, "a") as held:
        held.attrs["seed"] = 12345
    with pytest.raises(UserError, match="does not begin where the expert's episodes began"):
        pairs(load([run])[0])
    with h5py.File(file, "a") as held:
        del held.attrs["seed"]
    sections = report(load([run]), 1)
    (section,) = (s for s in sections if s.title == "Expert and learner from the same start")
    assert not section.parts and "run: nothing to show, for the file of demonstrations does not hold" in section.text


# ---- pictures --------------------------------------------------------------------------------------------------------


def drawn(monkeypatch: pytest.MonkeyPatch, size: int) -> Figure:
    figures: list[Figure] = []
    monkeypatch.setattr(style, "png", lambda figure: figures.append(figure) or b"")
    expert = Side(np.arange(3.0 * size).reshape(3, size), np.array([1.0, 0.5]), 1.0)
    learner = Side(np.arange(2.0 * size).reshape(2, size), np.array([0.25]), 0.0)
    visit_plots.same_starts([Pair(expert, learner)] * 3, 0)
    return figures[0]


def test_two_numbers_are_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(monkeypatch, 2).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0, 1], [2, 3], [4, 5]])
    assert axes.get_title() == "expert 1.5, success\nlearner 0.25, no success"


def test_other_observations_give_returns_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(monkeypatch, 3).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[0, 0], [1, 1], [2, 1.5]])
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [[0, 0], [1, 0.25]])


@pytest.mark.long
def test_on_a_phone_panels_stand_below_each_other_in_letters_that_can_be_read(
    cartpole: Path, point_nav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of 8 points has 11 pixels: on 328 of a phone, and on the 992 of a wide page."""
    assert 8 / 72 * 328 / style.NARROW >= 11 and 8 / 72 * 992 / style.WIDTH >= 11
    figures: list[Figure] = []
    monkeypatch.setattr(style, "png", lambda figure: figures.append(figure) or b"")
    report(load([cartpole, point_nav]), 1)
    narrow = [figure for figure in figures if figure.get_figwidth() == style.NARROW]
    assert len(narrow) == len(figures) / 2 > 10
    for figure in figures:
        assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= style.SMALLEST
    for figure in narrow:
        assert {axes.get_subplotspec().get_gridspec().ncols for axes in figure.axes} == {1}
