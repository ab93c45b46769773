"""README and docs keep up with the tree, and with each other."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from data_gen.factors import FACTORS
from data_gen.photos.world import PhotoTerms
from data_gen.world import World, WorldConfig
from docs import generate
from ground.reading import read_as
from studies.experiment.config import Config
from studies.experiment.few_words import config_text, read_wanted
from studies.experiment.world_file import WorldFile
from tests.harness.commands import call

ROOT = Path(__file__).resolve().parent.parent
MOST_WORDS = 1100  # of the README
PAGES = [
    *(ROOT / name for name in ("README.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
MAP_OF_FILES = ROOT / "docs" / "architecture.md"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(
    r"(?<![\w/.])(?:tests|configs|scripts|benchmarks|docs|data_gen|diffusion|classifiers|analysis"
    r"|theory|studies)/[\w/]+\.(?:py|yaml|md|png|sbatch|c)\b"
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    """Yield (page, block of code) of a language."""
    for page in PAGES:
        for block in re.findall(rf"```{language}\n(.*?)```", text_of(page), re.DOTALL):
            yield page, block


def anchors(page: Path) -> set[str]:
    """Headings as GitHub turns them into anchors."""
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    assert len(plain) == len({*plain}), f"{page}: two headings with one anchor"
    return {heading.replace(" ", "-") for heading in plain}


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").split()) <= MOST_WORDS


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_links_lead_somewhere(page):
    local = [link for link in LINK.findall(text_of(page)) if "://" not in link]
    for link in local:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_it_names_exist(page):
    missing = [name for name in NAMED_FILE.findall(text_of(page)) if not (ROOT / name).exists()]
    assert not missing


def test_every_page_and_figure_is_linked():
    index = [ROOT / "README.md", ROOT / "docs" / "README.md"]
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in LINK.findall(text_of(page))
        if page in index or link.endswith(".png")
    }
    pages = {page for page in PAGES if page.parent != ROOT} - {ROOT / "docs" / "README.md"}
    figures = {*(ROOT / "docs" / "figures").iterdir()}
    assert figures and not (pages | figures) - linked


def test_every_command_and_config_is_explained():
    """By hand: the map of files, which names all of them, does not count."""
    text = "\n".join(text_of(page) for page in PAGES if page != MAP_OF_FILES)
    commands = [*(ROOT / "scripts").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    files = [path for path in commands if "__main__" in text_of(path)]
    files += [*(ROOT / "configs").glob("*.yaml"), *(ROOT / "configs" / "accelerate").iterdir()]
    missing = [path.name for path in files if path.name not in text]
    named = [f for n in ("worlds", "sim", "studies") for f in (ROOT / "configs" / n).iterdir()]
    missing += [path.stem for path in named if f"`{path.stem}`" not in text]
    assert missing == ["claims"]  # rules, no study: named with its path


def test_generated_pages_are_current():
    assert generate.stale() == []


def test_a_stale_page_is_named_on_one_line(tmp_path, monkeypatch, capsys):
    page = tmp_path / "config.md"
    page.write_text(f"# By hand\n\n{generate.MARKER}\n\nolder\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {page: generate.config_reference})
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit, match="2"):
        generate.main()
    assert capsys.readouterr().err == "error: stale: config.md; run make docs\n"
    generate.write()
    generate.main()
    assert page.read_text().startswith("# By hand\n")


def test_every_file_and_key_has_its_words():
    for page in generate.PAGES:
        rows = [line for line in text_of(page).splitlines() if line.startswith("| `")]
        assert len(rows) > 80 and not [row for row in rows if row.endswith("|  |")]


def test_every_key_of_an_experiment_is_there():
    """As `config.yaml` writes them, with all sections that a world may be made of."""
    text = text_of(ROOT / "docs" / "reference" / "config.md")
    for heading, kind in generate.sections():
        section = text.partition(f"## {heading or 'An experiment'}\n")[2].partition("\n## ")[0]
        for key in kind.__dataclass_fields__:
            assert f"| `{key}` |" in section, (heading, key)


def test_the_worlds_it_shows_are_worlds():
    shown = [block for _, block in blocks("yaml") if block.startswith("world:")]
    photos, shapes = sorted(shown, key=lambda block: "kind: photos" not in block)
    world = read_as(WorldFile, {"name": "shown", **yaml.safe_load(shapes)}, "").terms.with_files()
    assert len(world.split.held_out) == 4 and world.captioner.max_words == 6
    experiment = read_as(Config, {"name": "shown", **yaml.safe_load(photos)}, "")
    world = experiment.terms.terms
    assert isinstance(world, PhotoTerms) and len(world.split.held_out) == 1


def test_the_experiments_it_shows_are_experiments():
    shown = [yaml.safe_load(block) for _, block in blocks("yaml") if block.startswith("name:")]
    assert shown
    for data in shown:
        read_as(Config, data, "")


def test_the_first_experiment_is_what_a_few_words_write(tmp_path):
    page = ROOT / "docs" / "guides" / "first-experiment.md"
    (block,) = (block for own, block in blocks("yaml") if own == page)
    (words,) = re.findall(r'scripts/new.py "(.*)"', text_of(page))
    text = config_text(read_wanted(words), "mine", "", "")
    assert yaml.safe_load(block) == yaml.safe_load(text)
    (tmp_path / "mine.yaml").write_text(block)
    status, out, err = call("run", "--config", str(tmp_path / "mine.yaml"), "--dry-run")
    assert status == 0, err
    assert "held out: 1 of 4 combinations: star purple" in out and "disk: about" in out


def test_the_words_of_every_factor_stand_in_the_guide():
    rows = text_of(ROOT / "docs" / "guides" / "worlds.md").splitlines()
    for name, factor in FACTORS.items():
        (row,) = (row for row in rows if row.startswith(f"| {name} | "))
        _, _, words, _, signal, _ = (cell.strip() for cell in row.split("|"))
        assert words == ", ".join(factor.words)
        if factor.channels:
            said = f"{factor.signal:g}".lstrip("0") if factor.signal else "must be given"
            assert signal == said
    spans = [block for _, block in blocks("yaml") if block.startswith("color: ")]
    for block in spans:
        World(read_as(WorldConfig, {"concepts": yaml.safe_load(block)}, "world"))
    assert spans


def test_python_it_shows_imports_what_there_is():
    found = 0
    for page, block in blocks("python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                for name in node.names:
                    assert hasattr(module, name.name), f"{page}: {name.name}"
                    found += 1
    assert found > 10
