import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.figures.run import accuracy_figure
from analysis.report.build import Neighbour, Report, write_report
from analysis.report.explored import Explored
from analysis.tables.trajectory import accuracy_curves, final_accuracy

NASTY = "<script>alert('a & b')</script>"


class Tags(HTMLParser):
    """All start tags with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def curves(make_scores) -> pd.DataFrame:
    right = np.ones((3, 2, 8, 3), bool)
    right[:, 1, :4, 0] = False
    scores = make_scores(right, splits=("train", "held_out"))
    return accuracy_curves(scores)


@pytest.fixture
def sample() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def report(curves, sample) -> Report:
    return Report(
        title=f"Run {NASTY}",
        question="Which concept comes first?",
        facts={"Images per second": "410", "Peak memory": "1.2 GiB"},
        accuracy=final_accuracy(curves),
        chance="Guessing scores 0.042.",
        figures=[("Curves.", accuracy_figure(curves, {})), (NASTY, png(sample))],
        probe={"accuracy": {"shape": 0.99951, "color": 1.0}, "checksum": "ab12"},
        leak_check=["0 of 100 images leak."],
        neighbours=[Neighbour(NASTY, sample, sample[::-1], "a red circle", 12.34)],
        config_yaml=f"name: {NASTY}\n",
        environment={"python": "3.12", "host": {"cores": 2}},
    )


@pytest.fixture
def page(tmp_path, report) -> Tags:
    write_report(tmp_path / "report.html", report)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    return Tags((tmp_path / "report.html").read_text(encoding="utf-8"))


def decode(uri: str | None) -> np.ndarray:
    assert uri is not None and uri.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_nothing_is_fetched(page, tmp_path):
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|<link|<script|<iframe", html)
    for _, attributes in page.tags:
        assert not {"href", "srcset", "data", "action"} & attributes.keys()
        assert attributes.get("src", "data:").startswith("data:")


def test_images_are_inlined_unchanged_with_alternatives(page, sample):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(image["alt"] for image in images)
    figure, raw, generated, nearest = (decode(image["src"]) for image in images)
    assert figure.shape[1] == 1400
    np.testing.assert_array_equal(raw, sample)
    np.testing.assert_array_equal(generated, sample)
    np.testing.assert_array_equal(nearest, sample[::-1])


def test_text_is_escaped_everywhere(page):
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(NASTY) == 5  # <title>, heading, caption, prompt, configuration
    alternatives = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert NASTY in alternatives and f"Generated for: {NASTY}" in alternatives


def test_accuracy_rows_read_train_first_and_joint_first(page):
    table = page.text[page.text.index("splitjoint") : page.text.index("Joint:")]
    header, train, *cells = table.split()
    assert (header, train) == ("splitjointshapecolorsize", "train")
    held_out = cells[cells.index("held-out") + 1 :]
    assert [cell[:5] for cell in held_out] == ["0.500", "0.500", "1.000", "1.000"]


def test_values_are_written_and_nested(page):
    for text in ("410", "1.2 GiB", "0.9995", "ab12", "cores", "0 of 100 images leak.", "12.3"):
        assert text in page.text
    assert "Guessing scores 0.042." in page.text


def test_empty_sections_are_left_out(tmp_path, curves):
    bare = Report(title="t", question="q", facts={}, accuracy=final_accuracy(curves))
    write_report(tmp_path / "bare.html", bare)
    page = Tags((tmp_path / "bare.html").read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags].count("h2") == 1
    assert "img" not in {tag for tag, _ in page.tags}


def test_an_explorable_page_runs_its_own_script_alone(tmp_path, report):
    data = Explored(json.dumps({"run": "\\u003cscript>"}), [png(np.zeros((4, 4, 3), np.uint8))])
    said = [f"A finding {NASTY}."]
    write_report(tmp_path / "report.html", replace(report, explored=data, said=said))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "innerHTML" not in script and not re.search(r"https?://|<link|<iframe", html)
    page = Tags(html.replace(script, ""))
    assert [tag for tag, _ in page.tags].count("script") == 2  # data and script
    assert page.text.index("Findings") < page.text.index("Explore") < page.text.index("Accuracy")
    assert f"A finding {NASTY}." in page.text
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]


def test_several_runs_are_named(tmp_path, curves):
    final = final_accuracy(pd.concat([curves, curves.assign(run="seed1")]))
    write_report(tmp_path / "two.html", Report(title="t", question="q", facts={}, accuracy=final))
    text = Tags((tmp_path / "two.html").read_text(encoding="utf-8")).text
    rows = re.findall(r"seed\d, (?:train|held-out)", text)
    assert rows == ["seed0, train", "seed0, held-out", "seed1, train", "seed1, held-out"]
