"""The explorable report in a real browser: one slider moves all, by mouse and by keys, without a
network, and long runs stay smooth."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.report.build import Report, write_report
from analysis.report.explored import View, explored
from analysis.report.several import write_several
from analysis.tables.trajectory import accuracy_curves, final_accuracy
from tests.analysis.test_report import NASTY
from tests.harness.browser import Page, open_browser

pytestmark = pytest.mark.slow
CONCEPTS = {
    "shape": ("circle", "star", "square"),
    "color": ("red", "blue", "green", "yellow"),
    "size": ("large", "small"),
}
NAMES = [" ".join(values) for values in product(*CONCEPTS.values())]
HELD_OUT = NAMES[3::4]
STEPS, IMAGES, LONG = 12, 3, 500
MOST_OPEN_SECONDS, MOST_FRAME_SECONDS, FRAMES = 1.5, 0.05, 60
POINTS = '[...document.querySelectorAll("#moving g")].map((g) => g.getAttribute("transform"))'
TILES = '[...document.querySelectorAll("#rows .tile")].map((t) => t.style.backgroundPosition)'
CELLS = '[...document.querySelectorAll("#now td")].map((cell) => cell.textContent)'
SAID = 'document.getElementById("when").textContent'


def scores(steps: int, images: int) -> pd.DataFrame:
    """Images that are read ever more often as asked, some of them unsure."""
    shape = (steps, len(NAMES), images, len(CONCEPTS))
    places = np.indices(shape).reshape(4, -1)
    rng = np.random.default_rng(0)
    p = np.clip(places[0] / steps + 0.2 * rng.normal(size=places.shape[1]), 0.01, 0.99)
    asked = np.array([name.split() for name in NAMES])[places[1], places[3]]
    read = np.where(p > 0.5, asked, "other").astype(object)
    read[(p > 0.4) & (p < 0.5)] = None
    return pd.DataFrame(
        {
            **{"run": "run", "train_seed": 0, "weights": "ema", "intervention": "none"},
            **{"sampler": "ddim", "num_inference_steps": 8, "guidance_scale": 1.0},
            **{"eval_seed": 0, "probe": "cnn"},
            "step": places[0] * 10,
            "images_seen": places[0] * 640,
            "combination": np.array(NAMES)[places[1]],
            "split": np.where(np.isin(np.array(NAMES)[places[1]], HELD_OUT), "held_out", "train"),
            "prompt": [f"a {NAMES[i]} {NASTY}" for i in places[1]],
            "sample": places[2],
            "concept": np.array([*CONCEPTS])[places[3]],
            "target": asked,
            "predicted": read,
            "p_target": p,
            "probabilities": [[value, 1 - value] for value in p],
            "target_value": np.nan,
            "predicted_value": np.nan,
        }
    )


def write_page(path: Path, steps: int, images: int) -> None:
    """A page of a run whose texts are hostile."""
    table = scores(steps, images)

    def samples(step: int) -> np.ndarray:
        rng = np.random.default_rng(step)
        return rng.integers(0, 256, (len(NAMES), images, 16, 16, 3), np.uint8)

    views = [View(f"{name} {NASTY}", table, samples) for name in ("averaged", "raw")]
    report = Report(
        title=f"run {NASTY}",
        question=f"Why {NASTY}?",
        facts={"images/s": "410"},
        accuracy=final_accuracy(accuracy_curves(table)),
        said=["shape is learned, by probe: at step 120 [110, 130]."],
        explored=explored(views, NAMES),
    )
    write_report(path, report)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(path, STEPS, IMAGES)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with open_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(browser, report) -> Page:
    """The page as it opens; what happened before is forgotten."""
    browser.look(width=1400)
    browser.open(report.as_uri())
    browser.requests.clear()
    browser.errors.clear()
    return browser


def looks(page: Page) -> tuple[list, list, list]:
    return page.value(POINTS), page.value(TILES), page.value(CELLS)


def await_step(page: Page, place: int) -> None:
    page.await_value(f'{SAID} === "step {place * 10} · {(place * 640):,} images seen"')


def test_the_slider_moves_images_points_and_table_by_mouse_and_by_keys(page):
    await_step(page, STEPS - 1)
    seen = [looks(page)]
    page.click("#at")
    await_step(page, STEPS // 2)
    seen.append(looks(page))
    page.press("ArrowRight")
    await_step(page, STEPS // 2 + 1)
    seen.append(looks(page))
    page.press("Home")
    await_step(page, 0)
    seen.append(looks(page))
    assert len(seen[0][0]) == len(HELD_OUT) and len(seen[0][1]) == len(HELD_OUT) * IMAGES
    for what in range(3):  # points, images, table: another thing at each of the four
        assert len({str(look[what]) for look in seen}) == 4
    page.press("End")
    await_step(page, STEPS - 1)
    assert looks(page) == seen[0]


def test_play_goes_to_the_end_and_can_be_stopped(page):
    page.click("#play")
    page.await_value('state.at > 0 && state.at < 8 && $("play").textContent === "Pause"')
    page.click("#play")
    assert page.value('$("play").textContent') == "Play" and page.value("timer") is None


def test_a_point_of_a_curve_or_path_leads_to_its_snapshot(page):
    page.click("#time")
    page.await_value(f"state.at > 0 && state.at < {STEPS - 1}")
    on_curve = page.value("state.at")
    page.click("#space")
    page.await_value(f"state.at !== {on_curve}")
    assert page.value("state.picked.c") in [NAMES.index(name) for name in HELD_OUT]


def test_an_image_says_its_prompt_and_how_it_is_read(page):
    page.click("#rows .group:nth-child(2) .tile:nth-child(2)")
    told = page.value('$("seen").textContent')
    name = HELD_OUT[1]
    assert f"a {name} {NASTY}" in told and f"image 2 at step {(STEPS - 1) * 10}" in told
    assert "p = 0." in told
    pressed = page.value('document.querySelectorAll("#rows [aria-pressed=true]").length')
    assert pressed == 1


def test_choices_show_other_things(page):
    page.value('$("which").parentElement.open = true')
    page.click('[data-all=""]')
    assert len(page.value(POINTS)) == len(NAMES)
    page.click("#which label:first-of-type input")
    assert len(page.value(POINTS)) == len(NAMES) - 1
    before = looks(page)
    for id, value in (("by", 0), ("x", 2), ("of", 0)):
        page.value(f'$("{id}").value = {value}; $("{id}").dispatchEvent(new Event("change"))')
    assert "joint" in page.value('$("now").textContent') and page.value(POINTS) != before[0]
    page.click("#sure")
    address = page.value("location.href")
    page.open(address)
    assert page.value("[state.by, state.x, state.of, state.sure, state.on.size]") == [
        *(0, 2, 0, True, len(NAMES) - 1)
    ]


def test_unsure_images_are_hidden_at_every_snapshot(page):
    page.click("#sure")
    page.click("#at")
    await_step(page, STEPS // 2)
    shown = '[...document.querySelectorAll("#rows .tile")].map((t) => [t.hidden, t.dataset.is])'
    found = page.value(shown)
    assert any(hidden for hidden, _ in found)
    assert all(hidden == (verdict == "?") for hidden, verdict in found)


def test_hostile_texts_stay_texts_and_nothing_is_fetched(page, report):
    page.open(report.as_uri())
    page.click("#at")
    page.click("#rows .tile")
    assert page.value('document.querySelectorAll("script").length') == 2
    assert NASTY in page.value('$("rows").textContent')
    assert NASTY in page.value('$("view").textContent')
    others = {address for address in page.requests if not address.startswith("data:image/png")}
    assert others == {report.as_uri()} and page.errors == []


def test_it_is_light_and_opens_at_once(page, report):
    assert report.stat().st_size < 2_000_000
    before = page.processor_seconds()
    page.open(report.as_uri())
    assert page.processor_seconds() - before < MOST_OPEN_SECONDS


def test_500_snapshots_of_24_combinations_stay_smooth(browser, tmp_path):
    write_page(tmp_path / "long.html", LONG, 1)
    browser.look(width=1400)
    browser.open((tmp_path / "long.html").as_uri())
    browser.value("""document.querySelector('[data-all=""]').click()""")
    browser.value('$("explorer").scrollIntoView()')
    before = browser.processor_seconds()
    browser.value(f"""(() => {{
        let frame = 0;
        window.times = [];
        const next = () => {{
            const start = performance.now();
            state.at = (frame * 8) % steps.length;
            move();
            document.body.offsetHeight;
            times.push(performance.now() - start);
            if (++frame < {FRAMES}) requestAnimationFrame(next);
        }};
        requestAnimationFrame(next);
    }})()""")
    browser.await_value(f"times.length === {FRAMES}")
    worked = (browser.processor_seconds() - before) / FRAMES
    assert min(browser.value("times")) < 1000 * MOST_FRAME_SECONDS
    assert worked < 2 * MOST_FRAME_SECONDS  # of all threads together: drawing has its own


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_it_fits_its_window_and_has_the_colors_that_are_asked_for(page, width, dark, tmp_path):
    page.look(width, dark=dark)
    page.value('$("explorer").scrollIntoView()')
    assert page.value("document.documentElement.scrollWidth") <= width
    page.save_picture(tmp_path / "page.png")
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    paper = np.median(pixels[:, :10])
    assert pixels.shape[1] == width and (paper < 60 if dark else paper > 200)
    assert np.abs(pixels - paper).max() > 150


def write_runs(path: Path, names: list[str]) -> None:
    """A page of runs of other lengths and images, whose texts are hostile."""
    runs = {}
    for i, name in enumerate(names):
        colors = np.full((len(NAMES), IMAGES, 16, 16, 3), 40 + 80 * i, np.uint8)
        table = scores(STEPS - 4 * i, IMAGES)
        view = View("raw", table, lambda step, colors=colors: colors)
        runs[name] = explored([view], NAMES, len(names))
    write_several(path, "runs", runs, [{"run": name, "joint": ".5"} for name in names])


def test_one_run_after_another_is_chosen_and_the_rest_stays(browser, tmp_path):
    write_runs(tmp_path / "runs.html", [f"first {NASTY}", f"second {NASTY}"])
    browser.look(width=1400)
    browser.open((tmp_path / "runs.html").as_uri())
    browser.errors.clear()
    browser.click("#at")
    browser.await_value(f"state.at === {STEPS // 2}")
    sheet = 'getComputedStyle(document.querySelector("#rows .tile")).backgroundImage'
    before, step = browser.value(sheet), browser.value("steps[state.at]")
    browser.value('$("x").value = 2; $("x").dispatchEvent(new Event("change"))')
    browser.value('$("run").value = 1; $("run").dispatchEvent(new Event("change"))')
    assert browser.value(sheet) != before and browser.value("steps.length") == STEPS - 4
    assert browser.value("[state.run, steps[state.at], state.x]") == [1, step, 2]
    assert NASTY in browser.value('$("run").textContent')
    browser.open(browser.value("location.href"))
    assert browser.value("[state.run, steps[state.at], state.x]") == [1, step, 2]
    assert browser.value('document.querySelectorAll("script").length') == 3
    assert browser.errors == []
