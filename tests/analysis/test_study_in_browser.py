"""The page of a study in a real browser: 500 runs are sorted, filtered and opened, by mouse and by
keys alone, without a network."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests.analysis.test_study_report import COUNT, rows, write_page
from tests.harness.browser import Page, open_browser

pytestmark = pytest.mark.slow
RUNS = rows(COUNT)
STATE, VARIANT, SIGNAL, TIME = 4, 5, 6, 7  # columns, after sample, curve and name
FOCUS = "document.activeElement"
SHOWN = """[...document.querySelectorAll("#runs tbody tr")].filter((row) => !row.hidden)
  .map((row) => Number(row.querySelector("a").getAttribute("href").match(/run-([0-9]+)/)[1]))"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """Address of the page, beside whose runs' own."""
    folder = tmp_path_factory.mktemp("study")
    write_page(folder / "study_report.html")
    for i in range(COUNT):
        (folder / f"run-{i}").mkdir()
        (folder / f"run-{i}" / "report.html").write_text(f"<title>own {i}</title>")
    return (folder / "study_report.html").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with open_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(browser, report) -> Page:
    """The page as it opens; what happened before is forgotten."""
    browser.look(width=1400)
    browser.open(report)
    browser.requests.clear()
    browser.errors.clear()
    return browser


def head(column: int) -> str:
    return f"#runs thead th:nth-child({column}) button"


def shown(page: Page) -> list[int]:
    """Numbers of the runs that are shown, in their order; the page counts as many."""
    found = page.value(SHOWN)
    assert page.value("count.textContent") == f"{len(found)} of {COUNT} runs"
    return found


def times(found: list[int]) -> list[float]:
    """Known times, which come before the unknown ones."""
    values = [RUNS[i].cells[1] for i in found]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == known and len(known) < len(values)
    return known


def of(state: str, kind: int) -> set[int]:
    return {i for i, run in enumerate(RUNS) if run.state == state and i % 9 == kind}


def test_a_click_on_a_header_sorts_and_a_second_one_turns_it_round(page):
    page.click(head(TIME))
    up = times(shown(page))
    assert up == sorted(up) and len(shown(page)) == COUNT
    page.click(head(TIME))
    assert times(shown(page)) == up[::-1]
    assert page.value(f"heads[{TIME - 1}].ariaSort") == "descending"
    page.click(head(SIGNAL))
    signals = [RUNS[i].cells[0] for i in shown(page)]
    assert signals == sorted(signals) and page.value(f"heads[{TIME - 1}].ariaSort") == "none"
    page.click(head(VARIANT))
    variants = [RUNS[i].variant for i in shown(page)]
    assert variants == sorted(variants)


def test_what_is_typed_filters(page):
    page.click("#find")
    page.press(*"KIND-7x")
    assert {*shown(page)} == {i for i in range(COUNT) if i % 9 == 7}
    page.press(*" failed")
    assert {*shown(page)} == of("failed", 7)
    page.press(*" nothing like this")
    assert shown(page) == []


def test_a_click_leads_to_the_runs_own_report_and_back_to_the_same_view(page):
    page.click("#find")
    page.press(*"kind-7x")
    page.click(head(TIME))
    before = shown(page)
    page.following(lambda: page.click("#runs tbody tr:not([hidden]) a"))
    assert page.value("document.title") == f"own {before[0]}"
    page.back()
    assert shown(page) == before and page.value("find.value") == "kind-7x"


def tab_to(page: Page, selector: str, most: int = 12) -> None:
    """Press Tab until an element has the focus, which must be seen there."""
    for _ in range(most):
        page.press("Tab")
        if page.value(f"{FOCUS}.matches({selector!r})"):
            outline = page.value(f"getComputedStyle({FOCUS}).outlineStyle")
            return None if outline == "solid" else pytest.fail(f"{selector}: no focus to be seen")
    pytest.fail(f"{selector}: not reached by {most} tabs")


def test_keys_alone_do_all(page):
    tab_to(page, "#find")
    page.press(*"kind-7x")
    tab_to(page, "#state")
    page.press(*"done")
    assert {*shown(page)} == of("done", 7)
    tab_to(page, ".runs")
    page.press("End")
    page.await_value(f"{FOCUS}.scrollTop > 0")
    tab_to(page, head(TIME))
    page.press("Enter", "Enter")
    down = times(shown(page))
    assert down == sorted(down, reverse=True)
    tab_to(page, "#runs tbody a")
    first = shown(page)[0]
    page.following(lambda: page.press("Enter"))
    assert page.value("document.title") == f"own {first}"


def test_an_address_keeps_a_view(page, report):
    page.open(f"{report}#find=KIND-7x&state=failed&by={TIME - 1}&down=1")
    assert {*shown(page)} == of("failed", 7)
    assert page.value(f"heads[{TIME - 1}].ariaSort") == "descending"
    page.open(f"{report}#state=no+such&by=999")
    assert len(shown(page)) == COUNT


def test_no_request_leaves_the_page(page, report):
    page.open(report)
    page.click(head(TIME))
    page.click("#find")
    page.press(*"failed")
    others = [address for address in page.requests if not address.startswith("data:image/png")]
    assert others == [report] and len(page.requests) > COUNT
    assert page.errors == []


def test_a_request_that_leaves_a_page_would_be_seen(browser, tmp_path):
    other = tmp_path / "other.html"
    other.write_text('<img src="http://example.invalid/x.png">')
    browser.requests.clear()
    browser.open(other.as_uri())
    assert "http://example.invalid/x.png" in browser.requests
    assert any("ERR_NAME_NOT_RESOLVED" in error for error in browser.errors)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_it_fits_its_window_and_has_the_colors_that_are_asked_for(page, width, dark, tmp_path):
    page.look(width, dark=dark)
    assert page.value("document.documentElement.scrollWidth") <= width
    page.save_picture(tmp_path / "page.png")
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    assert pixels.shape[1] == width
    paper, ink = np.median(pixels), np.abs(pixels - np.median(pixels)).max()
    assert (paper < 60 if dark else paper > 200) and ink > 150
