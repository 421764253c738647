"""The pages in a real browser: on a phone, in both schemes, and on paper."""

from __future__ import annotations

import html as escapes
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tools.backtester.report.builders import run, sessions, strategy, walked
from tests.tools.backtester.report.cases import (
    a_year_of_minutes,
    full_evidence,
    many_years,
    no_trades,
    two_months,
    two_symbols,
)
from tools.backtester.contract import BacktestResult
from tools.backtester.report.comparison import html_comparison
from tools.backtester.report.html_page import html_report

DEADLINE_S = 60
PHONE = 390  # CSS pixels
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    "--hide-scrollbars",
)
PNG = b"\x89PNG\r\n\x1a\n"
MEASURE = """<!DOCTYPE html><body><iframe id="page" width="{width}" height="900"
 style="border:0" srcdoc="{page}"></iframe><pre id="told"></pre><script>
addEventListener("load", () => {{
  const page = document.getElementById("page").contentDocument;
  const wide = [...page.querySelectorAll("body *")].filter((each) =>
    !each.closest(".scroll") && !each.closest(".skip") && !each.closest("svg") &&
    each.getBoundingClientRect().right > {width} + 0.5).map((each) => each.outerHTML.slice(0, 90));
  const letters = [...page.querySelectorAll("svg text")].filter((each) =>
    getComputedStyle(each).display !== "none").map((each) => each.getBoundingClientRect());
  document.getElementById("told").textContent = JSON.stringify({{
    width: page.documentElement.scrollWidth,
    wide: wide,
    height: page.documentElement.scrollHeight,
    charts: [...page.querySelectorAll("svg.plot")].map((each) => each.clientWidth),
    left: Math.min(...letters.map((each) => each.left)),
    right: Math.max(...letters.map((each) => each.right)),
    smallest: Math.min(...letters.map((each) => each.height)),
    background: getComputedStyle(page.body).backgroundColor,
    ink: getComputedStyle(page.body).color,
  }});
}});
</script></body>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no chromium here to show a page")
    return found


@pytest.fixture(scope="module")
def page() -> str:
    result = a_year_of_minutes()
    return html_report(result, full_evidence(result))


def chromium(browser: str, folder: Path, *options: str) -> str:
    """Run the browser without a window on a profile of its own, and return what it printed."""
    done = subprocess.run(
        [browser, *FLAGS, f"--user-data-dir={folder / 'profile'}", *options],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return done.stdout


def measured(browser: str, folder: Path, page: str, width: int, *options: str) -> dict[str, Any]:
    """Return the sizes of a page in a frame of this width."""
    wrapper = folder / "wrapper.html"
    wrapper.write_text(MEASURE.format(width=width, page=escapes.escape(page)), encoding="utf-8")
    dom = chromium(browser, folder, "--dump-dom", *options, wrapper.as_uri())
    told = re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)
    assert told is not None
    sizes: dict[str, Any] = json.loads(escapes.unescape(told.group(1)))
    return sizes


@pytest.mark.parametrize(
    ("case", "width"),
    [
        (a_year_of_minutes, PHONE),
        (a_year_of_minutes, 320),
        (a_year_of_minutes, 1200),
        (no_trades, PHONE),
        (two_symbols, PHONE),
        (many_years, PHONE),
    ],
)
def test_no_page_is_wider_than_its_window(
    browser: str, tmp_path: Path, case: Callable[[], BacktestResult], width: int
) -> None:
    result = case()
    html = html_report(result, full_evidence(result))
    sizes = measured(browser, tmp_path, html, width)
    assert sizes["width"] == width
    assert sizes["wide"] == []
    assert all(100 < each < width for each in sizes["charts"])
    assert sizes["left"] >= 0
    assert sizes["right"] <= width
    assert sizes["smallest"] >= 10, "letters shrink with the charts"


def test_a_name_without_end_does_not_widen_the_page(browser: str, tmp_path: Path) -> None:
    name = "endless" * 60
    result = run(walked(sessions(), symbol=name.upper()), strategy(name=name, idea=name))
    for html in (html_report(result, full_evidence(result)), html_comparison([result, result])):
        sizes = measured(browser, tmp_path, html, PHONE)
        assert (sizes["width"], sizes["wide"]) == (PHONE, [])


def test_a_comparison_is_not_wider_than_a_phone(browser: str, tmp_path: Path) -> None:
    html = html_comparison([two_months(), two_symbols(), many_years(), no_trades()])
    sizes = measured(browser, tmp_path, html, PHONE)
    assert (sizes["width"], sizes["wide"]) == (PHONE, [])


def test_the_page_follows_the_scheme_of_the_reader(browser: str, tmp_path: Path, page: str) -> None:
    light, dark = (
        measured(browser, tmp_path, page, PHONE, f"--blink-settings=preferredColorScheme={scheme}")
        for scheme in (1, 0)
    )
    assert (light["background"], light["ink"]) == ("rgb(255, 255, 255)", "rgb(25, 33, 44)")
    assert (dark["background"], dark["ink"]) == ("rgb(16, 21, 28)", "rgb(227, 232, 239)")
    assert light["height"] == dark["height"]


def test_the_page_is_drawn(browser: str, tmp_path: Path, page: str) -> None:
    file, shot = tmp_path / "page.html", tmp_path / "page.png"
    file.write_text(page, encoding="utf-8")
    chromium(browser, tmp_path, f"--screenshot={shot}", "--window-size=1200,3000", file.as_uri())
    drawn = shot.read_bytes()
    assert drawn.startswith(PNG)
    assert len(drawn) > 100_000  # a blank page of this size has a tenth of that


@pytest.mark.parametrize("case", [a_year_of_minutes, no_trades])
def test_the_page_prints_on_a_few_sheets_of_a4(
    browser: str, tmp_path: Path, case: Callable[[], BacktestResult]
) -> None:
    file, paper = tmp_path / "page.html", tmp_path / "page.pdf"
    result = case()
    file.write_text(html_report(result, full_evidence(result)), encoding="utf-8")
    chromium(browser, tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={paper}", file.as_uri())
    printed = paper.read_bytes()
    sheets = len(re.findall(rb"/Type\s*/Page[^s]", printed))
    box = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert box is not None
    assert [round(float(side)) for side in box.groups()] == [595, 842]
    print(f"{sheets} sheets")
    assert 3 <= sheets <= 10
