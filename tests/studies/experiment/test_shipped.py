"""What the shipped configs resolve to, and that no default moves it.

`python tests/studies/experiment/test_shipped.py` records them anew: for files that are new or have
changed. A file that stays as it is must go on resolving to the same.
"""

import hashlib
import json
from pathlib import Path

import yaml

from ground.files import hash_json
from ground.reading import read_yaml
from studies.experiment.config import read_config, scored_steps, snapshot_steps, to_dict
from studies.experiment.identity import identity
from studies.experiment.world_file import read_world_file
from studies.many.study import read_study

ROOT = Path(__file__).resolve().parents[3]
RECORDED = Path(__file__).with_name("shipped.json")


def paths() -> list[Path]:
    """Return the configs of experiments, worlds and studies."""
    folders = ("configs", "configs/worlds", "configs/studies")
    return [path for folder in folders for path in sorted((ROOT / folder).glob("*.yaml"))]


def resolved(path: Path) -> dict[str, str]:
    """Return hashes of a file's text, and of all that is read off it: keys, steps, identity."""
    text = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return {"text": text, "resolved": hash_json(_parts(path))[:16]}


def _parts(path: Path) -> object:
    if path.parent.name == "studies":
        return {run.name: _of_config(run.config) for run in read_study(path).runs}
    if "model" in read_yaml(path):
        return _of_config(read_config(path))
    return to_dict(read_world_file(path))


def _of_config(config) -> list[object]:
    """Return the keys but those that may say "as the file leaves it to us", and what these mean."""
    steps = [list(snapshot_steps(config)), list(scored_steps(config))]
    return [to_dict(config), identity(config), steps]


def test_every_shipped_file_resolves_as_it_did():
    recorded, same = json.loads(RECORDED.read_text()), 0
    for path in paths():
        name, found = str(path.relative_to(ROOT)), resolved(path)
        if recorded.get(name, {}).get("text") == found["text"]:
            assert recorded[name] == found, name
            same += 1
    assert same > 25


def test_no_shipped_experiment_leaves_the_scored_steps_to_us():
    for path in (path for path in paths() if "train" in read_yaml(path)):
        assert yaml.safe_load(path.read_text())["evaluate"]["snapshots"]


def test_no_study_begins_from_the_demo_whose_recipe_may_change():
    for path in (ROOT / "configs" / "studies").glob("*.yaml"):
        assert Path(read_yaml(path)["experiment"]).name != "quickstart.yaml", path.name


if __name__ == "__main__":
    every = {str(path.relative_to(ROOT)): resolved(path) for path in paths()}
    RECORDED.write_text(json.dumps(every, indent=1) + "\n")
