"""Pictures are the same whatever matplotlib's settings say, and leave these alone."""

from __future__ import annotations

import os
import subprocess
import sys

import matplotlib
import pytest

from trpo_gail.errors import UserError
from trpo_gail.reports import style
from trpo_gail.system.plotting import without_backend

_DRAW = """
import os
from trpo_gail.reports import style

@style.picture
def draw():
    figure, (axes,) = style.grid(1, 1, 2.0)
    axes.plot([0, 1], label="$")
    return style.png(figure)

assert draw().startswith(b"\\x89PNG")
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"])
"""


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("module://matplotlib_inline.backend_inline", None),
        pytest.param("no such thing", None, marks=pytest.mark.long),
        ("svg", "svg"),
    ],
)
def test_any_backend_may_be_asked_for(name: str, becomes: str | None) -> None:
    """A notebook's is named in what it starts, and need not be installed there; the user's own figures have it still."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _DRAW], env=os.environ | {"MPLBACKEND": name}, capture_output=True,
        text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name} ")
    assert becomes is None or done.stdout.split()[-1] == becomes
    assert done.stderr == ""


@pytest.mark.parametrize("own", [None, "a value of the user's"])
def test_what_an_import_sets_is_put_back(own: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """EnvPool's makes Agg of a backend that is not there, by which figures of the user's own are not shown, and has
    matplotlib's folder in /tmp."""
    for name in ("MPLBACKEND", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, own) if own else monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with without_backend():
        assert os.environ.setdefault("MPLBACKEND", "Agg") == "" and os.environ["MPLCONFIGDIR"] == (own or "")
    assert dict(os.environ) == before


def test_settings_of_the_user_are_not_seen_and_stay() -> None:
    @style.picture
    def draw() -> bytes:
        figure, (axes,) = style.grid(1, 1, 2.0)
        axes.set_title("a $1 bill, 一, and \\frac")  # no formula, and a letter that the font lacks
        axes.plot([0, 1])
        return style.png(figure)

    plain = draw()
    with matplotlib.rc_context({"text.usetex": True, "lines.linewidth": 9.0, "savefig.bbox": "tight"}):
        assert draw() == plain
        assert matplotlib.rcParams["lines.linewidth"] == 9.0 and matplotlib.rcParams["text.usetex"]


def test_a_matplotlibrc_in_another_encoding_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With which matplotlib cannot be imported."""
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    with (
        pytest.raises(UserError, match=r"its file matplotlibrc is not written in UTF-8: .* byte 0xdc"),
        without_backend(),
    ):
        b"\xdcber".decode()
