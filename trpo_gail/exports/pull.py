"""A run folder from what was pushed: with the policy alone, so that it can be evaluated, exported and started from, but not
resumed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from trpo_gail.build import make_policy
from trpo_gail.errors import UserError, of_system
from trpo_gail.exports import hub, shared
from trpo_gail.runs import checkpoint
from trpo_gail.runs.setting import Setting
from trpo_gail.system import typed
from trpo_gail.system.whole_file import beside, naming

_KEPT = tuple(name for name in shared.FILES if name not in (shared.CONFIG, shared.POLICY))


def pull(source: str, out: str | Path) -> list[str]:
    """Make a run folder; returns the code outside the package that the run names. `out` is not there, or complete.

    Nothing of the source is run. Raises UserError for a source that is no shared run, or a damaged one, and if `out` exists.
    """
    path = Path(out).absolute()
    if path.exists() or path.is_symlink():
        raise UserError(f"{out}: exists already, a new folder expected")
    name = hub.named(source)
    if name is None:
        return _make(Path(source), path, source)
    with tempfile.TemporaryDirectory() as folder:
        hub.download(name, Path(folder))
        return _make(Path(folder), path, source)


def _make(folder: Path, out: Path, source: str) -> list[str]:
    if not (folder / shared.POLICY).is_file():
        raise UserError(f"{source}: holds no {shared.POLICY}, expected what trpo-gail push writes")
    held, content = shared.run_of(folder)
    file = folder / shared.CONFIG
    typed.build(Setting, held["setting"], file)
    outside = list(shared.outside(held))
    _check(content, file)
    part = beside(out)
    at = checkpoint.iteration_path(part, content["iteration"])
    try:
        files = {name: (folder / name).read_bytes() for name in _KEPT if (folder / name).is_file()}
        with naming(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            at.parent.mkdir(parents=True)
        for name, data in (files | {shared.CONFIG: shared.dumped(held)}).items():
            with naming(out / name):
                (part / name).write_bytes(data)
        checkpoint.write_sealed(at, content, "checkpoint", called=out / at.relative_to(part))
        with naming(out):
            os.rename(part, out)
    except OSError as error:
        raise UserError(of_system(error, folder)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return outside


def _check(content: dict[str, Any], file: Path) -> None:
    """Raise UserError unless the parameters are those of a policy of this config and these spaces. A network of other code
    is not made, and a config that names another adversary is not read, since that would run them."""
    try:
        spec = checkpoint.spec_of(content)
        if shared.learners(content["config"]):
            return
        config = checkpoint.config_of(content, file)
        if config.policy.network is None:
            make_policy(config, spec).load_state_dict(content["learner"]["policy"])
    except UserError:
        raise
    except Exception as error:  # numpy, gymnasium and torch raise many kinds, and each means the same
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{file}: not a policy that fits its own config: {reason[:120]}") from error
