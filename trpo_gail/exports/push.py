"""A run to a folder or a repository, in the form of `shared`."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError, of_system, spelled
from trpo_gail.exports import hub, shared
from trpo_gail.exports.card import card
from trpo_gail.runs.run_folder import read_json
from trpo_gail.runs.video import ENDINGS
from trpo_gail.scores import scaled_score
from trpo_gail.system.whole_file import beside, naming

# Of the last evaluation, which is the last policy's.
_OF_LAST = ("returns", "return_std", "lengths", "length_mean", "success_rate", "successes", "episodes")


def push(
    run: str | Path,
    target: str,
    which: str = "last",
    video: str | None = None,
    force: bool = False,
    private: bool = False,
) -> str:
    """Share a run's policy; returns where it is. The target is as it was, or complete.

    Raises UserError for a run without a policy, and for a target that holds something, unless that is a run that was
    pushed there and `force` is given.
    """
    name = hub.named(target)
    if private and name is None:
        raise UserError(f"--private: expected with {hub.PREFIX}USER/NAME, found with the folder {target}")
    if name is None:
        _check_folder(Path(target), force)
    content = _files(Path(run), target, which, video)
    if name is None:
        with _errors(target):
            _replace(Path(target), content, force)
        return target
    with tempfile.TemporaryDirectory() as folder:
        with _errors(folder):  # which is truly what is full then
            _write(Path(folder), content, Path(folder))
        return hub.upload(Path(folder), name, force, private)


def _files(run: Path, target: str, which: str, video: str | None) -> dict[str, bytes]:
    """All files by name. Raises UserError."""
    config, policy = shared.config_and_policy(run, which)
    files = {shared.CONFIG: shared.dumped(config), shared.POLICY: policy}
    summary = {}
    with _errors(run):
        if (run / "summary.json").exists():
            summary = shared.cleaned(read_json(run / "summary.json"), [])
            if config["policy"]["which"] == "best":
                summary = _of_best(summary)
            files["summary.json"] = shared.dumped(summary)
        for name in shared.COPIED[1:]:
            if (run / name).is_file():
                files[name] = (run / name).read_bytes()
        if (film := _film(run, video)) is not None:
            files[f"replay{film.suffix.lower()}"] = film.read_bytes()
    source = target if target.startswith(hub.PREFIX) else "FOLDER"
    return {shared.CARD: spelled(card(config, summary, set(files), source)).encode()} | files


def _of_best(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary whose return is that by which the best policy was chosen: the last policy, of which it tells, is not
    shared."""
    best = summary.get("best_return")
    score = scaled_score(best, summary.get("expert_return_mean"), summary.get("random_return_mean"))
    kept = {name: value for name, value in summary.items() if name not in _OF_LAST}
    return kept | {"return_mean": best, "return_std": None, "scaled_score": score}


def _film(run: Path, video: str | None) -> Path | None:
    """The file that --video names, or else the newest film in the run's folder."""
    if video is not None:
        if not (path := Path(video)).is_file():
            raise UserError(f"--video {video}: no such file")
        if path.suffix.lower() not in ENDINGS:
            raise UserError(f"--video {video}: FILE.mp4 or FILE.gif expected")
        return path
    found = [path for path in run.iterdir() if path.suffix.lower() in ENDINGS and path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _check_folder(folder: Path, force: bool) -> None:
    if folder.is_dir():
        if Path.cwd().is_relative_to(folder.resolve()):  # a rename would take it from under whoever is in it
            raise UserError(
                f"{folder}: the working folder, or one that holds it, is not replaced; another place expected"
            )
        shared.check_place([path.name for path in folder.iterdir()], str(folder), force)
    elif folder.exists() or folder.is_symlink():
        raise UserError(f"{folder}: exists, a folder expected")


def _replace(folder: Path, content: dict[str, bytes], force: bool) -> None:
    """Put the files where the folder is, by one rename."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, old = beside(folder), beside(folder)
    try:
        with naming(folder):
            part.mkdir()
        _write(part, content, folder)
        _check_folder(folder, force)  # again: something may have come meanwhile
        with naming(folder):
            if folder.is_dir():
                os.replace(folder, old)
            os.replace(part, folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path, content: dict[str, bytes], called: Path) -> None:
    """Raises OSError, with the name of a file in the folder that is `called` so."""
    for name, data in content.items():
        with naming(called / name):
            (folder / name).write_bytes(data)


@contextlib.contextmanager
def _errors(where: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(of_system(error, where)) from error
