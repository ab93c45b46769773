"""The list of claims, their verdict files and their page."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from ground.endings import Mistake
from studies.claims import listing, written
from studies.claims.command import studies_of
from studies.claims.entries import entries_of
from studies.claims.images import sweeps
from studies.claims.list_text import WIDTH, list_lines
from studies.claims.listing import families, find, last_verdict, listed
from studies.claims.page import PAGE, page_text
from studies.claims.registry import CLAIMS, claim_of
from studies.many.study import read_study
from tests.harness.commands import ROOT, call

ROWS = [
    {"claim": "ctl.noise", "variant": "runs", "verdict": "holds", "what": "swings"}
    | {"rule": "RARE", "effect": 0.02, "low": 0.01, "high": None}
]


@pytest.fixture
def verdicts(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "VERDICTS", tmp_path / "verdicts")
    monkeypatch.setattr(written, "PAGE", tmp_path / "claims.md")
    return tmp_path


def test_every_claim_is_listed_and_decided_here_or_has_a_command():
    claims = listed()
    assert len(claims) == sum(
        len(entries_of(listing.CONFIGS / f"{name}.yaml")) for name in families()
    )
    assert {id for id, one in claims.items() if one.entry.scale != "gpu"} == {*CLAIMS}
    for one in claims.values():
        entry = one.entry
        assert all((entry.claim, entry.figure, entry.statistic, entry.rule, entry.cost)), one.id
        assert entry.scale != "gpu" or entry.paper_scale
        assert all((ROOT / path).is_file() for path in entry.runs)
        assert entry.scale == "theory" or entry.scale == "gpu" or entry.runs


def test_studies_of_claims_have_confirmatory_seeds():
    paths = {ROOT / p for one in listed().values() for p in one.entry.runs if "/s_" in p}
    assert len(paths) == 7
    for path in (*paths, *(ROOT / "configs" / "studies").glob("s_*_paper.yaml")):
        assert {run.seed for run in read_study(path).runs} <= set(range(1000, 1008))


def test_an_unknown_claim_is_named_with_the_nearest():
    with pytest.raises(Mistake, match="p3.ordr: unknown claim.*p3.order"):
        find(["p3.ordr"])


def test_files_of_rules_that_cannot_be_read_say_why(tmp_path, monkeypatch):
    entry = "{x.mine: {claim: said, figure: a, statistic: b, rule: MOST, cost: none}}"
    for name, text in {
        "a": f"claims: {entry}",
        "b": f"claims: {entry}",
        "c": f"claim: {entry}",
        "d": "claims: {x.other: {claim: said, statistic: b, cost: none}}",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(listing, "CONFIGS", tmp_path)
    monkeypatch.setattr(sweeps, "CONFIGS", tmp_path)
    with pytest.raises(Mistake, match="x.mine: stands in a.yaml and b.yaml, allowed once"):
        listed(("a", "b"))
    with pytest.raises(Mistake, match="c.yaml: claims: missing"):
        listed(("c",))
    with pytest.raises(Mistake, match="d.yaml: claims.x.other: figure, rule: missing"):
        listed(("d",))
    assert families()[-4:] == ["a", "b", "c", "d"]  # a file of the folder is read
    assert [*listed(("a",))] == ["x.mine"]
    with pytest.raises(Mistake, match="a.yaml: gates.probe: missing"):
        sweeps.gates_of("a")


def test_a_verdict_is_listed_and_stands_on_the_page(verdicts):
    (one,) = find(["ctl.noise"])
    assert last_verdict(one) is None and "not run yet" in "\n".join(list_lines([one]))
    written.write_verdict(one, ROWS, "a test", verdicts / "out")
    last = last_verdict(one)
    assert last and last.rules == one.rules_hash and last.versions["numpy"]
    assert "    verdict    holds: 0.020 [0.010, –]   runs" in list_lines([one])
    page = (verdicts / "claims.md").read_text()
    assert "| swings: 0.020 [0.010, –] | RARE | **holds** |" in page
    assert "Of 1 verdicts 1 are decided" in page
    assert (verdicts / "out" / "verdict.png").stat().st_size > 5000
    data = json.loads(one.verdict_file.read_text())
    one.verdict_file.write_text(json.dumps({**data, "rules": "0" * 12}))
    assert "holds: 0.020 [0.010, –] (by other rules)" in "\n".join(list_lines([one]))
    one.verdict_file.write_text("{}")
    with pytest.raises(Mistake, match=r"ctl.noise.json: claim, rules.*: missing; decide ctl.noise"):
        last_verdict(one)


def test_a_block_of_the_list_says_all_of_an_entry_within_the_width():
    lines = list_lines([*listed().values()])
    assert max(map(len, lines)) <= WIDTH
    (one,) = find(["p3.order"])
    entry, text = one.entry, " ".join(" ".join(list_lines([one])).split())
    for said in (one.id, entry.paper, entry.figure, entry.claim, entry.statistic, entry.rule):
        assert said in text
    assert entry.cost in text


def test_the_page_is_what_the_verdict_files_say():
    assert PAGE.read_text() == page_text()


def test_the_list_imports_neither_torch_nor_scipy():
    program = (
        "import sys; from studies.claims.list_text import list_lines; "
        "from studies.claims.listing import listed; "
        "list_lines([*listed().values()]); print({'torch', 'scipy', 'pandas'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_a_claim_without_studies_or_function_is_named():
    (one,) = find(["p3.order"])
    assert studies_of(one) == [ROOT / "configs/studies/s_cube.yaml"]
    for runs, why in (((), "missing"), (("configs/studies/s_cub.yaml",), "did you mean .*s_cube")):
        with pytest.raises(Mistake, match=f"claims.p3.order.runs: .*{why}"):
            studies_of(replace(one, entry=replace(one.entry, runs=runs)))
    assert claim_of(one.id, one.rules) is CLAIMS[one.id]
    with pytest.raises(Mistake, match="x.mine: stands in .*cube.yaml, but no function"):
        claim_of("x.mine", one.rules)


def test_commands_list_refuse_and_tell_of_the_paper():
    status, out, _ = call("reproduce", "list", "p4.fig5", "ctl.noise")
    assert status == 0 and "not decidable here" in out and "claims: 2," in out
    status, out, _ = call("reproduce", "p4.fig5", "p1.fig5", "--scale", "paper")
    assert "p4.fig5: not decidable here; on GPUs: python scripts/sweep.py" in out
    assert "p1.fig5: decided at the size of the paper on a CPU" in out
    status, _, err = call("reproduce", "p9")
    assert status == 2 and err.startswith("error: p9: unknown claim")
