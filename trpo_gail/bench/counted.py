"""A TRPO step, and how many Fisher-vector products it takes: conjugate gradient may end before its last iteration."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from torch import Tensor

from trpo_gail.generators.trpo import TRPO
from trpo_gail.optim.natural_gradient import Product
from trpo_gail.sampling.batch import Batch


def step(trpo: TRPO, batch: Batch) -> tuple[dict[str, Any], int]:
    """The step's statistics, and its products. The policy moves."""
    module: Any = import_module(TRPO.__module__)
    taken, made = 0, module.fisher_product

    def counted(*arguments: Any) -> Product:
        product = made(*arguments)

        def one(v: Tensor) -> Tensor:
            nonlocal taken
            taken += 1
            return product(v)

        return one

    module.fisher_product = counted
    try:
        return trpo.step(batch, np.random.default_rng(0)), taken
    finally:
        module.fisher_product = made
