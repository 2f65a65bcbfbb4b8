"""What is set for all of torch, kept from code that is not ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Put back whether gradients are computed, the default dtype and device, and the number of threads. An environment that
    runs a network of its own may set them for itself, and everything that is computed after it would be another."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    dtype, device, threads = torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads()
    with torch.set_grad_enabled(torch.is_grad_enabled()):
        try:
            yield
        finally:
            if torch.get_default_dtype() != dtype:
                torch.set_default_dtype(dtype)
            if torch.get_default_device() != device:
                torch.set_default_device(None if device.type == "cpu" else device)  # None: as if it had never been set
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
