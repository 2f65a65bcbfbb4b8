"""Runs in this process take one thread: pytest's workers are the parallelism here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trpo_gail.parallel import Workers


@pytest.fixture(scope="module", autouse=True)
def _one_thread_for_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workers, "threads", lambda workers: 1)
        yield
