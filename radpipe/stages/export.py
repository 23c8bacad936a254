"""The door of ``radpipe export``: a saved network -> a file with its formula."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from radpipe.errors import ConfigError, RunError
from radpipe.io.files import write_bytes
from radpipe.io.models import load_model
from radpipe.io.run_folder import RunFolder
from radpipe.io.workbook import write_workbook


@dataclass(frozen=True)
class Exported:
    """inputs : columns it looks at. results : what it predicts."""

    path: Path
    steps: int
    inputs: int
    results: tuple[str, ...]


def export_formula(run: Path, *, model: str | None, fold: tuple[int, int] | None, lang: str, out: Path) -> Exported:
    """run : a run's folder, with the model's name, or a model's folder. fold : (repeat, fold), None for the refitted model.

    ConfigError where the model has no such formula or the file's name does not fit; RunError where there is no such model.
    """
    from radpipe.models import load
    from radpipe.models.ann.formula import formula_of, to_expression, to_sheets
    from radpipe.models.ann.model import FittedAnn

    if (lang == "excel") != (out.suffix.lower() == ".xlsx"):
        raise ConfigError(
            f"a file named {out.name} does not hold {lang}.",
            hint="Name it .xlsx for excel, and something else for the others.", path=out,
        )  # fmt: skip
    arrays, info = load_model(_folder(run, model, fold))
    kind = str(info.get("kind"))
    fitted = load(kind, arrays, info) if kind == "ann" else None
    if not isinstance(fitted, FittedAnn):
        raise ConfigError(f"a model of kind {kind} has no formula here.", hint="Export a model of kind ann.", path=run)
    if lang == "excel":
        write_workbook(out, to_sheets(fitted))
    else:
        write_bytes(out, to_expression(fitted, lang).encode())
    formula = formula_of(fitted)
    return Exported(out, len(formula.steps), len(formula.numbers) + len(formula.texts), tuple(formula.results))


def _folder(run: Path, model: str | None, fold: tuple[int, int] | None) -> Path:
    if (run / "model.json").exists():
        return run
    models = run / "models"
    names = sorted(path.name for path in models.iterdir() if path.is_dir()) if models.is_dir() else []
    if not names:
        raise RunError("this is neither a model's folder nor a run with models.", hint="Train first: radpipe run.", path=run)
    if model not in names:
        raise RunError(
            f"the run has no model named {model!r}." if model else "which model is meant is not said.",
            hint=f"Give --model one of: {', '.join(names)}.", path=run,
        )  # fmt: skip
    # `radpipe predict` refits on all patients, as the one fold of a run of its own (stages/refit.py).
    found = RunFolder(run / "refit").model(model, 0, 0) if fold is None else RunFolder(run).model(model, *fold)
    if not (found / "model.json").exists():
        there = ", ".join(sorted(path.name for path in (models / model).iterdir() if (path / "model.json").exists()))
        if fold is None:
            raise RunError(
                f"the model {model} has not been refitted on all patients.",
                hint=f"`radpipe predict` does that; or give --fold REPEAT FOLD of: {there}.", path=run,
            )  # fmt: skip
        raise RunError(f"the model {model} has no {found.name}.", hint=f"There are: {there}.", path=run)
    return found
