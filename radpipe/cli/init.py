"""``radpipe init``."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

WORKFLOW = """\
# Written by `radpipe init`. Every key and its default: radpipe describe workflow
radpipe_workflow: 1
name: {name}
seed: 20261121

cohort:
  manifest: {manifest}
  outcome: {outcome}          # column of the manifest; two classes{positive}
  clinical: [{clinical}]      # columns that a clinician would know without the image{columns}

splits: {{repeats: 10, folds: 5, selection_fraction: 0.25}}

preprocessing:
  spacing_mm: {spacing}       # x, y, z: the grid the networks see

segmentation:
  masks: given                # `predicted` trains a network on your outlines and uses what it draws

features:
  engine: radpipe
  params:                     # a PyRadiomics parameter file, or its content
    setting: {setting}
    imageType: {{Original: {{}}}}
{patients}
selection: {{selector: tree, redundancy: 0.9, max_features: 5}}

models:
  ann: {{kind: ann, inputs: selected}}
  cnn: {{kind: cnn3d, inputs: image}}
{clinical_model}  volume: {{kind: logistic, inputs: volume}}
  xgboost: {{kind: xgboost, inputs: features}}

comparison: {{primary: [ann, cnn], margin: 0.05}}
"""
# Bin widths that give the 30 to 130 grey levels PyRadiomics' authors advise in usual lesions; the cohort's own range decides.
SETTINGS = {
    "CT": "{binWidth: 25, resampledPixelSpacing: [1, 1, 1]}   # HU",
    "PET": "{binWidth: 0.25}   # SUV",
    "MR": "{normalize: true, normalizeScale: 100, binWidth: 5, resampledPixelSpacing: [1, 1, 1]}",
}
SPACING = {"CT": "[2, 2, 2]", "PET": "[4, 4, 4]", "MR": "[2, 2, 2]"}


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--outcomes", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CSV with one row a case or patient."
)
@click.option("--outcome", default="outcome", show_default=True, help="Column of the outcome.")
@click.option("--modality", type=click.Choice(["CT", "PET", "MR"]), help="Of images whose names do not say.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("."), help="Where the two files go; here by default."
)
def init(folder: Path, outcomes: Path | None, outcome: str, modality: str | None, out: Path) -> None:
    """Pair the images and masks under FOLDER and write manifest.csv and workflow.yaml.

    Of a cohort that `radpipe ingest` made, its own manifest is taken, and only workflow.yaml is written. Nothing in FOLDER is
    changed, and no file is overwritten. Look at both files before the run.
    """
    import pandas as pd

    from radpipe.cohort.initialise import guess_pairs
    from radpipe.errors import CohortError
    from radpipe.io.cohort_folder import OWN
    from radpipe.io.files import write_bytes
    from radpipe.io.tables import to_csv

    manifest, workflow = out / "manifest.csv", out / "workflow.yaml"
    ingested = folder / "manifest.csv"
    if (folder / OWN).is_dir() and ingested.is_file():
        _init_ingested(folder, ingested, workflow, outcomes, outcome)
        return
    for made in (manifest, workflow):
        if made.exists():
            raise CohortError("is there already.", hint="Remove it, or name another folder with --out.", path=made)
    guess = guess_pairs(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
    if not guess.rows:
        raise CohortError(
            "no image with a mask was found.",
            hint="Name them alike (a_image.nii.gz and a_mask.nii.gz, or image.nii.gz and mask.nii.gz in a folder a); "
            "NIfTI, NRRD and MetaImage are read.",
            path=folder,
        )
    frame = pd.DataFrame(guess.rows)
    frame["modality"] = [row or modality or "" for row in frame["modality"]]
    out.mkdir(parents=True, exist_ok=True)
    for name in ("image_path", "mask_path"):
        frame[name] = [_from(out, folder / path) for path in frame[name]]
    clinical: list[str] = []
    if outcomes is not None:
        frame, clinical = _join(frame, outcomes, outcome)
    else:
        frame[outcome] = ""
    values = sorted(set(frame[outcome]) - {""})
    write_bytes(manifest, to_csv(frame).encode())
    write_bytes(workflow, _workflow(folder, frame, "manifest.csv", outcome, clinical).encode())
    counted = ", ".join(f"{n} {name or 'of unknown modality'}" for name, n in Counter(frame["modality"]).items())
    click.echo(f"{manifest}: {len(frame)} cases ({counted})")
    for path, why in guess.left:
        click.echo(f"  left out: {path}: {why}")
    if "" in set(frame["modality"]):
        click.echo("  fill in the column modality (CT, PET, MR), or say --modality")
    if not values:
        click.echo(f"  fill in the column {outcome!r}, or name a table: --outcomes FILE.csv --outcome COLUMN")
    click.echo(f"{workflow}: look at it, then: radpipe run {workflow} --out runs/{workflow.parent.resolve().name or 'mine'}")


def _init_ingested(folder: Path, manifest: Path, workflow: Path, outcomes: Path | None, outcome: str) -> None:
    from radpipe.core.intake_tables import MANIFEST
    from radpipe.core.registry import nearest
    from radpipe.errors import CohortError
    from radpipe.io.files import write_bytes
    from radpipe.io.tables import read_text_table

    if outcomes is not None:
        raise CohortError(
            "the outcomes of this cohort are joined when it is made.",
            hint=f"radpipe ingest ... --out {folder} --outcomes {outcomes} --id-column NAME --redo",
            path=folder,
        )
    if workflow.exists():
        raise CohortError("is there already.", hint="Remove it, or name another folder with --out.", path=workflow)
    frame = read_text_table(manifest)
    if not len(frame):
        raise CohortError("the cohort has no case.", hint="See its ingest.csv for what was left, and why.", path=manifest)
    others = [name for name in frame.columns if name not in {column.name for column in MANIFEST.columns}]
    there = outcome in others
    if others and not there:
        raise CohortError(
            f"there is no column {outcome!r}.{nearest(outcome, others)} The columns are: {', '.join(others)}.",
            hint="Say --outcome COLUMN.",
            path=manifest,
        )
    if not there:
        frame[outcome] = ""
    workflow.parent.mkdir(parents=True, exist_ok=True)
    # A sheet may hold what was known only afterwards, so its columns are named and not taken.
    text = _workflow(folder, frame, _from(workflow.parent, manifest), outcome, [], [name for name in others if name != outcome])
    write_bytes(workflow, text.encode())
    counted = ", ".join(f"{n} {name}" for name, n in Counter(frame["modality"]).items())
    click.echo(f"{manifest}: {len(frame)} cases ({counted})")
    if not there:
        click.echo(
            f"  it has no outcome: add the column {outcome!r}, or join a sheet: radpipe ingest ... --outcomes FILE --id-column NAME"
        )
    click.echo(f"{workflow}: look at it, then: radpipe run {workflow} --out runs/{folder.resolve().name}")


def _workflow(
    folder: Path, frame: pd.DataFrame, manifest: str, outcome: str, clinical: list[str], offered: Sequence[str] = ()
) -> str:
    """offered : columns that could be clinical."""
    common = Counter(frame["modality"]).most_common(1)[0][0] or "CT"
    values = sorted(set(frame[outcome]) - {""})
    text = set(values) - {"0", "1"}
    return WORKFLOW.format(
        name="".join(c if c.isalnum() else "_" for c in folder.resolve().name).strip("_") or "cohort", outcome=json.dumps(outcome),
        manifest=json.dumps(manifest) if manifest != "manifest.csv" else manifest,
        positive=f"\n  positive: {json.dumps(values[-1])}            # the value that counts as the event" if text and len(values) == 2 else "",
        clinical=", ".join(map(json.dumps, clinical)), spacing=SPACING[common], setting=SETTINGS[common],
        columns="".join(f"\n    # {json.dumps(name)}" for name in offered),
        clinical_model="  clinical: {kind: logistic, inputs: clinical}\n" if clinical else "", patients=_patients(frame),
    )  # fmt: skip


def _patients(frame: pd.DataFrame) -> str:
    """The section that makes one row of a patient's several regions and modalities; nothing where each has one."""
    if "patient_id" not in frame.columns or not frame["patient_id"].duplicated().any() or "" in set(frame["modality"]):
        return ""
    counts = frame.drop_duplicates(["patient_id", "modality"])["modality"].value_counts()
    # The first is the one that a network looks at: that of most patients.
    order = sorted(counts.index, key=lambda name: (-counts[name], name))
    lines = [
        "", "patients:                     # one row of features a patient, for several regions and modalities",
        "  rule: largest               # or primary (and primary: NAME), sum, weighted_mean; see docs/patients.md",
        f"  blocks: [{', '.join(order)}]".ljust(30) + f"# a block of columns each, as {order[0]}__original_...; networks look at the first",
    ]  # fmt: skip
    if len(order) > 1:
        lines.append("  params:                     # in place of features.params, whose bin width suits one modality only")
        lines += [
            f"    {name}: {{setting: {SETTINGS[name].partition('   #')[0]}, imageType: {{Original: {{}}}}}}" for name in order
        ]
    return "\n".join(lines) + "\n"


def _from(out: Path, path: Path) -> str:
    """Relative to the manifest where it lies below it or beside it, so that the folder can be moved as a whole."""
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()


def _join(frame: pd.DataFrame, outcomes: Path, outcome: str) -> tuple[pd.DataFrame, list[str]]:
    """The manifest with the outcome's and clinical columns; ids that match nothing are said, never guessed."""
    from radpipe.core.registry import nearest
    from radpipe.errors import CohortError
    from radpipe.io.tables import read_text_table

    table = read_text_table(outcomes)
    key = next((name for name in ("case_id", "patient_id") if name in table.columns), None)
    if key is None:
        raise CohortError("there is no column case_id or patient_id.", hint="Name the column of ids so.", path=outcomes)
    if outcome not in table.columns:
        raise CohortError(
            f"there is no column {outcome!r}.{nearest(outcome, table.columns)}", hint="Say --outcome COLUMN.", path=outcomes
        )
    if table[key].duplicated().any():
        raise CohortError(
            f"{key} {table[key][table[key].duplicated()].iloc[0]!r} stands twice.", hint="One row each.", path=outcomes
        )
    new = [name for name in table.columns if name not in frame.columns]
    joined = frame.merge(table[[key, *new]], on=key, how="left").fillna("")
    without = sorted(set(frame[key]) - set(table[key]))
    if len(without) == len(frame):
        raise CohortError(
            f"no {key} is in both: {outcomes.name} has {table[key].iloc[0]!r}, the folder gives {frame[key].iloc[0]!r}.",
            hint="Make the ids alike.", path=outcomes,
        )  # fmt: skip
    for name in without:
        click.echo(f"  no outcome for {key} {name}")
    return joined, [name for name in new if name != outcome]
