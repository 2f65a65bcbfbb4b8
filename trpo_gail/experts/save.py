"""Writing demonstrations, at once or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from trpo_gail.errors import UserError
from trpo_gail.experts import editing
from trpo_gail.experts.check import checked
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import FORMATS, native
from trpo_gail.experts.streams import Append
from trpo_gail.system import whole_file


def save(path: str | Path, demonstrations: Demonstrations, to: str = "native") -> None:
    """Write a format that is written, by the name of its module. The same content gives the same bytes.

    Atomic: `path` is what it was, or complete. A malformed set of arrays is a UserError and no file; so are a missing
    folder and a full disk.
    """
    writing = writer(to)
    checked(demonstrations, path)
    with writing(whole_file.named("path", path)) as append:
        append(demonstrations)


def writer(name: str) -> Callable[[Path], AbstractContextManager[Append]]:
    """What writes the format that a module of `formats` has, by the module's name; pieces are appended within its block.

    The file is there when the block ends, the same as if all were written at once. Raises UserError if no format that is
    written has that name.
    """
    found: dict[str, Callable[[Path], AbstractContextManager[Append]]] = {}
    for form in sorted(FORMATS, key=lambda form: form is not native):
        own, any_form = getattr(form, "__name__", form.NAME).rpartition(".")[2], _any(form)
        if hasattr(form, "write"):
            found[own] = any_form.writing if hasattr(form, "writing") else partial(_at_once, any_form.write)
    if name not in found:
        raise UserError(f"--to {name}: expected a format that is written: {', '.join(found)}")
    return found[name]


def _any(form: Any) -> Any:
    return form


@contextmanager
def _at_once(write: Callable[[Path, Demonstrations], None], path: Path) -> Iterator[Append]:
    """For a format that is not written in pieces: they are held until all are there."""
    held: list[Demonstrations] = []
    yield held.append
    write(path, editing.joined(held))
