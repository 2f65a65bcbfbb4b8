"""Networks of the user's own: `module:name` of a torch module's class, or of a function, called with (inputs, outputs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trpo_gail.config import choices
from trpo_gail.errors import RunError, UserError, shortened
from trpo_gail.networks.network import ByAutograd
from trpo_gail.spaces.layout import Layout

_ROWS = 4  # of the trial
_DIFFERS = 1e-2  # share by which two sums of squares differ beyond rounding, even in half precision


def make(flag: str, name: str, layout: Layout, extra: int, outputs: int, rng: torch.Generator) -> nn.Module:
    """A network for rows of a layout, followed by `extra` columns: [B, O + extra] -> [B, outputs].

    Whatever it draws from torch's generator depends on `rng` alone. Raises UserError, naming the flag, if it cannot be
    made, if it gives outputs of another shape, and if rows are not taken each by itself.
    """
    if layout.columns("image").any():
        raise UserError(f"--{flag}: {name} given, which gets rows of numbers, but the observations hold images")
    inputs = layout.size + extra
    module, _, function = name.partition(":")
    try:
        build = choices.Choice(module, function=function).load()
    except UserError as error:
        raise UserError(f"--{flag}: {error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
        try:
            made = build(inputs, outputs)
        except Exception as error:  # of the user's code
            raise UserError(f"--{flag}: {name}({inputs}, {outputs}) raised {shortened(repr(error), 120)}") from error
    if not isinstance(made, nn.Module) or not list(made.parameters()):
        raise UserError(f"--{flag}: {name} made {type(made).__name__}, a torch module with parameters expected")
    if any(nn.parameter.is_lazy(parameter) for parameter in made.parameters()):
        raise UserError(
            f"--{flag}: {name} made a module with lazy layers, whose sizes are not known: Linear(inputs, ...) expected"
        )
    if any(not parameter.requires_grad for parameter in made.parameters()):
        raise UserError(f"--{flag}: {name} made a module with frozen parameters: expected parameters that all learn")
    if any(type(part).__name__ == "OptimizedModule" or part._compiled_call_impl for part in made.modules()):
        raise UserError(
            f"--{flag}: {name} made a compiled module, whose gradient can be taken once: one without compile expected"
        )
    made.eval()  # so that the trial moves no statistics
    said = f"--{flag}: {name}"
    tried = Own(made, outputs, said, _writes(made, said, inputs, outputs))
    tried.again = _differentiates_again(tried, inputs)
    # Last, and without gradients: layers such as spectral_norm's keep weights of their last call, which are copied later.
    if _mixes(made, inputs):
        raise UserError(
            f"{said}: the output of a row changes with the other rows of its batch, as by a mean over the batch or by "
            "attention to it: each row by itself expected"
        )
    return tried


def _writes(net: nn.Module, what: str, inputs: int, outputs: int) -> bool:
    """Whether the network writes into its input. Raises UserError for what it cannot do."""
    rows = next(net.parameters()).new_zeros(_ROWS, inputs)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():  # the user's code may draw in evaluation mode, too
            found = net(rows)
    except Exception as error:  # of the user's code
        raise UserError(f"{what}: of [{_ROWS}, {inputs}] raised {shortened(repr(error), 120)}") from error
    if not isinstance(found, Tensor) or found.shape != (_ROWS, outputs):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{what}: of [{_ROWS}, {inputs}] gave {shape}, [{_ROWS}, {outputs}] expected")
    if not found.requires_grad:
        raise UserError(
            f"{what}: its outputs have no gradient, as under torch.no_grad() or after detach(): outputs from which its "
            "parameters learn expected"
        )
    return rows._version > 0  # torch counts writes to a tensor


@torch.no_grad()
def _mixes(net: nn.Module, inputs: int) -> bool:
    """Whether outputs of rows change if other rows of the batch do, which keeps its size. Of a network that draws, or that
    changes from call to call, or that random rows are nothing for, it is not known."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows, others = (next(net.parameters()).new_empty(_ROWS, inputs).normal_() for _ in range(2))
        first = torch.arange(_ROWS) < _ROWS // 2
        try:
            whole, again = net(rows.clone()), net(rows.clone())
            parts = [net(torch.where(mine[:, None], rows, others))[mine] for mine in (first, ~first)]
            later = net(rows.clone())
        except Exception:  # of the user's code
            return False
    if not (torch.equal(whole, again) and torch.equal(whole, later)):
        return False
    rounding = 1e-3 * float(whole.abs().max()) if len(whole) else 0.0
    return bool(((torch.cat(parts) - whole).abs() > rounding).any())


def _differentiates_again(net: Own, inputs: int) -> bool:
    """Whether the gradient g = J^T u can be differentiated again, as for J v: torch leaves out, without a word, what a
    backward pass of the user's own keeps from it, and then u . J g falls short of g . g. Of what random rows are nothing
    for, it is not known. Raises UserError for a backward pass that raises."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows = next(net.parameters()).new_empty(_ROWS, inputs).normal_()
        try:
            here = ByAutograd(net, rows)
        except Exception:  # of the user's code
            return True
        u, g = torch.randn_like(here.output), [torch.zeros_like(one) for one in net.parameters()]
        try:
            here.pullback(u, g)
        except Exception as error:  # likewise
            raise UserError(f"{net.said}: its backward pass raised {shortened(repr(error), 120)}") from error
        try:
            found = float((u * here.pushforward(g)).sum())
        except Exception:  # likewise
            return False
    wanted = sum(float((part**2).sum()) for part in g)
    return not abs(found - wanted) > _DIFFERS * wanted


class _Once(ByAutograd):
    """Of a network whose gradient cannot be differentiated again."""

    def __init__(self, net: Own, x: Tensor) -> None:
        super().__init__(net, x)
        self._net = net

    def pushforward(self, v: list[Tensor]) -> Tensor:
        raise self._net.not_again("products with the Jacobian need")


class Own(nn.Module):
    """A user's network, whose outputs can be kept while the units of its targets move.

    It stays in evaluation mode: what dropout draws from torch's generator would differ after a resume and between ranks.
    """

    gain: Tensor
    offset: Tensor
    again = True  # whether its gradient can be differentiated again

    def __init__(self, net: nn.Module, outputs: int, said: str, writes: bool) -> None:
        """`said`: what errors call it. `writes`: whether the network writes into its input, which then is a copy: the
        batch is others', too."""
        super().__init__()
        self.said, self._writes = said, writes
        self.net = net.eval()
        self.register_buffer("gain", torch.ones(outputs))
        self.register_buffer("offset", torch.zeros(outputs))

    def forward(self, x: Tensor, kept: Sequence[Tensor] = ()) -> Tensor:
        """[B, I] -> [B, K]. There is no dropout: `kept` is empty."""
        assert not kept
        # Of attention's kernels, the plain one alone can be differentiated again, as products with the Jacobian need it.
        plain = sdpa_kernel(SDPBackend.MATH) if torch.is_grad_enabled() else nullcontext()
        with plain:
            return self.gain * self._called(x.clone() if self._writes else x) + self.offset

    def _called(self, x: Tensor) -> Tensor:
        try:
            found: Tensor = self.net(x)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of the user's code, for a dtype or rows that the trial had not
            of = f"{list(x.shape)} {str(x.dtype).removeprefix('torch.')}, {x.device}"
            raise RunError(f"{self.said}: of {of} raised {shortened(repr(error), 160)}") from error
        return found

    def linearise(self, x: Tensor) -> ByAutograd:
        """By autograd."""
        return ByAutograd(self, x) if self.again else _Once(self, x)

    def not_again(self, why: str) -> UserError:
        """That its gradient cannot be differentiated again, as something needs."""
        return UserError(
            f"{self.said}: its gradient cannot be differentiated again, as {why}: expected operations of torch alone, "
            "without a backward pass that is marked once_differentiable"
        )

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *more: Any) -> None:
        """As torch's. Raises UserError if the user's code makes another network than when the state was saved."""
        at = f"{prefix}net."
        held, made = (
            {name.removeprefix(at): value.shape for name, value in state.items() if isinstance(value, Tensor)}
            for state in ({k: v for k, v in state_dict.items() if k.startswith(at)}, self.net.state_dict())
        )
        if other := [name for name in (held | made) if held.get(name) != made.get(name)]:
            found, expected = (list(of[other[0]]) if other[0] in of else "none" for of in (made, held))
            raise UserError(
                f"{self.said}: makes another network than the one that was saved: parameter {other[0]!r}: "
                f"found {found}, expected {expected}"
            )
        super()._load_from_state_dict(state_dict, prefix, *more)

    def train(self, mode: bool = True) -> Own:
        super().train(mode)
        self.net.eval()
        return self

    @torch.no_grad()
    def keep_outputs(self, before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> None:
        """Let the output stay the same in units that are shifted and scaled by `after` in place of `before`."""
        (old_shift, old_scale), (shift, scale) = before, after
        gain = (old_scale / scale).to(self.gain)
        self.gain.mul_(gain)
        self.offset.mul_(gain).add_(((old_shift - shift) / scale).to(self.offset))
