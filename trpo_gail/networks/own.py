"""Networks of the user's own: `module:name` of a torch module's class, or of a function, called with (inputs, outputs)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trpo_gail.config import choices
from trpo_gail.errors import UserError, shortened
from trpo_gail.spaces.layout import Layout

_ROWS = 4  # of the trial


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
    if any(not parameter.requires_grad for parameter in made.parameters()):
        raise UserError(f"--{flag}: {name} made a module with frozen parameters: expected parameters that all learn")
    made.eval()  # so that the trial moves no statistics
    said = f"--{flag}: {name}"
    return Own(made, outputs, said, _tried(made, said, inputs, outputs))


@torch.no_grad()
def _tried(net: nn.Module, what: str, inputs: int, outputs: int) -> bool:
    """Whether the network writes into its input. Raises UserError for what it cannot do, and if rows change each other's
    outputs."""
    rows = next(net.parameters()).new_zeros(_ROWS, inputs)
    try:
        with torch.random.fork_rng(devices=[]):  # the user's code may draw in evaluation mode, too
            found = net(rows)
    except Exception as error:  # of the user's code
        raise UserError(f"{what}: of [{_ROWS}, {inputs}] raised {shortened(repr(error), 120)}") from error
    if not isinstance(found, Tensor) or found.shape != (_ROWS, outputs):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{what}: of [{_ROWS}, {inputs}] gave {shape}, [{_ROWS}, {outputs}] expected")
    writes = rows._version > 0  # torch counts writes to a tensor
    if _mixes(net, rows):
        raise UserError(
            f"{what}: the output of a row changes with the other rows of its batch, as by a mean over the batch or by "
            "attention to it: each row by itself expected"
        )
    return writes


def _mixes(net: nn.Module, like: Tensor) -> bool:
    """Whether outputs of rows change if other rows of the batch do, which keeps its size. Of a network that draws, or that
    changes from call to call, or that random rows are nothing for, it is not known."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rows, others = torch.randn_like(like), torch.randn_like(like)
        first = torch.arange(len(like)) < len(like) // 2
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


class Own(nn.Module):
    """A user's network, whose outputs can be kept while the units of its targets move.

    It stays in evaluation mode: what dropout draws from torch's generator would differ after a resume and between ranks.
    """

    gain: Tensor
    offset: Tensor

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
            return self.gain * self.net(x.clone() if self._writes else x) + self.offset

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
