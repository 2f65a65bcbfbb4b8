"""Adam on one flat parameter vector, and on a network with gradients summed over ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from trpo_gail.networks.network import linearise
from trpo_gail.optim import flat
from trpo_gail.parallel import Workers


class Adam:
    """torch's Adam on one vector, by its functional form.

    The class `torch.optim.Adam` gives the same bits, but making one loads torch's compiler, which takes two seconds.
    The state has that class's layout, so checkpoints stay compatible.
    """

    def __init__(self, vector: Tensor, stepsize: float, eps: float = 1e-8, weight_decay: float = 0.0) -> None:
        """`vector` [P] is moved in place. `weight_decay` is decoupled from the gradient (Loshchilov & Hutter 2019)."""
        self.vector, self.stepsize, self._decay = vector, stepsize, weight_decay
        self._eps, self._betas = eps, (0.9, 0.999)
        self._state: dict[str, Tensor] = {}

    def step(self, gradient: Tensor) -> None:
        """Descend along a gradient [P] in the vector's dtype."""
        if not self._state:
            self._state["step"] = torch.zeros((), dtype=torch.float32, device=self.vector.device)
            self._state["exp_avg"] = torch.zeros_like(self.vector)
            self._state["exp_avg_sq"] = torch.zeros_like(self.vector)
        state = self._state
        if self._decay:
            self.vector.mul_(1.0 - self.stepsize * self._decay)
        adam(
            [self.vector], [gradient], [state["exp_avg"]], [state["exp_avg_sq"]], [], [state["step"]],
            fused=True, amsgrad=False, beta1=self._betas[0], beta2=self._betas[1], lr=self.stepsize, weight_decay=0.0,
            eps=self._eps, maximize=False,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        group = {
            "lr": self.stepsize, "betas": self._betas, "eps": self._eps, "weight_decay": 0, "amsgrad": False,
            "maximize": False, "foreach": None, "capturable": False, "differentiable": False, "fused": True,
            "decoupled_weight_decay": False, "params": [0],
        }  # fmt: skip
        return {"state": {0: dict(self._state)} if self._state else {}, "param_groups": [group]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the step size, and copies of the moments on the vector's device."""
        moments = state["state"].get(0, {})
        kinds = {name: torch.float32 if name == "step" else self.vector.dtype for name in moments}
        self._state = {
            name: value.detach().clone().to(device=self.vector.device, dtype=kinds[name])
            for name, value in moments.items()
        }
        self.stepsize = state["param_groups"][0]["lr"]


class FlatAdam:
    """Adam on a network, with gradients summed over ranks.

    Differs: the original adds epsilon to the root of the uncorrected second moment, torch to that of the corrected one.
    """

    def __init__(self, net: nn.Module, stepsize: float, workers: Workers, weight_decay: float = 0.0) -> None:
        self.net, self.flat, self.workers = net, flat.of(net), workers
        self._adam = Adam(self.flat.vector, stepsize, weight_decay=weight_decay)
        self._gradient = torch.zeros_like(self.flat.vector, dtype=torch.float64)
        self._parts = self.flat.split(self._gradient)
        self.mean_gradient = torch.zeros_like(self.flat.vector)  # of the last step

    @torch.no_grad()
    def step(
        self,
        x: Tensor,
        slope: Callable[[Tensor], Tensor],
        count: int,
        more: Callable[[list[Tensor]], None] | None = None,
    ) -> None:
        """Descend a mean loss over `count` rows of all ranks, divided after the reduction.

        x [B, I] are this rank's rows; `slope` maps the network's output [B, K] to the derivative [B, K] of the loss's
        sum over them. `more` adds another sum's gradient to tensors, one per parameter. With minibatches this small,
        autograd would take most of the time.
        """
        here = linearise(self.net, x)
        self._gradient.zero_()
        here.pullback(slope(here.output), self._parts)
        if more is not None:
            more(self._parts)
        self.descend(self._gradient, count)

    @torch.no_grad()
    def descend(self, gradient: Tensor, count: int) -> None:
        """Descend along the mean of a gradient: this rank's sum [P] float64, over `count` rows of all ranks."""
        self.mean_gradient = (self.workers.sum_tensor(gradient) / count).to(self.flat.vector.dtype)
        self._adam.step(self.mean_gradient)

    @property
    def stepsize(self) -> float:
        return self._adam.stepsize

    @stepsize.setter
    def stepsize(self, value: float) -> None:
        self._adam.stepsize = value

    def state_dict(self) -> dict[str, Any]:
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._adam.load_state_dict(state)
