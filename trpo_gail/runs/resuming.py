"""What a run folder says of the run to resume, and whether it may go on as it is asked to."""

from __future__ import annotations

import contextlib
from pathlib import Path

from trpo_gail.config.files import from_dict
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError
from trpo_gail.runs import checkpoint, metrics_file
from trpo_gail.runs.run_folder import (
    inside,
    kind_of,
    read_json,
)
from trpo_gail.runs.setting import Setting
from trpo_gail.system import typed


def saved_config(path: Path) -> Config:
    """The config that a training was made with. Raises UserError if the folder has no config, or is another kind of run's."""
    file = path / "config.json"
    if not file.is_file():
        raise UserError(f"--resume: {path} is not a run folder (it has no config.json){inside(path)}")
    content = read_json(file, config=dict)
    if content.get("pulled"):
        raise UserError(f"--resume: {path} was pulled, and holds a policy alone: --init_policy {path} starts from it")
    if kind_of(content, file) == "cloning":
        raise UserError(f"--resume: {path} is a run of behavioural cloning, which training cannot go on with")
    return from_dict(Config, content["config"], str(file))


def saved_setting(path: Path) -> Setting:
    """What `auto` became when a run folder was made. Raises UserError if it does not say so."""
    file = path / "config.json"
    return typed.build(Setting, read_json(file, setting=dict)["setting"], file)


def renamed(path: Path, config: Config) -> set[str]:
    """The fields whose file a config names otherwise than the run's own. Raises UserError if the run's is damaged."""
    saved = saved_config(path)
    return {name for name in ("expert", "reward_file") if getattr(saved, name) != getattr(config, name)}


def resumable(path: Path) -> Setting:
    """The setting of a run to resume. Raises UserError if its environment cannot be made without the Python code."""
    setting = saved_setting(path)
    if setting.env_lacks:
        raise UserError(
            f"--resume: no name makes the environment of {path}, which Python gave ({setting.env_lacks}): go on there, or "
            "begin a run with an id or a function of a module"
        )
    return setting


def last_of_run(path: Path) -> tuple[Path | None, list[Path]]:
    """As `checkpoint.last_good`. Raises UserError, too, if there is none any more, for what the run has written since would
    be lost."""
    found = checkpoint.last_good(path)
    if found[0] is None and (trace := _trace_of_checkpoint(path)):
        raise UserError(
            f"--resume: {path / 'checkpoints'} holds no checkpoint, but {trace}, so there was one: expected the folder as it "
            "was, or another --out, which begins anew"
        )
    return found


def _trace_of_checkpoint(path: Path) -> str | None:
    """What shows that a run had a checkpoint once."""
    if checkpoint.best_path(path).exists():
        return "best.pt is there"
    with contextlib.suppress(UserError):  # a damaged summary proves nothing
        if read_json(path / "summary.json").get("iterations"):  # 0: it was stopped as it cloned
            return "summary.json is of a run that was saved"
    sessions = read_json(path / "config.json", sessions=list)["sessions"]
    if any(isinstance(one, dict) and one.get("from_iteration") for one in sessions):
        return "config.json has a session that was resumed"
    if _goes_on_after_a_save(path):
        return "metrics.csv goes on after the first was due"
    return None


def _goes_on_after_a_save(path: Path) -> bool:
    """Whether there is a row behind one after which the run saved. Rows before the first save are made again, the same."""
    with contextlib.suppress(OSError):
        every, unit = saved_config(path).save_interval
        column, due = ("iteration", every) if unit == "iterations" else ("wall_s", 60.0 * every)
        rows = metrics_file.read(path / "metrics.csv").numbers()
        return any((row.get(column) or 0.0) >= due for row in rows[:-1])
    return False


def check_resume(saved: Config, given: Config, path: Path) -> None:
    """Only --steps and --iterations may differ from the run's own, and only grow; the expert's file and that of a reward may
    have been moved, the run to a machine with another --device, and the environment's id to another module.

    Raises UserError otherwise.
    """
    before, now = flatten(saved), flatten(given)
    del now["device"]
    if None not in (saved.expert, given.expert):
        del now["expert"]  # `prepare` compares what the files hold
    if None not in (saved.reward_file, given.reward_file):
        del now["reward_file"]  # as a checkpoint's state is loaded, the contents are compared
    for name, value in now.items():
        if name == "steps" or (name == "iterations" and None not in (value, before[name])):
            if value < before[name]:
                raise UserError(f"--resume: --{name} {value} given, but {path} has {before[name]}: it may only grow")
        elif value != before[name] and not (name == "env" and checkpoint.same_task(value, before[name])):
            flag = "ENV" if name == "env" else f"--{name}"
            raise UserError(f"--resume: {flag} {value} given, but {path} was made with {before[name]}")
