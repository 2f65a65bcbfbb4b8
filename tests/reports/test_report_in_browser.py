"""The page in a real browser without a window: nothing to complain of, every image there, nothing asked of the network."""

from __future__ import annotations

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
