"""The page in a real browser without a window: nothing to complain of, every image there, nothing asked of the network."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from browser import Browser

from trpo_gail.cli import main
from trpo_gail.commands import compare
from trpo_gail.commands.parsing import parse
from trpo_gail.reports import style

PROGRAM = browser.find()
TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(str(PROGRAM), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_the_browser_tells_what_is_wrong(chromium: Browser, tmp_path: Path) -> None:
    """A control: a page with an error of each kind."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><title>bad</title><img alt='gone' src='gone.png'><img alt='torn' src='data:image/png;base64,AAAA'>"
        "<script>console.error('said'); throw Error('thrown')</script>"
    )
    chromium.open(page)
    assert chromium.images() == [("gone", True, 0), ("torn", True, 0)]
    complaints = chromium.complaints()
    assert "console.error" in complaints and any("Uncaught" in told for told in complaints)
    assert chromium.requested() == [page.as_uri(), (tmp_path / "gone.png").as_uri()]


@pytest.fixture(scope="module")
def pages(
    cartpole: Path, point_nav: Path, cloned: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, int]]:
    """A page of one run, one of several and one of a comparison, and the number of pictures on each."""
    made = {}
    for name, runs in (("one", [cartpole]), ("several", [cartpole, point_nav, cloned])):
        folder = tmp_path_factory.mktemp(name)
        page, png = folder / "report.html", folder / "png"
        line = ["report", *map(str, runs), "--out", str(page), "--png", str(png), "--episodes", "2"]
        assert main(line) == 0
        made[name] = page, len(list(png.iterdir()))
    made["comparison"] = compared(tmp_path_factory.mktemp("comparison")), 5
    return made


def compared(out: Path) -> Path:
    """The page of a comparison, of a stand-in's numbers, on two tasks."""
    fake = (sys.executable, str(TESTS / "comparison" / "fake_run.py"))
    line = [
        "--env",
        "CartPole-v0",
        "CartPole-v1",
        "--expert",
        *[str(TESTS.parent / "expert_data" / "CartPole-v0.h5")] * 2,
    ]
    line += [
        "--seeds",
        "2",
        "--generators",
        "trpo,ppo",
        "--steps",
        "50000",
        "--out",
        str(out),
        "--runs",
        str(out / "runs"),
    ]
    assert compare._compare(parse(compare._Arguments, line, "compare"), fake) == 0
    return out / "index.html"


@pytest.mark.parametrize("name", ["one", "several", "comparison"])
def test_a_report_opens_without_complaint(name: str, chromium: Browser, pages: dict[str, tuple[Path, int]]) -> None:
    page, pictures = pages[name]
    chromium.open(page)
    images = chromium.images()
    assert len(images) == pictures > 0
    assert all(complete and width >= 800 for _, complete, width in images), images  # those for phones have 800
    assert chromium.complaints() == []
    assert chromium.requested() == [page.as_uri()]
    shown = chromium.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert shown[0] <= shown[1], "the page is wider than the window"


def test_a_dark_screen_gets_a_dark_page_with_its_pictures_turned_over(
    chromium: Browser, pages: dict[str, tuple[Path, int]]
) -> None:
    chromium.open(pages["one"][0])
    code = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.images[0]).filter]"
    for scheme, media, background, filters in (
        ("light", "screen", "rgb(255, 255, 255)", "none"),
        ("dark", "screen", "rgb(18, 18, 18)", "invert(0.93) hue-rotate(180deg)"),
        ("dark", "print", "rgb(255, 255, 255)", "none"),
    ):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.call("Emulation.setEmulatedMedia", media=media, features=features)
        assert chromium.evaluate(code) == [background, filters], (scheme, media)


def test_a_phone_gets_narrow_pictures_and_a_wide_screen_wide_ones(
    chromium: Browser, pages: dict[str, tuple[Path, int]]
) -> None:
    """Their letters of 8 points have 11 pixels then, and nothing is wider than the screen but tables, which scroll."""
    chromium.call("Emulation.setEmulatedMedia", media="screen")
    made = [style.NARROW * style.NARROW_DPI, style.WIDTH * style.DPI]
    for width, expected, inches in ((360, made[0], style.NARROW), (1280, made[1], style.WIDTH)):
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        chromium.call("Emulation.setDeviceMetricsOverride", **screen)
        chromium.open(pages["several"][0])
        assert {found for _, _, found in chromium.images()} == {round(expected)}
        shown = chromium.evaluate("[document.documentElement.scrollWidth, document.images[0].clientWidth]")
        assert shown[0] <= width and 8 / 72 * shown[1] / inches >= 11
    chromium.call("Emulation.clearDeviceMetricsOverride")


# ---- figures that answer ---------------------------------------------------------------------------------------------

TIP = "[...document.querySelectorAll('.tip')].filter(tip => !tip.hidden).map(tip => tip.innerText).join()"


@pytest.fixture
def learning_curve(
    chromium: Browser, pages: dict[str, tuple[Path, int]], cartpole: Path
) -> Iterator[list[dict[str, str]]]:
    """The page of one run, on a wide screen, and its metrics; the first panel is the learning curve's."""
    screen = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    chromium.call("Emulation.setEmulatedMedia", media="screen")
    chromium.call("Emulation.setDeviceMetricsOverride", **screen)
    chromium.open(pages["one"][0])
    with (cartpole / "metrics.csv").open(newline="") as file:
        yield list(csv.DictReader(file))
    assert chromium.complaints() == []
    chromium.call("Emulation.clearDeviceMetricsOverride")


def read(value: str) -> str:
    """A number of the metrics as the page tells it."""
    return f"{float(f'{float(value):.6g}'):,.10f}".rstrip("0").rstrip(".")


def test_pointing_at_a_curve_tells_step_and_values(chromium: Browser, learning_curve: list[dict[str, str]]) -> None:
    """At the right end stands the last evaluation; the left end is the untrained policy's batch."""
    left, top, width, height = chromium.plot()
    chromium.mouse("Moved", left + width - 12, top + height / 2)
    told, last = chromium.evaluate(TIP), [row for row in learning_curve if row["eval_return_mean"]][-1]
    assert f"environment steps {read(last['steps'])}" in told
    assert f"evaluation (deterministic) ± std: {read(last['eval_return_mean'])} (" in told
    chromium.mouse("Moved", left + 60, top + height / 2)
    told = chromium.evaluate(TIP)
    assert told.split("\n")[0] == "environment steps 0"
    assert f"training episodes (sampled actions): {read(learning_curve[0]['return_mean'])}" in told
    chromium.mouse("Moved", 1, 1)
    assert chromium.evaluate(TIP) == ""


def test_a_series_is_switched_off_and_on(chromium: Browser, learning_curve: list[dict[str, str]]) -> None:
    def click() -> str | None:
        chromium.evaluate("document.querySelector('.legend button').click(), 1")
        return chromium.evaluate("document.querySelector('.legend button').getAttribute('aria-pressed')")

    left, top, width, height = chromium.plot()
    assert click() == "false"
    chromium.mouse("Moved", left + width - 12, top + height / 2)
    told = chromium.evaluate(TIP)
    assert "evaluation" in told and "training" not in told
    assert click() == "true"
    chromium.mouse("Moved", left + 60, top + height / 2)
    assert "training" in chromium.evaluate(TIP)


def test_dragging_zooms_and_the_button_shows_all_again(chromium: Browser, learning_curve: list[dict[str, str]]) -> None:
    state = (
        "(() => { const p = document.querySelector('.plot'); return [+p.getAttribute('aria-valuemin'),"
        "+p.getAttribute('aria-valuemax'), document.querySelector('.head button').hidden]; })()"
    )
    whole = chromium.evaluate(state)
    assert whole[0] < 0 < float(learning_curve[-1]["steps"]) < whole[1] and whole[2]
    left, top, width, _ = chromium.plot()
    inner = width - 58 - 8
    chromium.mouse("Pressed", left + 58 + inner / 4, top + 50, down=True)
    chromium.mouse("Moved", left + 58 + inner / 3, top + 50, down=True)
    chromium.mouse("Moved", left + 58 + inner / 2, top + 50, down=True)
    chromium.mouse("Released", left + 58 + inner / 2, top + 50)
    low, high, hidden = chromium.evaluate(state)
    long = whole[1] - whole[0]
    assert low == pytest.approx(whole[0] + long / 4, abs=long / 50) and not hidden
    assert high == pytest.approx(whole[0] + long / 2, abs=long / 50)
    assert chromium.evaluate(f"document.querySelector('.head button').click(), {state}") == whole


def test_the_keyboard_reads_and_zooms(chromium: Browser, learning_curve: list[dict[str, str]]) -> None:
    said = "document.querySelector('.plot').getAttribute('aria-valuetext')"
    chromium.evaluate("document.querySelector('.plot').focus(), 1")
    chromium.key("Home")
    assert chromium.evaluate(said).startswith("environment steps 0; training episodes (sampled actions): ")
    chromium.key("ArrowRight")
    assert chromium.evaluate(said).startswith(f"environment steps {read(learning_curve[0]['steps'])}; ")
    chromium.key("+")
    assert chromium.evaluate("document.querySelector('.head button').hidden") is False
    chromium.key("Escape")
    assert chromium.evaluate("document.querySelector('.head button').hidden") is True


def test_a_tap_on_a_phone_tells_the_values_below_the_panel(
    chromium: Browser, learning_curve: list[dict[str, str]]
) -> None:
    screen = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    chromium.call("Emulation.setDeviceMetricsOverride", **screen)
    chromium.call("Emulation.setTouchEmulationEnabled", enabled=True)
    left, top, width, height = chromium.plot()
    chromium.tap(left + width - 12, top + height / 2)
    last = [row for row in learning_curve if row["eval_return_mean"]][-1]
    assert read(last["eval_return_mean"]) in chromium.evaluate(TIP)
    place = "(() => { const r = document.querySelector('.tip').getBoundingClientRect(); return [r.left, r.top, r.right]; })()"
    begin, above, end = chromium.evaluate(place)
    assert above >= top + height - 1 and begin >= 0 and end <= 360
    sizes = "[...document.querySelectorAll('.chart *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert min(chromium.evaluate(sizes)) >= 11
    assert chromium.evaluate("document.documentElement.scrollWidth") <= 360
    chromium.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_prints_and_readers_without_scripts_have_the_pictures(
    chromium: Browser, pages: dict[str, tuple[Path, int]]
) -> None:
    seen = "[...document.images].filter(i => i.offsetHeight > 0).length"
    page, pictures = pages["one"]
    chromium.call("Emulation.setEmulatedMedia", media="screen")
    chromium.open(page)
    answering = chromium.evaluate("document.querySelectorAll('figure.live').length")
    assert 0 < answering < pictures and chromium.evaluate(seen) == pictures - answering
    chromium.call("Emulation.setEmulatedMedia", media="print")
    assert chromium.evaluate(seen) == pictures
    assert chromium.evaluate("document.querySelector('.chart').offsetHeight") == 0
    chromium.call("Emulation.setEmulatedMedia", media="screen")
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    chromium.open(page)
    assert chromium.evaluate(seen) == pictures and chromium.evaluate("document.querySelector('.chart')") is None
    chromium.call("Emulation.setScriptExecutionDisabled", value=False)
    assert chromium.complaints() == []


def test_no_script_but_our_own_runs(chromium: Browser, pages: dict[str, tuple[Path, int]], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = pages["one"][0].read_text()
    page.write_text(text.replace("</main>", "<script>document.title = 'changed'</script></main>"))
    chromium.open(page)
    assert chromium.evaluate("document.title") != "changed" and any("script" in told for told in chromium.complaints())
    assert chromium.evaluate("document.querySelectorAll('figure.live').length") > 0
