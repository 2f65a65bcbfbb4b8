"""`trpo-gail export`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from trpo_gail.commands.parsing import Which, by_rank_0, parse
from trpo_gail.config.marks import Positional, Unprefixed
from trpo_gail.errors import UserError
from trpo_gail.system import whole_file

if TYPE_CHECKING:
    from trpo_gail.parallel import Workers


@dataclass(frozen=True)
class _ExportArguments:
    run: Annotated[str, Positional("RUN")]
    """Run folder."""
    reward: str | None = None
    """File to write the learned reward of the last checkpoint to. `trpo_gail.RewardFunction.load` reads it."""
    policy: str | None = None
    """File to write the policy to: FILE.pt for TorchScript, or FILE.onnx, which needs pip install onnx onnxruntime."""
    which: Annotated[Which, Unprefixed()] = field(default_factory=Which)
    expert: str | None = None
    """With --reward: the run's demonstrations, if they were moved; None looks for them where the run found them."""


FLAGS = {"export": _ExportArguments}


def run(arguments: list[str], workers: list[Workers]) -> int:
    """Write the files that are asked for, and print a line for each."""
    given = parse(_ExportArguments, arguments, "export")
    _check(given)
    by_rank_0(workers, lambda: _export(given))
    return 0


def _check(given: _ExportArguments) -> None:
    """Raise UserError for flags that ask for nothing, and for files that exist: one may be a checkpoint."""
    if given.reward is None and given.policy is None:
        raise UserError("export: --reward FILE or --policy FILE expected (trpo-gail export --help)")
    if given.which.policy == "best" and given.policy is None:
        raise UserError(
            "export: --snapshot best (--best): expected with --policy, since a best checkpoint holds no reward"
        )
    if given.expert is not None and given.reward is None:
        raise UserError("export: --expert: expected with --reward")
    for flag, path in (("reward", given.reward), ("policy", given.policy)):
        if path is None:
            continue
        if Path(path).exists():
            raise UserError(f"--{flag} {path}: exists already, a new file expected")
        whole_file.check(f"--{flag}", Path(path))
    if given.policy is not None:
        from trpo_gail.exports.write_policy import check_name

        check_name(given.policy)
        if given.reward is not None and Path(given.reward).resolve() == Path(given.policy).resolve():
            raise UserError(f"--reward, --policy: {given.policy} given for both, two files expected")


def _export(given: _ExportArguments) -> None:
    if given.reward is not None:
        from trpo_gail.exports.write_reward import export_reward

        function = export_reward(given.run, given.reward, given.expert)
        adversary, iteration = function.config.adversary, function.iteration
        print(f"{given.reward}: reward of {adversary} on {function.env_id} after iteration {iteration}")
    if given.policy is not None:
        from trpo_gail.exports.write_policy import export_policy

        difference = export_policy(given.run, given.policy, given.which.policy)
        print(f"{given.policy}: policy; its actions differ from those of `predict` by at most {difference:.2g}")
