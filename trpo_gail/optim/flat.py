"""A module's parameters as one vector."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary


class FlatParameters:
    """A module's parameters as views of one vector, so that reductions and optimisers see a single array.

    Make it by `of`, after the module is on its device and in its dtype. `load_state_dict` copies in place, so the views
    stay.
    """

    def __init__(self, module: nn.Module) -> None:
        self.parameters = list(module.parameters())
        self.vector = torch.cat([p.detach().reshape(-1) for p in self.parameters])  # [P]
        for p, part in zip(self.parameters, self.split(self.vector), strict=True):
            p.data = part

    def is_whole(self) -> bool:
        """Whether the parameters are still views of the vector; `module.to(...)` would take them out of it."""
        parts = self.split(self.vector)
        return all(p.data_ptr() == part.data_ptr() for p, part in zip(self.parameters, parts, strict=True))

    def gradient(self, loss: Tensor, *, create_graph: bool = False, retain_graph: bool = False) -> Tensor:  # [P]
        """Gradient of a scalar; zeros for parameters that it does not depend on."""
        grads = torch.autograd.grad(
            loss,
            self.parameters,
            create_graph=create_graph,
            retain_graph=retain_graph or create_graph,
            materialize_grads=True,
        )
        return torch.cat([g.reshape(-1) for g in grads])

    def split(self, vector: Tensor) -> list[Tensor]:
        """A vector [P] as views with the parameters' shapes."""
        parts = torch.split(vector, [p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]


# The view that each parameter belongs to, as long as that view is in use.
_VIEWS: WeakIdKeyDictionary = WeakIdKeyDictionary()


def of(module: nn.Module) -> FlatParameters:
    """The one flat view of a module; a second call returns the same view.

    Raises RuntimeError if another module's view holds some of the parameters, or if they have left their view. A second
    vector would take them from the first, and the first's optimiser would then move unused numbers.
    """
    parameters = list(module.parameters())
    holders = [_holder(p) for p in parameters]
    first = next((holder for holder in holders if holder), None)
    if first is None:
        flat = FlatParameters(module)
        for p in parameters:
            _VIEWS[p] = weakref.ref(flat)
        return flat
    if any(holder is not first for holder in holders) or len(parameters) != len(first.parameters):
        raise RuntimeError(
            "some of these parameters are in the flat view of another module: make the larger view first"
        )
    if not first.is_whole():
        raise RuntimeError("the parameters have left their flat view: place the module before the view is made")
    return first


def _holder(parameter: Tensor) -> FlatParameters | None:
    held = _VIEWS.get(parameter)
    return held() if held else None
