"""Whose episodes may be recorded: a policy file, a run folder, a function, or the greedy expert of a task."""

from __future__ import annotations

from pathlib import Path

from trpo_gail.errors import UserError
from trpo_gail.experts.files import damage, foreign
from trpo_gail.experts.policies import KINDS, function, greedy, paper_policy
from trpo_gail.runs.evaluate import load_policy, saved_model
from trpo_gail.sampling.rollout import Actor

_EXPECTED = "a run folder, a policy file, module:function or 'greedy'"


def load_actor(path: str | Path, env_id: str, snapshot: str | None = None) -> Actor:
    """The policy at `path`: a run folder; a file of the paper or of one of `policies.KINDS`; `module:function`; `greedy`.

    `snapshot` is one of several that a source holds: `best` or `last` of a run folder, a name or a number of a policy
    file of the paper, which may stand behind a colon, too: `FILE.h5:iter0000500`. Raises UserError, which says what was
    expected, for whatever else `path` is.
    """
    if str(path) == greedy.NAME:
        _refuse_snapshot(path, snapshot)
        return greedy.greedy(env_id)
    if Path(path).is_dir():
        if snapshot not in (None, "best", "last"):
            raise UserError(f"--snapshot {snapshot}: expected best or last of the run folder {path}")
        return load_policy(path, snapshot or "last")
    if Path(path).is_file():
        if kind := next((kind for kind in KINDS if kind.holds(Path(path))), None):
            _refuse_snapshot(path, snapshot)
            with damage.told(kind.NAME, path):
                return kind.read(Path(path))
        kind_of_file = foreign.kind(path) or ""
        if kind_of_file.startswith(foreign.SCRIPTED) or Path(path).suffix.lower() == ".onnx":
            raise UserError(
                f"{path}: an exported network, which does not say whose observations and actions it has: --policy RUN "
                "records the run that it was exported from, and --policy module:function a function that calls it"
            )
        if kind_of_file.startswith(foreign.TORCH):
            if own := saved_model(Path(path)):
                raise UserError(
                    f"{path}: a model that {own}.save wrote: generate_expert_traj({own}.load({str(path)!r}), 'OUT.h5') "
                    "records it from Python"
                )
            raise UserError(
                f"{path}: weights of PyTorch, of a network that the file does not describe: not read; a function that uses "
                "them is recorded by --policy module:function"
            )
    elif ".h5" not in Path(path).name:
        if function.is_named(str(path)):
            _refuse_snapshot(path, snapshot)
            return function.load(str(path))
        raise UserError(f"{path}: no such file or folder, expected {_EXPECTED}")
    return paper_policy.load_policy(path if snapshot is None else f"{path}:{snapshot}")


def _refuse_snapshot(path: str | Path, snapshot: str | None) -> None:
    if snapshot is not None:
        raise UserError(f"--snapshot {snapshot}: {path} holds one policy only")
