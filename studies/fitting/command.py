"""Command `scripts/sim.py --fit`: fit the first part of runs, predict the rest, say how well."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from analysis.figures.forecasts import forecast_figure
from analysis.figures.style import save_figure
from ground.endings import Mistake
from ground.files import write_json, write_text
from studies.fitting.forecast import BASELINES, Forecast, NoForecast, forecast
from studies.fitting.printed import forecast_data, forecast_lines
from studies.fitting.runs import Measured, measured_at, open_fitted
from studies.fitting.tables import concepts_table, measured_table, models_table, predicted_table


def fit_runs(
    paths: Sequence[Path],
    level: float | None,
    until: float,
    out: Path | None,
    say: Callable[[str], None],
) -> None:
    """Print the forecasts of runs, each at one noise level or at all that it has; write them.

    out: folder for figures (a PNG and a PDF per run), CSV and JSON. Levels that are refused, and of
    several runs or levels those that cannot be forecast, are named and passed over. Raises Mistake
    as `open_fitted` and `measured_at` do, for `until` outside of (0, 1), and where nothing is left.
    """
    if not 0 < until < 1:
        raise Mistake(f"--until: got {until:g}, allowed above 0, below 1")
    measured = [one for run in open_fitted(paths) for one in measured_at(run, level)]
    forecasts = _forecasts(measured, until, say)
    say("\n".join(forecast_lines(forecasts, until)))
    if out:
        for path in write_forecasts(forecasts, until, out):
            say(f"wrote {path}")


def _forecasts(
    measured: Sequence[Measured], until: float, say: Callable[[str], None]
) -> list[Forecast]:
    found, last = [], None
    for one in measured:
        for concept, why in one.obedience.refused.items():
            say(f"{one.run}, level {one.level:g}: {concept} is refused: {why}")
        try:
            found += [forecast(one, until)] if one.obedience.concepts else []
        except NoForecast as error:
            last = error
            if len(measured) > 1:
                say(str(error))
    if not found:
        raise last or Mistake("--fit: every level of the table denoiser is refused")
    return found


def write_forecasts(forecasts: Sequence[Forecast], until: float, out: Path) -> list[Path]:
    """Write figures, tables and JSON; return the files. Runs without a prediction have no
    figure."""
    predicted, measured = predicted_table(forecasts), measured_table(forecasts)
    tables = {
        "concepts": concepts_table(forecasts),
        "models": models_table(forecasts),
        "predicted": predicted,
        "measured": measured,
    }
    out.mkdir(parents=True, exist_ok=True)
    written = [_write_table(out / f"{name}.csv", table) for name, table in tables.items()]
    write_json(out / "forecasts.json", forecast_data(forecasts, until))
    for run in dict.fromkeys(predicted["run"] if len(predicted) else []):
        seen, expected = (table[table["run"] == run] for table in (measured, predicted))
        save_figure(forecast_figure(seen, expected, BASELINES), out / run)
        written.append(out / f"{run}.png")
    return [*written, out / "forecasts.json"]


def _write_table(path: Path, table: pd.DataFrame) -> Path:
    write_text(path, table.to_csv(index=False))
    return path
