"""How a message stays short: by hand."""

from __future__ import annotations

import gymnasium
import pytest

from trpo_gail.envs.failures import described
from trpo_gail.errors import MOST, RunError, UserError, listed, of_system, shortened


@pytest.mark.parametrize("text", ["", "short", "two  blanks stay", "x" * MOST])
def test_what_is_short_stays(text: str) -> None:
    assert shortened(text) == text


def test_the_middle_of_what_is_long_is_left_out() -> None:
    assert shortened("0123456789abcdefghij", 11) == "0123 ... ij"
    text = "file.h5: " + "x" * 1000 + "; what to do"
    assert len(shortened(text)) == MOST
    assert shortened(text).startswith("file.h5: xxx") and shortened(text).endswith("xxx; what to do")
    assert [len(shortened(text, limit)) for limit in range(20, 60)] == list(range(20, 60))


def test_lines_become_one() -> None:
    assert shortened("one\n  two\r\n\tthree\n") == "one two three"


def test_no_temporary_folder_says_what_to_set() -> None:
    assert of_system(OSError(28, "No space left on device", "runs/a")) == "runs/a: No space left on device"
    assert of_system(OSError("it fell")) == "input/output: it fell"
    none = FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")
    assert of_system(none).endswith("['/tmp']: set TMPDIR to a folder that has room and can be written")


@pytest.mark.parametrize("kind", [UserError, RunError])
def test_a_message_is_one_line_whatever_a_file_names_its_parts(kind: type[Exception]) -> None:
    assert str(kind("demos: array 'ob\n': \x1b[2Jdamaged")) == "demos: array 'ob ': \\x1b[2Jdamaged"
    assert str(kind("a b: Größe \udc80")) == "a b: Größe \udc80"


def test_lists_by_hand() -> None:
    assert [listed(range(n), 3) for n in (0, 1, 3, 4, 1000)] == [
        "nothing",
        "0",
        "0, 1, 2",
        "0, 1, 2 and 1 more",
        "0, 1, 2 and 997 more",
    ]
    assert len(listed("x" * 500 for _ in range(500))) < MOST


@pytest.mark.parametrize("kind", [UserError, RunError])
def test_a_message_has_no_full_stop_of_its_own(kind: type[Exception]) -> None:
    assert f"{kind('it is not there.')}." == "it is not there."
    assert str(kind("0, 1, ...")) == "0, 1, ..."


def test_nor_has_what_a_library_says() -> None:
    with pytest.raises(gymnasium.error.NameNotFound) as refused:
        gymnasium.make("Nowhere-v0")
    assert str(refused.value).endswith(".") and described(refused.value).endswith("doesn't exist")
    assert described(ValueError("it is wrong.")) == "ValueError: it is wrong"
