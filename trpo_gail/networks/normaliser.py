"""Running mean and standard deviation of a network's inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from trpo_gail.magnitudes import FLOOR

AT_A_TIME = 1_000_000  # numbers that are summed
TOGETHER = 16  # columns that torch sums in one way, unless the last stands alone: a split between them changes no bit


class Normaliser(nn.Module):
    """z = (x - mean) / (std + FLOOR), computed over all data ever passed to `add` (Ho & Ermon's `Standardizer`).

    Statistics are float64 buffers whatever the dtype of x. Until the first `add` it is the identity.
    Differs: z is clipped to +-`clip` unless that is None, so that a feature that was constant so far cannot explode.
    """

    count: Tensor
    mean: Tensor
    meansq: Tensor
    _counted: Tensor

    def __init__(
        self, size: int, clip: float | None = None, active: int | None = None, exempt: np.ndarray | None = None
    ) -> None:
        """`active`: number of features, from the first on, that are normalised; None for all. `exempt` [size] bool:
        features that are neither normalised nor clipped nor counted, such as pixels and one-hot codes."""
        super().__init__()
        self.clip, self._active = clip, size if active is None else active
        self.exempt = exempt if exempt is not None and exempt.any() else None
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("meansq", torch.ones(size, dtype=torch.float64))
        if self.exempt is not None:
            self.register_buffer("_counted", torch.from_numpy(np.flatnonzero(~self.exempt)), persistent=False)

    @property
    def is_idle(self) -> bool:
        """Whether it leaves all features alone."""
        return self.exempt is not None and bool(self.exempt.all())

    def sums(self, x: Tensor, weight: float = 1.0) -> Tensor:
        """(count, sum x, sum x^2) of the features that are normalised, over rows [B, size], each times `weight`:
        float64."""
        return sums(x if self.exempt is None else x[:, self._counted], weight)

    def add(self, moments: Tensor, decay: float = 1.0) -> None:
        """Add the global sums of one batch, as `sums` gives them; what was there counts `decay` times as much as before."""
        moments = moments.to(self.mean)
        count, earlier = moments[0], self.count * decay
        total = earlier + count
        if total == 0:
            return
        size = (len(moments) - 1) // 2
        keep = earlier / total
        counted = slice(None) if self.exempt is None else self._counted
        # Before the first batch the weight is 0, so the identity's statistics leave no trace.
        self.mean[counted] = self.mean[counted] * keep + moments[1 : 1 + size] / total
        self.meansq[counted] = self.meansq[counted] * keep + moments[1 + size :] / total
        self.count.copy_(total)

    @property
    def std(self) -> Tensor:  # [size]
        return torch.sqrt(torch.clamp(self.meansq - self.mean**2, min=0.0))

    def shift_and_scale(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """mean and std + FLOOR, [size] each, in the dtype of the data; 0 and 1 while empty and for inactive features."""
        shift, scale = self.mean.clone(), self.std + (FLOOR if self.count > 0 else 0.0)
        shift[self._active :], scale[self._active :] = 0.0, 1.0
        if self.exempt is not None:
            exempt = torch.from_numpy(self.exempt).to(shift.device)
            shift[exempt], scale[exempt] = 0.0, 1.0
        return shift.to(dtype), scale.to(dtype)

    def forward(self, x: Tensor) -> Tensor:  # [B, size] -> [B, size]
        if self.is_idle:
            return x
        shift, scale = self.shift_and_scale(x.dtype)
        return self._clipped_((x - shift).div_(scale))

    def in_place(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """A function that does the same to rows of this dtype, in place, by the statistics that are there now."""
        if self.is_idle:
            return lambda x: x
        shift, scale = self.shift_and_scale(dtype)
        return lambda x: self._clipped_(x.sub_(shift).div_(scale))

    def _clipped_(self, z: Tensor) -> Tensor:
        if self.clip is None:
            return z
        if self.exempt is None:
            return z.clamp_(-self.clip, self.clip)
        limit = torch.from_numpy(np.where(self.exempt, np.inf, self.clip)).to(z)
        return z.clamp_(-limit, limit)


def sums(x: Tensor, weight: float = 1.0) -> Tensor:
    """(count, sum x, sum x^2) of rows [B, size], each times `weight`: float64 [1 + 2 * size]."""
    count = torch.tensor([float(len(x))], dtype=torch.float64, device=x.device)
    # Some columns at a time, since all of them in float64, and their squares, may take more memory than all else.
    some = TOGETHER * max(1, AT_A_TIME // (TOGETHER * max(1, len(x))))
    starts = range(0, max(1, x.shape[1] - 1), some)
    parts = (part.double() for part in x.tensor_split(tuple(starts)[1:], 1))
    moments = [(part.sum(0), (part * part).sum(0)) for part in parts]
    return weight * torch.cat([count, *(first for first, _ in moments), *(second for _, second in moments)])
