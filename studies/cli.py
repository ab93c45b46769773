"""Command lines: what all scripts share, from flags of the config to one-line errors and exit
status. Imports no torch."""

import argparse
import io
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import tyro
import yaml
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from analysis.figures.fonts import MissingGlyphs
from data_gen.concepts import Concept
from data_gen.world import WorldConfig
from ground.endings import DamageWarning, Heard, Mistake, Preempted
from ground.reading import read_as
from ground.waiting import wait_briefly
from studies.experiment.config import Config, EvaluateConfig, read_config, to_dict
from studies.run.directory import RunDir
from studies.run.null_condition import check_null
from studies.run.stopping import follow_launcher
from studies.worlds.intervention_config import Intervention
from studies.worlds.interventions import KEY

MISTAKE = 2  # exit status: the user has to change something
PREEMPTED = 75  # exit status: stopped on request, the same command goes on (sysexits' TEMPFAIL)
GOES_ON = "the same command goes on"
KEPT = f"what was finished is kept; {GOES_ON}"
NOT_KEPT = "nothing is kept; the same command begins anew"
LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # by torchrun
ALONE = {"RANK": "0", "WORLD_SIZE": "1"}  # say the same as nothing
STARTED = time.monotonic()
SEVERAL_VALUES = (
    *("--prompt", "--and", "--not", "--steps", "--run", "--against", "--levels", "--tables"),
    *("--concepts", "--sites", "--fit", "--steer"),
    "--world.held-out",
    "--evaluate.denoiser.levels",
    "--evaluate.interventions",
)
ANY_WORLD = WorldConfig({"shape": Concept(("circle", "square"))})  # of --help without a config
PROMPTS = "--evaluate.prompts."  # and the name of a set
T = TypeVar("T")
E = TypeVar("E", bound="Experiment")
FLAGS = ConstructorRegistry()  # how values of flags are read that tyro cannot read itself


@dataclass(frozen=True)
class Experiment:
    """Experiment that a command line starts: a config, every field of which is a flag, and where it
    runs.

    Attributes:
        config: the experiment's YAML file.
        runs: folder of the run directories.
        dry_run: print the resolved config and the plan, then stop.
        max_minutes: stop after so long, as if asked to: the state is saved, exit status 75.
    """

    config: Path
    fields: Annotated[Config, tyro.conf.arg(name="")]
    runs: Path = Path("runs")
    dry_run: bool = False
    max_minutes: float | None = None

    @property
    def deadline(self) -> float | None:
        """Return when the time is up, on time.monotonic()'s clock; None: never."""
        return deadline_after(self.max_minutes)

    @property
    def run(self) -> RunDir:
        return RunDir(self.runs / self.fields.name)


def read_experiment(description: str, kind: type[E]) -> E:
    """Read `--config`, then every other flag on top of it. kind: Experiment, or one with more
    flags."""
    path = read_flag("--config")
    if path is None and not {"-h", "--help"} & set(sys.argv):
        raise Mistake("--config: missing; give an experiment's YAML file, such as configs/*.yaml")
    config = read_config(Path(path)) if path else Config("NAME", ANY_WORLD)
    config = replace(config, evaluate=with_named_prompts(config.evaluate))
    default = kind(Path(path or "configs/quickstart.yaml"), config)
    experiment = read_flags(kind, default, description, (tyro.conf.AvoidSubcommands,))
    read_as(Config, to_dict(experiment.fields), "")  # flags obey a file's rules
    check_null(experiment.fields, experiment.run)
    deadline_after(experiment.max_minutes)  # refuse a mistake
    return experiment


def with_named_prompts(evaluate: EvaluateConfig) -> EvaluateConfig:
    """Return settings with an entry for every set of prompts that a flag adds: tyro makes flags of
    entries."""
    given = [flag for flag in sys.argv if flag.startswith(PROMPTS)]
    names = [flag.removeprefix(PROMPTS).split("=")[0].replace("-", "_") for flag in given]
    added = {name: "" for name in names if name not in evaluate.prompts}
    return replace(evaluate, prompts={**evaluate.prompts, **added})


@FLAGS.primitive_rule
def _read_intervention(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Read an intervention as the config has it, in YAML: '{kind: latent, alpha: 2}'."""
    if info.type != Intervention:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{kind: …}",
        instance_from_str=lambda given: _intervention(given[0]),
        is_instance=lambda value: isinstance(value, Intervention),
        str_from_instance=lambda one: [yaml.safe_dump(to_dict(one), default_flow_style=True)],
    )


def _intervention(text: str) -> Intervention:
    try:
        one: Intervention = read_as(Intervention, yaml.safe_load(text), KEY)
        return one
    except yaml.YAMLError:
        allowed = "'{kind: latent, alpha: 2}'"
        raise _WrongFlag(f"{KEY}: got {text!r}, allowed such as {allowed}") from None
    except Mistake as mistake:
        raise _WrongFlag(str(mistake)) from None


class _WrongFlag(Exception):
    """Mistake in a flag. As a ValueError tyro would catch it, and keep nothing of its line."""


def read_flags(kind: type[T], default: T, description: str, config: Sequence[Any] = ()) -> T:
    """Read the command line with tyro, as an instance of a dataclass. Raises Mistake."""
    try:
        return tyro.cli(
            kind, default=default, description=description, config=config, registry=FLAGS
        )
    except _WrongFlag as wrong:
        raise Mistake(str(wrong)) from None


def deadline_after(max_minutes: float | None) -> float | None:
    """Return when the command's time is up, on time.monotonic()'s clock; None: never. Raises
    Mistake if the limit is not above 0."""
    if max_minutes is not None and not max_minutes > 0:
        raise Mistake(f"--max-minutes: got {max_minutes:g}, allowed more than 0")
    return None if max_minutes is None else STARTED + 60 * max_minutes


def read_run(path: Path) -> tuple[RunDir, Config]:
    run = RunDir(path)
    return run, run.read_config()


def read_flag(name: str) -> str | None:
    """Return the value of one flag, wherever it stands; None: not given."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(name)
    return vars(parser.parse_known_args()[0])[name.strip("-")]


def say(line: str) -> None:
    """Print on the first process only, at once: a log shows it while the work goes on."""
    if os.environ.get("RANK", "0") == "0":
        print(line, flush=True)


def start(main: Callable[[], None], resumes: bool = True) -> NoReturn:
    """Run a script; mistakes and stops become one line on stderr and an exit status.

    resumes: after a stop the same command goes on where it was; else it begins anew.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or log may have no − or →
            stream.reconfigure(errors="backslashreplace")
    quieten_libraries()
    wait_briefly()
    warnings.showwarning = _show_warnings_of_ours(warnings.showwarning)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, _terminate)
    try:
        check_launcher(os.environ)
    except Mistake as mistake:  # RANK may be wrong: whoever finds it says it
        _exit(f"error: {mistake}", MISTAKE, own=True)
    try:
        follow_launcher()
        _refuse_repeats(sys.argv)
        main()
    except BrokenPipeError:  # who reads our output, such as head, has seen enough
        os._exit(141)
    except Heard as error:
        _exit(f"error: {error}", MISTAKE)
    except (Mistake, OSError) as error:
        full = isinstance(error, OSError) and "o space left" in str(error)
        advice = "; make room, the same command goes on" if full else ""
        _exit(_error_lines(f"{error}{advice}"), MISTAKE, own=_has_joined())
    except KeyboardInterrupt:
        _exit(f"stopped: {KEPT if resumes else NOT_KEPT}", PREEMPTED)
    except Preempted as error:
        _exit(f"{error}; {GOES_ON}" if resumes else f"stopped: {NOT_KEPT}", PREEMPTED)
    _ignore_requests()
    sys.exit(0)


def check_launcher(environment: Mapping[str, str]) -> None:
    """Raise Mistake if the launcher's variables in the environment are not all there, are no whole
    numbers, or contradict each other."""
    given = {name: environment[name] for name in LAUNCHED if name in environment}
    for name in [name for name in LAUNCHED[:3] if not given.get(name, "0").isdecimal()]:
        raise Mistake(f"{name}: got {given[name]!r} in the environment, allowed whole numbers")
    asked = [name for name in LAUNCHED[:3] if given.get(name, ALONE.get(name)) != ALONE.get(name)]
    missing = [name for name in LAUNCHED if name not in given]
    if asked and missing:
        raise Mistake(
            f"{asked[0]}: is {given[asked[0]]} in the environment, but without "
            f"{', '.join(missing)}; unset it, or start by torchrun or accelerate launch, which "
            f"set them all"
        )
    if asked and int(given["RANK"]) >= int(given["WORLD_SIZE"]):
        raise Mistake(
            f"RANK: got {given['RANK']}, allowed 0 to below WORLD_SIZE={given['WORLD_SIZE']}"
        )


def _show_warnings_of_ours(show: Callable[..., None]) -> Callable[..., None]:
    """Show warnings about damage and fonts in one line, on the first process; others as they
    come."""

    def showwarning(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if not issubclass(category, DamageWarning | MissingGlyphs):
            show(message, category, *where)
        elif os.environ.get("RANK", "0") == "0":
            print(f"warning: {message}", file=sys.stderr, flush=True)

    return showwarning


def _refuse_repeats(arguments: list[str]) -> None:
    """Raise Mistake if a flag of several values is given twice: the last counts, and some would
    vanish."""
    flags = [argument.split("=")[0] for argument in arguments]
    for flag in SEVERAL_VALUES:
        if flags.count(flag) > 1:
            raise Mistake(f"{flag}: given twice; give it once, several values after each other")


def _terminate(number: int, frame: object) -> NoReturn:
    raise Preempted("stopped on request, what was finished is kept")


def _ignore_requests() -> None:
    """Ignore requests to stop, once all is said: a second one changes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def _error_lines(text: str) -> str:
    """Return a line for each mistake, as it is printed."""
    return "\n".join(f"error: {line}" for line in text.split("\n"))


def _has_joined() -> bool:
    """Return whether this process works with others: until then, all of them meet the same
    mistakes."""
    distributed: Any = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _exit(line: str, status: int, own: bool = False) -> NoReturn:
    """Print on the first process and exit. own: print on this one whatever its rank."""
    _ignore_requests()
    rank = os.environ.get("RANK", "0")
    if rank == "0" or own:
        print(line if rank == "0" else f"rank {rank}: {line}", file=sys.stderr, flush=True)
    sys.exit(status)


def quieten_libraries() -> None:
    """Switch off libraries' progress bars and look-ups on a model hub, unless the environment asks
    for them."""
    for name, value in (
        ("HF_HUB_OFFLINE", "1"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("TRANSFORMERS_VERBOSITY", "error"),
        ("DIFFUSERS_VERBOSITY", "error"),
    ):
        os.environ.setdefault(name, value)
