"""A policy as one network: from rows of observations to the environment's own actions, with operations of torch alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail.errors import UserError
from trpo_gail.policies.policy import Policy
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.spaces.units import ActionScaling


class PolicyNetwork(nn.Module):
    """Rows [B, O] -> deterministic actions [B, *shape], as `predict` gives them: normalised, clipped and scaled alike."""

    shift: Tensor
    scale: Tensor
    _exempt: Tensor | None

    def __init__(self, policy: Policy, spec: EnvSpec) -> None:
        """Raises UserError for an action space from outside whose family cannot say its likeliest action in torch."""
        super().__init__()
        if not hasattr(policy.family, "likeliest"):
            raise UserError(f"{type(policy.family).__name__}: a family with the method `likeliest` expected")
        self.net, self._family = policy.net, policy.family
        self._dtype = next(policy.net.parameters()).dtype
        self._clip, exempt = policy.normaliser.clip, policy.normaliser.exempt
        self._as_it_is = exempt is not None and bool(exempt.all())
        shift, scale = policy.normaliser.shift_and_scale(torch.float64)
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.register_buffer("_exempt", None if exempt is None else torch.from_numpy(exempt))
        self._actions = _Executed(spec)

    def forward(self, rows: Tensor) -> Tensor:
        z = rows if self._as_it_is else self._normalised(rows)
        return self._actions(self._family.likeliest(self.net(z.to(self._dtype))))

    def _normalised(self, rows: Tensor) -> Tensor:
        """In float64, as the sampling copy of the policy does it (`policies/actor.py`)."""
        z = (rows.to(self._dtype).double() - self.shift) / self.scale
        if self._clip is not None:
            z = z.clamp(-self._clip, self._clip)
        if self._exempt is not None:
            z = torch.where(self._exempt, rows.double(), z)
        return z


class _Executed(nn.Module):
    """From the policy's units to the environment's own actions; see `EnvSpec.shown` and `ActionScaling.executed`."""

    def __init__(self, spec: EnvSpec) -> None:
        super().__init__()
        self._clips, self._scaling = spec.clips, spec.action_scaling
        self._outer = tuple(spec.executed_space.shape or ())
        self._labels = spec.executed.whole
        self._kind = _torch_dtype(spec.executed_space.dtype)
        if spec.clips:
            assert spec.actions.bounds is not None
            self._keep("bounds", *spec.actions.bounds)
        if self._scaling is not None:
            self._keep_scaling(self._scaling)
        if self._labels:  # the first action of each set of labels
            first = spec.executed.outward(spec.executed.zeros(1) * 0)
            self._keep("first", np.asarray(first, np.int64)[0])

    def _keep(self, name: str, *arrays: np.ndarray) -> None:
        for place, array in enumerate(arrays):
            self.register_buffer(f"{name}_{place}", torch.from_numpy(np.array(array)))

    def _keep_scaling(self, scaling: ActionScaling) -> None:
        # What is not scaled may be unbounded, and infinity times 0 is no number.
        low, high = (np.where(scaling.scaled, x, 0.0) for x in (scaling.environment.low, scaling.environment.high))
        self._keep("scaling", low.astype(np.float64), high.astype(np.float64), scaling.scaled)

    def forward(self, actions: Tensor) -> Tensor:
        if self._labels:
            return (actions.reshape(-1, *self._outer) + self.get_buffer("first_0")).to(self._kind)
        if self._clips:
            low, high = self.get_buffer("bounds_0"), self.get_buffer("bounds_1")
            actions = torch.minimum(torch.maximum(actions, low), high)
        if self._scaling is not None:
            actions = self._scaled(actions)
        return actions.reshape(-1, *self._outer).to(self._kind)

    def _scaled(self, actions: Tensor) -> Tensor:
        low, high, scaled = (self.get_buffer(f"scaling_{place}") for place in range(3))
        wide = actions.double()
        values = low + (wide + 1.0) * 0.5 * (high - low)
        inside = torch.minimum(torch.maximum(values, low), high)
        values = torch.where(wide.abs() <= 1.0, inside, values)
        return torch.where(scaled, values, wide)


def _torch_dtype(dtype: Any) -> torch.dtype:
    return torch.from_numpy(np.zeros(1, dtype)).dtype
