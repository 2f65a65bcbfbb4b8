"""A CSV file of a run that is only for viewing: rows are appended, those after a checkpoint are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from trpo_gail.system import whole_file
from trpo_gail.system.terminal import warn


@dataclass
class ViewedFile:
    """If it cannot be written, a warning says so once, and the run goes on without."""

    file: Path
    header: str
    _silent: bool = False

    def append(self, rows: Iterable[str]) -> None:
        """Add lines, each with its end, behind the header."""
        if self._silent:
            return
        try:
            new = not self.file.exists()
            with open(self.file, "a") as to:
                to.write(f"{self.header}\n" * new + "".join(rows))
        except OSError as error:
            self._silent = True
            warn(f"{self.file}: no longer written, and the run goes on without ({error.strerror})")

    def cut(self, stays: Callable[[str], bool]) -> None:
        """Keep the lines for which `stays`, without their ends, is true. A last line without an end is no whole one. Raises
        OSError."""
        kept = [line for line in lines(self.file) if stays(line)]
        if self.file.is_file():
            whole_file.write(self.file, "".join(f"{line}\n" for line in (self.header, *kept)).encode())


def lines(file: Path) -> list[str]:
    """The whole lines; none without a file. Raises OSError."""
    return file.read_bytes().decode(errors="replace").split("\n")[:-1] if file.is_file() else []
