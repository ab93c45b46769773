"""Page of what scripts/geometry.py measured: verdicts, holes and edits, from its tables alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.report.study import Section, StudyReport

Frames = Mapping[str, pd.DataFrame]
Row = Mapping[str, str]
FACTORIZED = ("factorized", "hyper-factorized")
NUMBERS = {"κ": "kappa", "Ω": "omega", "PR of x": "pr_x", "PR of y": "pr_y"}
NO_TORUS = "–"
BETTI = ["betti0", "betti1", "betti2"]
ANSWERS = ("carries", "does not", "site too weak", "undecided")


def geometry_report(
    frames: Frames, figures: Mapping[str, Any], title: str, runs: Sequence[str]
) -> StudyReport:
    """Return the page of some runs. title: what they are. figures: by name, as drawn."""
    sections = [
        *_verdict_sections(frames, figures),
        *_section(_holes, "homology", frames, figures),
        *_section(_swapped, "swap_answers", frames, figures),
        *_section(_steered, "steers", frames, figures),
    ]
    levels = ", ".join(f"{level:g}" for level in sorted(frames["verdicts"]["level"].unique()))
    return StudyReport(
        title=f"Inside {title}",
        question="Is what the model is told held coupled, added or apart; where, from when on?",
        facts={"runs": ", ".join(runs), "levels (signal fractions)": levels},
        columns=(),
        runs=(),
        sections=sections,
        curve_name="",
    )


def _section(make: Any, table: str, frames: Frames, figures: Mapping[str, Any]) -> list[Section]:
    return [make(frames, figures)] if table in frames else []


def _figures(figures: Mapping[str, Any], captions: Mapping[str, str]) -> list[tuple[str, Any]]:
    return [
        (caption, figure)
        for start, caption in captions.items()
        for name, figure in figures.items()
        if name.startswith(start)
    ]


def _verdict_sections(frames: Frames, figures: Mapping[str, Any]) -> Iterator[Section]:
    table = frames["verdicts"]
    for (first, second), own in table.groupby(["first", "second"], sort=False):
        pair = f"{first}_{second}"
        captions = {
            f"verdicts_{pair}": "Verdict by site, level and step.",
            f"numbers_{pair}": "κ, Ω and participation ratios along training.",
        }
        yield Section(
            title=f"How {first} and {second} are held",
            answer=" ".join(_told(own)),
            figures=_figures(figures, captions),
            rows=[*_verdict_rows(own)],
            notes=[
                "Verdicts and brackets are by 95 % intervals over runs (Student's t), of one run "
                "over its noises. Each run: by its own noises alone."
            ],
        )


def _told(own: pd.DataFrame) -> Iterator[str]:
    """Yield how many codes have which verdict, at the first and the last step, and what every run
    says by itself."""
    for step in sorted({own["step"].min(), own["step"].max()}):
        now = own[own["step"] == step]
        words = _counted(now["verdict"])
        yield f"Step {step}: of {len(now)} codes (a site at a level) {words}."
        alike = now.loc[~now["each_run"].str.contains(","), "each_run"]
        if (now["runs"] > 1).all():
            yield f"Alike in every run by itself: {_counted(alike.str.split(' ', n=1).str[1])}."


def _counted(words: pd.Series) -> str:
    return ", ".join(f"{count} {word}" for word, count in words.value_counts().items()) or "none"


def _verdict_rows(own: pd.DataFrame) -> Iterator[Row]:
    first, last = own["step"].min(), own["step"].max()
    before = own[own["step"] == first].set_index(["site", "level"])["verdict"]
    for row in own[own["step"] == last].to_dict("records"):
        origin = f" ({row['origin']})" if isinstance(row["origin"], str) else ""
        yield {
            "site": row["site"],
            "level": f"{row['level']:g}",
            **({f"step {first}": before[row["site"], row["level"]]} if first < last else {}),
            f"step {last}": row["verdict"] + origin,
            "each run": row["each_run"],
            **{sign: _interval(row, name) for sign, name in NUMBERS.items()},
        }


def _interval(row: Mapping[Any, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{_number(row[name])} [{_number(low)}, {_number(high)}]"


def _holes(frames: Frames, figures: Mapping[str, Any]) -> Section:
    table = frames["homology"]
    torus = table.assign(torus=table["torus_window"] > 1)
    shares = torus.groupby(["step", "site", "level"], sort=False)["torus"].all()
    told = []
    for step in sorted({table["step"].min(), table["step"].max()}):
        now = shares.xs(step, level="step")
        told.append(f"Step {step}: {now.sum()} of {len(now)} codes have them in every run.")
    last = table[table["step"] == table["step"].max()]
    return Section(
        title="Is the code a torus?",
        answer="The Betti numbers of a torus are (1, 2, 1). " + " ".join(told),
        figures=_figures(figures, {"homology": "Ranges of scales and longest bars, of one run."}),
        rows=[_hole_row(place, own) for place, own in last.groupby(["site", "level"], sort=False)],
        notes=[
            "Betti numbers hold over the widest range of scales. The range of a torus is the "
            "ratio of its ends, least to greatest over runs. Holes are bars beyond the line "
            "that the same covariance without structure reaches; a torus has two."
        ],
    )


def _hole_row(place: Any, own: pd.DataFrame) -> Row:
    betti = own.reindex(columns=BETTI).dropna().astype(int).drop_duplicates()  # no window: none
    numbers = [f"({a}, {b}, {c})" for a, b, c in betti.itertuples(index=False)]
    windows = [f"{w:.2f}" if w > 1 else NO_TORUS for w in sorted(own["torus_window"])]
    halves = own["halves_with_torus"].sum(), own["halves"].sum()
    return {
        "site": place[0],
        "level": f"{place[1]:g}",
        "Betti numbers": " or ".join(numbers) or NO_TORUS,
        "range of a torus": " to ".join(dict.fromkeys((windows[0], windows[-1]))),
        "halves of the noises with it": f"{halves[0]:.0f} of {halves[1]:.0f}",
        "holes": " or ".join(f"{n:.0f}" for n in sorted(own["holes"].dropna().unique())),
    }


def _swapped(frames: Frames, figures: Mapping[str, Any]) -> Section:
    answers = _last(frames["swap_answers"])
    each = answers.groupby("site", sort=False)["answer"].agg(lambda own: " / ".join(sorted(own)))
    alike = [f"{word}: {', '.join(own)}." for word in ANSWERS if (own := _alike(answers, word))]
    moved = _last(frames["swaps"])
    return Section(
        title="Do the subspaces carry the coordinates?",
        answer=" ".join(["The same answer in every run.", *alike]) if alike else "Runs differ.",
        figures=_figures(
            figures, {"swaps": "Share of the way to the donor that is moved, one run."}
        ),
        rows=[
            _swap_row(site, answer, moved[moved["site"] == site]) for site, answer in each.items()
        ],
        notes=["Shares of the way to the donor: mean over runs, least to greatest in brackets."],
    )


def _alike(answers: pd.DataFrame, word: str) -> list[str]:
    """Return the sites of which every run gives this answer."""
    sites = (answers["answer"] == word).groupby(answers["site"], sort=False).all()
    return [str(site) for site, every in sites.items() if every]


def _swap_row(site: Any, answer: str, own: pd.DataFrame) -> Row:
    found = {}
    for (swapped, coordinate), moved in own.groupby(["swapped", "coordinate"], sort=False)["moved"]:
        found[f"{coordinate} by {swapped}"] = _over_runs(moved)
    return {"site": site, "answer by run": answer, **found}


def _steered(frames: Frames, figures: Mapping[str, Any]) -> Section:
    last = _last(frames["steers"])
    return Section(
        title="Does a push along one coordinate move it?",
        figures=_figures(figures, {"steers": "Way moved over the way asked, of one run."}),
        rows=[
            _steer_row(place, own) for place, own in last.groupby(["site", "places"], sort=False)
        ],
        notes=[
            "Way moved over the way asked: mean over runs, least to greatest in brackets. Of the "
            "coordinate that is to stay, and of random directions, it is the absolute value."
        ],
    )


def _steer_row(place: Any, own: pd.DataFrame) -> Row:
    found = {"site": place[0], "places": f"{place[1]:g}"}
    for (steered, coordinate), moved in own.groupby(["steered", "coordinate"], sort=False)["moved"]:
        found[f"{coordinate} by {steered}"] = _over_runs(moved)
    return found


def _over_runs(moved: pd.Series) -> str:
    own = moved.dropna()
    if own.empty:
        return "not read"
    least = f" [{_number(own.min())}, {_number(own.max())}]" if len(own) > 1 else ""
    return _number(own.mean()) + least


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # no minus before a zero


def _last(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["step"] == table["step"].max()]
