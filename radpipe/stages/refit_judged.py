"""What a refit needs beside its predictions where it is judged: the new patients' outcomes, that nobody among them was learnt from, and
that the weights do not know them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from radpipe.cohort.external import read_as_known
from radpipe.cohort.splits import two_outcomes
from radpipe.core import tables
from radpipe.core.registry import nearest
from radpipe.errors import CohortError, RunError
from radpipe.io.files import sha256_file
from radpipe.io.run_folder import RunFolder
from radpipe.io.tables import read_text_table
from radpipe.stages.cohort import manifest_path
from radpipe.stages.context import Context, failure
from radpipe.stages.refit_cases import OURS, load_base


def read_truths(
    context: Context, fresh: pd.DataFrame, manifest: Path
) -> tuple[dict[str, dict[str, float]], list[dict[str, str]]]:  # fmt: skip
    """Outcomes of the new cases, by the run's coding, and the cases that have none. They never enter the refit."""
    settings = load_base(RunFolder(context.folder.path.parent)).cohort
    table = read_text_table(manifest).rename(columns=OURS)
    known = read_text_table(manifest_path(load_base(RunFolder(context.folder.path.parent))))
    for name in (settings.outcome, *([settings.time] if settings.time else [])):
        if name not in table.columns:
            raise CohortError(
                f"the outcome column {name!r} is missing.{nearest(name, table.columns)}",
                hint="The cohort is judged by the outcome that the run's models foretell, under the same name.", path=manifest,
            )  # fmt: skip
    cells = {str(name): [str(cell).strip() for cell in table[name]] for name in table.columns}
    outcomes = read_as_known(cells, {str(name): [str(cell).strip() for cell in known[name]] for name in known.columns}, settings)
    if outcomes.problems:
        raise CohortError(" ".join(outcomes.problems), hint="Correct the outcome of the external cohort.", path=manifest)
    truths, failures, wanted = {}, [], set(fresh["own_id"].astype(str))
    for place, case_id in enumerate(cells["case_id"]):
        if case_id not in wanted:
            continue
        if place in outcomes.faults:
            problem, hint = outcomes.faults[place]
            failures.append(
                {**failure(case_id, CohortError(problem, hint=hint, case_id=case_id, path=manifest)), "stage": "cohort"}
            )
            continue
        code = outcomes.codes[place]
        assert code is not None  # a cell without a code has its fault, or is a problem of the column
        truths[case_id] = {"y_true": code} | {name: float(values[place] or 0) for name, values in outcomes.further.items()}
    people = fresh[fresh["own_id"].isin(truths)]
    told = [truths[case_id] for case_id in people["own_id"]]
    asked = pd.DataFrame(told).rename(columns={"y_true": "outcome"}).assign(
        case_id=people["own_id"].to_list(), patient_id=people["own_patient"].to_list()
    )  # fmt: skip
    if told and (wrong := two_outcomes(asked, settings.outcome_kind)):
        raise CohortError(" ".join(wrong), hint="A patient has one outcome: correct it.", path=manifest)
    return truths, failures


def refuse_known(cohort: pd.DataFrame, fresh: pd.DataFrame, manifest: Path) -> None:
    """CohortError where a new patient is one of the run's, by name or by the content of a file; or stands there under two names."""
    ours = set(cohort["patient_id"].astype(str))
    held: dict[str, dict[str, str]] = {}  # digest -> patient -> case; those of the run first
    for row in cohort.to_dict("records"):
        for digest in {row["image_sha256"], row["mask_sha256"]} - {""}:
            held.setdefault(digest, {}).setdefault(str(row["patient_id"]), str(row["case_id"]))
    found = []
    for row in fresh.to_dict("records"):
        case_id, patient = str(row["own_id"]), str(row["own_patient"])
        if patient in ours:
            raise CohortError(
                f"the patient {patient!r} is among the run's own patients, whom the models learnt from.",
                hint="Leave the patient out of the external cohort; if it is another person of the same name, give an id of its own.",
                case_id=case_id, path=manifest,
            )  # fmt: skip
        for what in ("image", "mask"):
            path = Path(row[f"{what}_path"])
            if row[f"{what}_path"] and path.is_file():
                found.append((what, path, case_id, patient, held.setdefault(sha256_file(path), {})))
                found[-1][-1].setdefault(patient, case_id)
    for what, path, case_id, patient, owners in found:
        owner, case = next(iter(owners.items()))
        # A mask that three patients share is a box or a sphere of one size, and tells nothing of whose it is.
        if owner == patient or (what == "mask" and len(owners) > 2):
            continue
        whose = f"case {case} of the run (patient {owner!r})" if owner in ours else f"case {case} (patient {owner!r})"
        raise CohortError(
            f"its {what} is, byte for byte, that of {whose}: one patient under two ids.",
            hint="Leave one of them out, or give both the same patient_id where both are new.", case_id=case_id, path=path,
        )  # fmt: skip


def weights_of(context: Context, folder: RunFolder) -> dict[str, str]:
    """File of a fitted model, as it lies in the run folder -> SHA-256."""
    paths = [context.folder.path / row for row in context.read(tables.FITS)["model_path"]]
    files = [path / name for path in paths for name in ("weights.safetensors", "model.json")]
    return {folder.relative(path): sha256_file(path) for path in sorted(files)}


def unchanged(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """RunError where a file of a model is another one with the new patients than without."""
    found = {name: (before.get(name, "no model"), after.get(name, "no model")) for name in sorted({*before, *after})}
    for name, (earlier, later) in found.items():
        if earlier != later:
            raise RunError(
                "the refitted model is not the same with the external patients as without them, so it is not judged.",
                hint="On a graphics card a fit need not repeat itself to the last bit: set the model's device: cpu. Else this is a bug.",
                path=name,
            )
    return found
