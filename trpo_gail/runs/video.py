"""One episode of a run's policy as a film: .mp4 by ffmpeg, .gif by Pillow."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from trpo_gail.envs.failures import RAISED, called, close, described
from trpo_gail.envs.one_by_one import make_one
from trpo_gail.errors import UserError, absent, shortened
from trpo_gail.runs.evaluate import FINAL, LoadedPolicy
from trpo_gail.seeding import EVAL_RESET, reset_seeds
from trpo_gail.system import whole_file, working_folder

MOST_FPS = 30  # frames are left out until there are no more in a second of the environment's time
ENDINGS = (".mp4", ".gif")
_NO_MODE = re.compile(r"takes no arguments|unexpected keyword argument 'render_mode'")


def check_video(path: Path) -> None:
    """Raise UserError for a file that could not be written in the end: better said before an evaluation than after."""
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"--video {path}: a file that ends in .mp4 or .gif expected")
    if not path.parent.is_dir():
        raise UserError(f"--video {path}: there is no folder {path.parent}")
    try:
        if path.suffix.lower() == ".gif":
            import PIL.Image  # noqa: F401
        else:
            import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        package = "imageio-ffmpeg" if error.name == "imageio_ffmpeg" else "pillow"
        raise UserError(f"--video {path}: {absent(str(error.name), package)}") from error


@working_folder.kept()
def record_video(policy: LoadedPolicy, path: Path, seed: int) -> dict[str, Any]:
    """Film one deterministic episode, in the time in which the environment's happens; its return and length.

    gymnasium draws, whatever ran the environments in training. Raises UserError if it cannot, or where `path` cannot be
    written; then `path` is what it was.
    """
    check_video(path)
    _without_display()
    env = _make(policy)
    fps = _speed(env, policy.env_id)
    stride = int(np.ceil(fps / MOST_FPS))
    episode = _Episode(env, policy, reset_seeds(seed, EVAL_RESET, FINAL, range(1))[0], stride)
    write = _write_gif if path.suffix.lower() == ".gif" else _write_mp4
    try:
        with whole_file.replacing(path) as part:
            write(part, iter(episode), fps / stride)
    except OSError as error:
        raise UserError(f"--video {path}: cannot be written: {error.strerror or error}") from error
    finally:
        close(f"environment {policy.env_id!r}", [env])
    return {"video": str(path), "video_return": episode.total, "video_length": episode.length}


def _speed(env: gymnasium.Env, env_id: str) -> float:
    """Steps in a second of the environment's time, as it says. Raises UserError for what is no speed."""
    said = (env.metadata or {}).get("render_fps") or MOST_FPS
    if isinstance(said, (int, float, np.integer, np.floating)) and 0 < said < 1e6:
        return float(said)
    raise UserError(f"--video: environment {env_id!r}: render_fps: expected a number above 0, found {said!r:.40}")


def _without_display() -> None:
    """Where there is no screen, drawing takes a library that needs none; what the user has set stays."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl")  # without it MuJoCo tries a window, and aborts the process
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def _make(policy: LoadedPolicy) -> gymnasium.Env:
    with _drawing(policy.env_id):
        config = policy.config
        return make_one(config.env, config.env_arguments, config.max_episode_steps, render_mode="rgb_array")[0]


@contextmanager
def _drawing(env_id: str) -> Iterator[None]:
    """Whatever goes wrong here is told to the user: each environment draws with a library of its own."""
    try:
        yield
    except UserError:
        raise
    except RAISED as error:
        if isinstance(error, TypeError) and _NO_MODE.search(str(error)):
            raise UserError(
                f"--video: environment {env_id!r} cannot be drawn: its class takes no `render_mode`, which gymnasium asks "
                "for: def __init__(self, render_mode=None) expected, and a method `render`"
            ) from error
        said = shortened(str(error) if isinstance(error, Exception) else described(error), 80) or type(error).__name__
        raise UserError(
            f"--video: environment {env_id!r} cannot be drawn: {said} (classic control needs "
            "pip install 'gymnasium[classic-control]'; MuJoCo without a screen MUJOCO_GL=egl and libegl1, or "
            "MUJOCO_GL=osmesa and libosmesa6)"
        ) from error


def _unwritten(env: gymnasium.Env) -> str:
    """Why drawing is not implemented: the method of gymnasium's own class raises that, too."""
    own = type(env.unwrapped)
    if getattr(own, "render", None) in (None, gymnasium.Env.render):
        return (
            f"its class {own.__name__} has no method `render`, of which a picture uint8 [height, width, 3] is expected"
        )
    return f"`render` of {own.__name__} raises NotImplementedError for render_mode='rgb_array'"


class _Episode:
    """Frames [height, width, 3] uint8 as the episode goes on; its return and length once it has ended."""

    def __init__(self, env: gymnasium.Env, policy: LoadedPolicy, seed: int, stride: int) -> None:
        self._env, self._policy, self._seed, self._stride = env, policy, seed, stride
        self.total, self.length = 0.0, 0
        self._shape: tuple[int, ...] | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        who = f"environment {self._policy.env_id!r}"
        observation, _ = called(who, "reset", self._env.reset, seed=self._seed)
        ended = False
        while not ended:
            if self.length % self._stride == 0:
                yield self._frame()
            action = self._policy.predict(observation)
            observation, reward, terminated, truncated, _ = called(who, "step", self._env.step, action)
            self.total, self.length, ended = self.total + float(reward), self.length + 1, terminated or truncated
        yield self._frame()

    def _frame(self) -> np.ndarray:
        who = f"--video: environment {self._policy.env_id!r}"
        with _drawing(self._policy.env_id):
            try:
                frame: Any = self._env.render()
            except NotImplementedError as error:
                raise UserError(f"{who} cannot be drawn: {_unwritten(self._env)}") from error
        if not isinstance(frame, np.ndarray):
            raise UserError(f"{who} draws no pictures (rgb_array)")
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            found = f"{frame.dtype} {list(frame.shape)}"
            raise UserError(f"{who}: render: expected pictures uint8 [height, width, 3], found {found}")
        if self._shape not in (None, frame.shape):
            raise UserError(f"{who}: render: expected pictures of one size, found {self._shape} and {frame.shape}")
        self._shape = frame.shape
        return frame


def _write_gif(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    from PIL import Image

    first, *others = (Image.fromarray(frame).quantize(64) for frame in frames)
    duration = max(20, round(100 / fps) * 10)  # ms; the format counts hundredths, and browsers slow down below two
    try:
        first.save(path, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)
    except (OverflowError, struct.error) as error:  # of pictures that are alike one is written, for as long as all
        raise UserError(
            "--video: a picture stands still for longer than GIF can hold (655 s): FILE.mp4 expected"
        ) from error


def _write_mp4(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    import imageio_ffmpeg

    first = next(frames)
    height, width = first.shape[:2]
    # macro_block_size: of the codec, which wants even sides.
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, macro_block_size=2, ffmpeg_log_level="error", output_params=["-f", "mp4"]
    )
    try:
        writer.send(None)
        writer.send(np.ascontiguousarray(first))
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()
    if not _is_whole(path):  # nobody is told of ffmpeg's exit code
        raise OSError(errno.EIO, "ffmpeg did not write the whole video, as on a full disk")


def _is_whole(path: Path) -> bool:
    """Whether an MP4 is its boxes, one behind the other, of which `moov` is written last."""
    size, at, kinds = path.stat().st_size, 0, set()
    with open(path, "rb") as film:
        while at + 8 <= size:
            film.seek(at)
            length, kind = struct.unpack(">I4s", film.read(8))
            if length == 1:  # it has 64 bits of its own
                length = int.from_bytes(film.read(8))
            kinds.add(kind)
            at += max(8, length)
    return at == size and b"moov" in kinds
