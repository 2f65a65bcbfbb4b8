"""A module's parameters as one vector."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from trpo_gail.errors import UserError


class FlatParameters:
    """A module's parameters as views of one vector, so that reductions and optimisers see a single array.

    Make it by `of`, after the module is on its device and in its dtype. `load_state_dict` copies in place, so the views
    stay.
    """

    def __init__(self, module: nn.Module) -> None:
        self._names, self.parameters = map(list, zip(*module.named_parameters(), strict=True))
        self.vector = torch.cat([p.detach().reshape(-1) for p in self.parameters])  # [P]
        for p, part in zip(self.parameters, self.split(self.vector), strict=True):
            p.data = part

    def is_whole(self) -> bool:
        """Whether the parameters are still views of the vector; `module.to(...)` would take them out of it."""
        parts = self.split(self.vector)
        return all(p.data_ptr() == part.data_ptr() for p, part in zip(self.parameters, parts, strict=True))

    @torch.no_grad()
    def take_back(self, module: nn.Module) -> None:
        """Let the module's parameters be these views again, with the values of what was put in their place: by
        `vector_to_parameters`, `load_state_dict(..., assign=True)` or `p.data = ...`. An optimiser would move the vector
        alone. Raises UserError for another dtype, shape or device, and for parameters that came or went."""
        now = dict(module.named_parameters())
        if changed := sorted(now.keys() ^ set(self._names)):
            raise UserError(f"parameter {changed[0]!r} of a network came or went while the model was there")
        for name, ours, part in zip(self._names, self.parameters, self.split(self.vector), strict=True):
            found = now[name]
            if found is ours and found.data_ptr() == part.data_ptr() and found.dtype == part.dtype:
                continue
            is_, was = ((x.dtype, list(x.shape), str(x.device)) for x in (found, part))
            if is_ != was:
                changes = ", ".join(
                    f"{old} expected, found {new}" for old, new in zip(was, is_, strict=True) if old != new
                )
                raise UserError(f"parameter {name!r} of a network: {changes}")
            part.copy_(found)
            ours.data = part
            owner, _, last = name.rpartition(".")
            module.get_submodule(owner)._parameters[last] = ours

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


# The view that each parameter, and each module, belongs to, as long as that view is in use.
_VIEWS: WeakIdKeyDictionary = WeakIdKeyDictionary()
_MODULES: weakref.WeakKeyDictionary[nn.Module, weakref.ref[FlatParameters]] = weakref.WeakKeyDictionary()


def hold(network: nn.Module) -> None:
    """`FlatParameters.take_back` for every part of a network that has a flat view. Raises UserError."""
    for module in network.modules():
        held = _MODULES.get(module)
        if held and (flat := held()):
            flat.take_back(module)


def of(module: nn.Module) -> FlatParameters:
    """The one flat view of a module; a second call returns the same view.

    Raises UserError if another module's view holds some of the parameters: a second vector would take them from the first,
    and the first's optimiser would then move unused numbers. Raises RuntimeError if they have left their view.
    """
    parameters = list(module.parameters())
    holders = [_holder(p) for p in parameters]
    first = next((holder for holder in holders if holder), None)
    if first is None:
        flat = FlatParameters(module)
        for p in parameters:
            _VIEWS[p] = weakref.ref(flat)
        _MODULES[module] = weakref.ref(flat)
        return flat
    if any(holder is not first for holder in holders) or len(parameters) != len(first.parameters):
        raise UserError(
            f"{_named(module)}: some of its parameters learn already, in another network of this model or in another "
            "model: let the class or function make all its modules anew at each call"
        )
    if not first.is_whole():
        raise RuntimeError("the parameters have left their flat view: place the module before the view is made")
    return first


def _named(module: nn.Module) -> str:
    """As an error names it: by the flag of a network of the user's own, if there is one inside."""
    return next((said for part in module.modules() if (said := getattr(part, "said", ""))), type(module).__name__)


def _holder(parameter: Tensor) -> FlatParameters | None:
    held = _VIEWS.get(parameter)
    return held() if held else None
