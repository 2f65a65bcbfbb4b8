"""Networks of the user's own: `module:name` of a torch module's class, or of a function, called with (inputs, outputs)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trpo_gail.config import choices
from trpo_gail.errors import UserError, shortened
from trpo_gail.spaces.layout import Layout

_ROWS = 3  # of the trial


def make(flag: str, name: str, layout: Layout, extra: int, outputs: int, rng: torch.Generator) -> nn.Module:
    """A network for rows of a layout, followed by `extra` columns: [B, O + extra] -> [B, outputs].

    Whatever it draws from torch's generator depends on `rng` alone. Raises UserError, naming the flag, if it cannot be
    made, and if it gives outputs of another shape.
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
    net = Own(made, outputs)  # in evaluation mode, so that the trial moves no statistics
    _try(made, f"--{flag}: {name}", inputs, outputs)
    return net


@torch.no_grad()
def _try(net: nn.Module, what: str, inputs: int, outputs: int) -> None:
    like = next(net.parameters())
    try:
        with torch.random.fork_rng(devices=[]):  # the user's code may draw in evaluation mode, too
            found = net(like.new_zeros(_ROWS, inputs))
    except Exception as error:  # of the user's code
        raise UserError(f"{what}: of [{_ROWS}, {inputs}] raised {shortened(repr(error), 120)}") from error
    if not isinstance(found, Tensor) or found.shape != (_ROWS, outputs):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"{what}: of [{_ROWS}, {inputs}] gave {shape}, [{_ROWS}, {outputs}] expected")


class Own(nn.Module):
    """A user's network, whose outputs can be kept while the units of its targets move.

    It stays in evaluation mode: what dropout draws from torch's generator would differ after a resume and between ranks.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, net: nn.Module, outputs: int) -> None:
        super().__init__()
        self.net = net.eval()
        self.register_buffer("gain", torch.ones(outputs))
        self.register_buffer("offset", torch.zeros(outputs))

    def forward(self, x: Tensor, kept: Sequence[Tensor] = ()) -> Tensor:
        """[B, I] -> [B, K]. There is no dropout: `kept` is empty."""
        assert not kept
        return self.gain * self.net(x) + self.offset

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
