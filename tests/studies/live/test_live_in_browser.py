"""The live page in a real browser: points come by themselves, choices stay, texts stay texts."""

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from studies.live.server import live
from studies.run.directory import RunDir
from tests.analysis.test_report import NASTY
from tests.harness.browser import Page, open_browser
from tests.harness.commands import TINY, finish, start

pytestmark = pytest.mark.slow
PATIENCE = 600  # seconds until the data are there: two cores may be busy
LINE = 'document.getElementById("line").textContent'


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with open_browser(tmp_path_factory.mktemp("browser")) as page:
        page.look(width=1400)
        yield page


def test_points_are_added_and_choices_stay(browser, growing):
    with live(growing.run, lambda line: None) as server:
        browser.open(server.address)
        browser.errors.clear()
        browser.await_value("steps?.length === 9 && state.at === 8", PATIENCE)
        browser.value('$("x").value = 1; $("x").dispatchEvent(new Event("change"))')
        growing.score(to=400)
        browser.await_value("steps.length === 11", PATIENCE)
        assert browser.value("state.at") == 10  # who is at the end stays there
        assert browser.value("[state.x, $('x').value]") == [1, "1"]
        browser.click("#at")
        browser.await_value("state.at === 5")
        growing.score(to=1200)
        browser.await_value("steps.length === 27", PATIENCE)
        assert browser.value("steps[state.at]") == 150
        tile = 'getComputedStyle(document.querySelector("#rows .tile")).backgroundImage'
        assert browser.value(tile).startswith('url("data:image/png')
        asked = {address.split("?")[0] for address in browser.requests}
        own = {server.address, f"{server.address}data.json", "about:blank"}
        assert {address for address in asked if not address.startswith("data:")} <= own
        assert browser.errors == []
    browser.await_value(f'{LINE}.includes("the run has ended")')


def test_a_hostile_name_stays_text(browser, growing):
    hostile = RunDir(growing.run.path.with_name(NASTY.replace("/", "∕")))
    shutil.move(growing.run.path, hostile.path)
    with live(hostile, lambda line: None) as server:
        browser.open(server.address)
        browser.await_value("steps?.length === 9", PATIENCE)
        assert browser.value('document.querySelector("h1").textContent') == hostile.path.name
        assert browser.value('document.querySelectorAll("script").length') == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_it_fits_its_window(browser, growing, width, dark, tmp_path):
    browser.look(width, dark=dark)
    with live(growing.run, lambda line: None) as server:
        browser.open(server.address)
        browser.await_value("steps?.length === 9", PATIENCE)
        assert browser.value("document.documentElement.scrollWidth") <= width
        browser.save_picture(tmp_path / "page.png")
    paper = np.median(np.asarray(Image.open(tmp_path / "page.png").convert("L"))[:, :10])
    assert paper < 60 if dark else paper > 200


@pytest.mark.timeout(1800)
def test_a_real_run_grows_on_its_page(browser, tmp_path):
    process = start(
        *("run", "--config", TINY, "--runs", str(tmp_path), "--live"),
        *("--train.max-steps", "60", "--train.snapshots", "linear:6", "--train.state-every", "30"),
        *("--evaluate.snapshots", "linear:6", "--probe.steps", "40", "--probe.gate", "0.3"),
        *("--probe.certificate-images", "64", "--train.threads", "1"),
    )
    try:
        assert process.stdout is not None
        browser.open(process.stdout.readline().split()[-1])
        browser.await_value(f"/^(probe|train|evaluate|report)/.test({LINE})", PATIENCE)
        browser.await_value("steps?.length > 0", PATIENCE)
        first = browser.value("steps.length")
        browser.await_value("steps.length === 7", PATIENCE)
        assert first < 7
        browser.await_value(f'{LINE}.includes("the run has ended")', PATIENCE)
        assert finish(process)[0] == 0
    finally:
        process.kill()
