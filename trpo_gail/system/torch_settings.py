"""What is set for all of torch: kept from code that is not ours, and left aside where it is somebody else's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


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


_KINDS = ("cpu", "cuda")  # of devices that autocast may be on for


@contextmanager
def plain() -> Iterator[None]:
    """Leave aside what a caller may have set around a call of ours: inference mode, in which nothing can learn, autocast, and
    a default device, where parts of what is made would be elsewhere than the rest. Inside, none is on."""
    torch = sys.modules.get("torch")
    if torch is None or not (
        torch.is_inference_mode_enabled()
        or any(torch.is_autocast_enabled(kind) for kind in _KINDS)
        or torch.empty(0).device.type != "cpu"  # of the default device, which torch is slow to name
    ):
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for kind in _KINDS:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.device("cpu"))
        yield
