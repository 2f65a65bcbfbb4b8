"""The numbers of a figure within its page: all of them, to six digits, and nothing that a page without them has not."""

from __future__ import annotations

import dataclasses
import html
import re

import numpy as np
import pytest
from pages import charts, check_alone

from trpo_gail.reports import chart, page
from trpo_gail.reports.chart import Chart, Key, Level, Look, Plot, Series
from trpo_gail.reports.page import Figure, Section

LOOK = Look("#0072B2")
X = np.array([0.0, 2048.0, 1234567.0])


def of(*series: Series, **fields: object) -> Chart:
    return Chart([Plot("panel", "steps", "return", series)], **fields)  # type: ignore[arg-type]


def as_page(*figures: Chart | None) -> str:
    parts = [Figure(f"f{k}", b"png", "what it shows", "caption", b"small", made) for k, made in enumerate(figures)]
    return page.html("Title", "lead", [Section("One", "text", parts)])


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0.6931471805599453, 0.693147),
        (-1234.5678, -1234.57),
        (2001234.0, 2001234),
        (1e-9 / 3, 3.33333e-10),
        (1.5e300, 1.5e300),
        (3.0, 3),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_numbers_have_six_digits_and_steps_all(value: float, kept: float | None) -> None:
    made = of(Series("a", np.zeros(1), np.array([value]), LOOK))
    (found,) = charts(check_alone(as_page(made)))
    (number,) = found["plots"][0]["series"][0]["y"]
    assert number == kept and type(number) is type(kept)


def test_everything_that_is_drawn_is_in_the_page() -> None:
    """Lines with the same steps share them; a key is told by its place."""
    band = X - 1, X + 1
    one = Series("run, mean", X, np.array([1.0, np.nan, 3.0]), LOOK, ["mean", "run"], band)
    two = Series("dots", X, X, Look("#000000", dots=True), ["mean"])
    keys = [Key("run", LOOK), Key("mean", Look("#111111", ":", 0.9, 0.5))]
    made = Chart([Plot("p", "steps", "return", [one, two], [Level("expert", 200.0, "#111111")], 0.0)], keys, 2)
    (found,) = charts(check_alone(as_page(made)))
    assert found["columns"] == 2 and found["xs"] == [[0, 2048, 1234567]]
    assert [key["name"] for key in found["keys"]] == ["run", "mean"] and found["keys"][1]["dashes"] == ":"
    (plot,) = found["plots"]
    first, second = plot["series"]
    assert first["y"] == [1, None, 3] and first["keys"] == [1, 0] and second["keys"] == [1] and second["dots"]
    assert first["low"] == [-1, 2047, 1234566] and first["high"] == [1, 2049, 1234568] and "low" not in second
    assert plot["levels"] == [{"name": "expert", "value": 200, "colour": "#111111", "dashes": "--"}]
    assert (plot["bottom"], plot["top"]) == (0, None)


def test_a_name_ends_no_script() -> None:
    name = "</script><script>alert(1)</script><!--"
    made = of(Series(name, X, X, LOOK, [name]), keys=[Key(name, LOOK)])
    found = check_alone(as_page(made))
    assert charts(found)[0]["keys"][0]["name"] == name and len(found.scripts) == 2


def test_without_scripts_a_page_is_what_it_was() -> None:
    """But for scripts, their policy and their style it is the page whose figures do not answer."""
    made = as_page(of(Series("a", X, X, LOOK)), None)
    text = re.sub(r"<script.*?</script>", "", made, flags=re.S).replace(chart.STYLE, "")
    text = re.sub(r"; script-src '[^']+'", "", text)
    assert text.replace("\n\n</main>", "\n</main>") == as_page(None, None)
    assert "script" not in as_page(None, None)
    assert ".chart { display: none; }" in chart.STYLE, "what scripts draw is not shown unless they have drawn it"


def test_a_figure_with_too_many_numbers_stays_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    made = of(Series("a", X, X, LOOK, band=(X, X)))
    monkeypatch.setattr(chart, "MOST_NUMBERS", 9)
    assert chart.as_html(made) != ""
    monkeypatch.setattr(chart, "MOST_NUMBERS", 8)
    assert chart.as_html(made) == ""
    assert chart.as_html(of()) == ""


def test_the_script_is_small_and_names_no_address() -> None:
    code, allowed = chart.script()
    assert len(code) < 25_000 and "</" not in code.replace("</svg>", "")
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", allowed)
    for call in ("fetch(", "XMLHttpRequest", "import(", "eval(", "WebSocket", "sendBeacon", "localStorage", "cookie"):
        assert call not in code


def test_looks_are_those_of_the_pictures() -> None:
    """The page turns them over on a dark screen as it does pictures."""
    assert "filter: invert(.93) hue-rotate(180deg)" in chart.STYLE and "filter: invert(.93)" in page._STYLE
    assert dataclasses.asdict(LOOK)["colour"] == html.escape(LOOK.colour)
