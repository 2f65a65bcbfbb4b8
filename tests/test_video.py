"""Films of an episode: as long as the episode, and of the same episode that an evaluation begins with."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import toys

from trpo_gail.cli import main
from trpo_gail.envs.one_by_one import make_one
from trpo_gail.errors import UserError
from trpo_gail.runs import video
from trpo_gail.runs.evaluate import LoadedPolicy, load_in_env
from trpo_gail.runs.video import MOST_FPS, record_video

TINY = (
    "--backend", "gymnasium", "--num_envs", "2", "--timesteps_per_batch", "64", "--steps", "64", "--eval_every", "0",
    "--final_episodes", "1", "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["expert", "Paper/CartPole-v0", "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture
def drawable(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame", reason="pygame is not installed (the extra `video`)")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def frames(length: int, fps: float = 50.0) -> int:
    """Of an episode of so many steps: every so many-th from the first, and the last observation's."""
    return -(-length // int(np.ceil(fps / MOST_FPS))) + 1


@pytest.mark.usefixtures("drawable")
def test_a_gif_shows_the_first_episode_of_an_evaluation(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    path = tmp_path / "film.gif"
    assert main(["evaluate", str(run), "--episodes", "1", "--seed", "4", "--video", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["video"] == str(path)
    assert told["video_return"] == told["return_mean"] and told["video_length"] == told["length_mean"] > 1
    film: Any
    with Image.open(path) as film:
        shown = []
        for number in range(film.n_frames):
            film.seek(number)
            shown.append(film.info["duration"])
        assert film.size == (600, 400)
    assert sum(shown) == 40 * frames(told["video_length"])  # ms: every second of 50 frames a second
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]


@pytest.mark.usefixtures("drawable")
def test_an_mp4_is_as_long_as_its_episode(run: Path, tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed (the extra `video`)")
    told = record_video(load_in_env(run), tmp_path / "film.mp4", 0)
    count, seconds = ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
    assert count == frames(told["video_length"]) and seconds == pytest.approx(count / 25, abs=0.05)


def test_a_disk_without_room_for_an_mp4_is_noticed(capfd: pytest.CaptureFixture[str]) -> None:
    """ffmpeg, which writes it, ends without a word to the program that feeds it."""
    pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed (the extra `video`)")
    with pytest.raises(OSError, match="ffmpeg did not write the whole video"):
        video._write_mp4(Path("/dev/full"), iter([np.zeros((16, 16, 3), np.uint8)] * 3), 30.0)
    assert "No space left on device" in capfd.readouterr().err


def test_what_cannot_be_filmed_is_said_before_anything_is_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    for name, says in (
        ("film.avi", "a file that ends in .mp4 or .gif expected"),
        ("nowhere/film.gif", "there is no folder"),
        ("film.mp4", "imageio_ffmpeg is not installed: pip install imageio-ffmpeg"),
    ):
        assert main(["evaluate", str(run), "--video", str(tmp_path / name)]) == 2
        told = capsys.readouterr()
        assert f"--video {tmp_path / name}" in told.err and says in told.err
        assert told.err.count("\n") == 1 and told.out == ""
    assert list(tmp_path.iterdir()) == []


class Undrawable:
    """A CartPole whose drawing fails, as MuJoCo's does without a library to draw with."""

    def __init__(self, env: Any) -> None:
        self._env, self.metadata = env, env.metadata

    def reset(self, seed: int) -> Any:
        return self._env.reset(seed=seed)

    def render(self) -> None:
        raise AttributeError("'NoneType' object has\nno attribute 'glGetError'")

    def close(self) -> None:
        self._env.close()


def test_drawing_that_fails_is_one_line_that_says_what_to_do(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = video._make

    def made(policy: LoadedPolicy) -> Any:
        return Undrawable(make(policy))

    monkeypatch.setattr(video, "_make", made)
    path = tmp_path / "film.gif"
    path.write_bytes(b"before")
    with pytest.raises(UserError, match=r"cannot be drawn: 'NoneType' object has no attribute .*MUJOCO_GL=egl"):
        record_video(load_in_env(run), path, 0)
    assert path.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["film.gif"]


class Unclosable(Undrawable):
    """Its drawing asks for the end of the program, and its window cannot be closed."""

    def render(self) -> None:
        sys.exit("no display")

    def close(self) -> None:
        raise RuntimeError("no window")


def test_neither_an_exit_nor_a_failing_close_takes_the_evaluation_along(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make = video._make
    monkeypatch.setattr(video, "_make", lambda policy: Unclosable(make(policy)))
    assert main(["evaluate", str(run), "--episodes", "1", "--json", "--video", str(tmp_path / "film.gif")]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["episodes"] == 1
    assert "close: RuntimeError: no window" in told.err
    assert "cannot be drawn: it called sys.exit('no display') (" in told.err


def test_a_class_without_a_mode_of_drawing_is_told_what_it_needs() -> None:
    line = r"'toys:Script-v0' cannot be drawn: its class takes no `render_mode`.*__init__\(self, render_mode=None\) expected"
    with pytest.raises(UserError, match=line), video._drawing("toys:Script-v0"):
        make_one("toys:Script-v0", {}, None, render_mode="rgb_array")


class Blind(gymnasium.Env):
    """What it shows is all there is of it: no `render`."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as gymnasium has it

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self._env = render_mode, toys.Script()
        self.observation_space, self.action_space = self._env.observation_space, self._env.action_space

    def reset(self, **given: Any) -> Any:
        return self._env.reset(**given)

    def step(self, action: Any) -> Any:
        return self._env.step(action)


class Unwritten(Blind):
    def render(self) -> None:
        raise NotImplementedError


class Silent(Blind):
    def render(self) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (Blind, "cannot be drawn: its class Blind has no method `render`, of which"),
        (Unwritten, "cannot be drawn: `render` of Unwritten raises NotImplementedError for render_mode='rgb_array'"),
        (Silent, r"cannot be drawn: AssertionError \(classic control"),
    ],
)
def test_why_nothing_is_drawn_is_said(
    made: type[Blind], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toys, "Drawn", made, raising=False)
    gymnasium.register("Drawn-v0", entry_point="toys:Drawn", max_episode_steps=9)
    try:
        assert main(["expert", "Drawn-v0", "--out", str(tmp_path / "run"), *TINY]) == 0
        with pytest.raises(UserError, match=line):
            record_video(load_in_env(tmp_path / "run"), tmp_path / "film.gif", 0)
    finally:
        del gymnasium.registry["Drawn-v0"]


def test_an_environment_that_has_no_picture_is_said(tmp_path: Path) -> None:
    assert main(["expert", "toys:Script-v0", "--out", str(tmp_path / "run"), *TINY]) == 0
    with pytest.raises(UserError, match="toys:Script-v0"):
        record_video(load_in_env(tmp_path / "run"), tmp_path / "film.gif", 0)


@pytest.mark.parametrize(
    ("display", "given", "expected"), [("", None, "egl"), ("", "osmesa", "osmesa"), (":0", None, None)]
)
def test_without_a_screen_mujoco_draws_without_one(
    display: str, given: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"DISPLAY": display} | ({"MUJOCO_GL": given} if given else {}))
    video._without_display()
    assert os.environ.get("MUJOCO_GL") == expected


@pytest.mark.parametrize(
    ("picture", "fps", "line"),
    [
        (np.zeros((8, 8)), 30, r"render: expected pictures uint8 \[height, width, 3\], found float64 \[8, 8\]"),
        (np.zeros((8, 8, 4), np.uint8), 30, r"render: .* found uint8 \[8, 8, 4\]"),
        (np.zeros((8, 8, 3), np.uint8), "fast", "render_fps: expected a number above 0, found 'fast'"),
        (np.zeros((8, 8, 3), np.uint8), -5, "render_fps: expected a number above 0, found -5"),
    ],
)
def test_pictures_and_speeds_that_make_no_film_are_named(
    picture: np.ndarray, fps: Any, line: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Drawn(Undrawable):
        def __init__(self, env: Any) -> None:
            super().__init__(env)
            self.metadata = {"render_fps": fps}

        def render(self) -> Any:
            return picture

    make = video._make
    monkeypatch.setattr(video, "_make", lambda policy: Drawn(make(policy)))
    with pytest.raises(UserError, match=f"'Paper/CartPole-v0': {line}"):
        record_video(load_in_env(run), tmp_path / "film.gif", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_stands_still_too_long_for_a_gif_is_said(tmp_path: Path) -> None:
    still = [np.zeros((4, 4, 3), np.uint8)] * 70
    video._write_gif(tmp_path / "short.gif", iter(still[:60]), fps=0.1)
    with pytest.raises(UserError, match=r"stands still for longer than GIF can hold \(655 s\): FILE.mp4 expected"):
        video._write_gif(tmp_path / "long.gif", iter(still), fps=0.1)


def test_a_speed_may_be_numpys(run: Path) -> None:
    env = SimpleNamespace(metadata={"render_fps": np.int64(10)})
    assert video._speed(env, "x") == 10.0  # type: ignore[arg-type]


def test_a_film_that_fails_takes_no_evaluation_along(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*given: Any) -> None:
        raise UserError("--video film.gif: cannot be written: No space left on device")

    monkeypatch.setattr(video, "record_video", fail)
    words = ["evaluate", str(run), "--episodes", "1", "--json", "--video", str(tmp_path / "film.gif")]
    assert main(words) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["episodes"] == 1 and "No space left on device" in told.err
    assert main([*words[:-1], ""]) == 2
    assert "--video: an empty text given" in capsys.readouterr().err
