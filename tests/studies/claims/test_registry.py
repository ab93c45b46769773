"""Registry of claims: each has entry, source and study, and none knows the names of variants."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from ground.reading import read_as
from studies.claims import registry
from studies.claims.entries import Entry, entries_of
from studies.claims.registry import CLAIMS, FAMILIES, claims_of, decide, join
from studies.claims.sim.config import SimConfig, Symmetric, read_sim_config
from studies.claims.sim.rules import RULES_FILE, read_rules
from studies.claims.sim.runs import Paths, Study
from studies.claims.sim.variants import settings_of

CONFIGS = [path for path in sorted(RULES_FILE.parent.glob("*.yaml")) if path != RULES_FILE]
STUDIES = [config for config in map(read_sim_config, CONFIGS) if config.claims]
SEEDS = 12


def test_every_entry_of_the_rules_is_registered_once():
    """Every claim that is registered has an entry in its file, too; what a CPU cannot decide is
    not registered."""
    registered = [claim.id for family in FAMILIES.values() for claim in family]
    files = {claim.rule.file for claim in CLAIMS.values()}
    entries = [(id, entry) for file in files for id, entry in entries_of(file).items()]
    assert sorted(registered) == sorted(id for id, entry in entries if entry.scale != "gpu")
    assert {claim.rule.file for claim in FAMILIES["sim"]} == {RULES_FILE}


def test_every_claim_has_a_source_and_a_study():
    assert all(claim.source and claim.statement for claim in CLAIMS.values())
    decided = {claim for config in STUDIES for claim in config.claims}
    assert decided == set(claims_of("sim"))


def test_a_claim_registered_twice_or_without_a_source_is_refused():
    one, *_ = CLAIMS.values()
    for wrong in ([one, one], [replace(one, source="")]):
        with pytest.raises(ValueError, match=f"{one.id}: is registered twice, or without"):
            join([wrong])


def some_paths(run, number: int) -> Paths:
    """Runs that learn; of those of variant `number`, so many and one more rise, swing and stop."""
    rng, s = np.random.default_rng(number), len(settings_of(run).mu)
    end = run.step * run.num_steps if isinstance(run, Symmetric) else run.epochs
    t = np.linspace(0, end, (40 if isinstance(run, Symmetric) else end) + 1)
    share, odd = t / end, (np.arange(SEEDS) <= number)[:, None]
    wave = odd * np.sin(4 * np.pi * share) ** 2 * (share > 0)
    learned = share[:, None] ** rng.uniform(0.2, 3, (SEEDS, 1, s)) - 0.5 * wave[..., None]
    left = 1 - 0.99 * share + wave / 2 + 0.1 * odd
    W = np.eye(s) * learned[..., None] + 0.1 * rng.normal(size=(SEEDS, len(t), s, s))
    decays = 1.001 - share[:, None] ** rng.uniform(0.5, 2, (SEEDS, 1, s + 1))
    corners = left[..., None] * rng.uniform(0.5, 1, 2**s)
    mu = settings_of(run).mu
    modes = decays[..., : s + bool(settings_of(run).bias)]
    return Paths(t, learned * mu, corners, left, decays[..., :s], modes, W, np.zeros(SEEDS))


def study_of(config: SimConfig, turn: int = 0) -> Study:
    """Study of made-up paths; each variant has those of the one `turn` places further on."""
    runs, count = config.runs.items(), len(config.runs)
    paths = {name: some_paths(run, (i + turn) % count) for i, (name, run) in enumerate(runs)}
    return Study(config, paths, read_rules())


def renamed(study: Study, names: dict[str, str]) -> Study:
    runs = {names[name]: run for name, run in study.config.runs.items()}
    paths = {names[name]: paths for name, paths in study.paths.items()}
    return replace(study, config=replace(study.config, runs=runs), paths=paths)


def found(study: Study) -> list[str]:
    """Decisions with their numbers, but without the names of variants."""
    decisions = decide(study.config.claims, study)
    return [repr((one.claim, one.word, one.parts)) for one in decisions]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of logarithms of noise
@pytest.mark.parametrize("config", STUDIES, ids=lambda config: config.name)
def test_verdicts_do_not_depend_on_names(config):
    """Names that say nothing, and names that say what another variant is."""
    study, names = study_of(config), [*config.runs]
    expected, turned = found(study), [*names[1:], names[0]]
    assert expected and found(study_of(config, turn=1)) != expected
    for new in ([f"v{i}" for i in range(len(names))], turned):
        assert found(renamed(study, dict(zip(names, new, strict=True)))) == expected


class Watched:
    """Rules that remember which of their numbers were asked for."""

    def __init__(self, rules):
        self.rules, self.used = rules, set()

    def __getattr__(self, key):
        self.used.add("margin" if key == "claims" else key)
        return getattr(self.rules, key)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("claim", claims_of("sim").values(), ids=lambda claim: claim.id)
def test_a_claim_is_decided_by_the_numbers_that_its_rule_names(claim):
    config = next(config for config in STUDIES if claim.id in config.claims)
    rules = Watched(read_rules())
    claim.decide(replace(study_of(config), rules=rules))
    assert rules.used == {*claim.rule.numbers}
    assert ("margin" in rules.used) == (entries_of(claim.rule.file)[claim.id].margin > 0)


def test_the_contract_knows_no_family():
    """Claims about images can share it; the registry has a line for each family's table."""
    folder = Path(registry.__file__).parent
    for name, lines in (("claim.py", 0), ("evidence.py", 0), ("told.py", 0), ("registry.py", 1)):
        assert (folder / name).read_text().count("studies.claims.sim") == lines


def test_the_claim_that_the_page_shows_is_decided():
    """Entry, function, registration and selection, as the page on adding a claim has them."""
    page = (Path(registry.__file__).parents[2] / "docs" / "extending" / "claims.md").read_text()
    section = page.partition("## A claim about SIM")[2]
    entry, *code = re.findall(r"```(?:yaml|python)\n(.*?)```", section, re.DOTALL)
    function, registration, selection = code
    known: dict = {}
    exec(function + selection, known)
    claim = eval(registration, known)
    assert [*read_as(dict[str, Entry], yaml.safe_load(entry), "")] == [claim.id]
    config = next(config for config in STUDIES if config.name == "fig05")
    claim.needs(config)
    rules = Watched(read_rules())
    decisions = claim.decide(replace(study_of(config), rules=rules))
    assert [one.variant for one in decisions] == [*config.runs] and rules.used == {"left"}
    two = replace(config, runs={name: config.runs[name] for name in ("A", "A2")})
    assert known["by_power"](two) == {"A": ["A"], "A2": ["A2"]}
