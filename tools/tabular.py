"""The public feature tables: each through input selection, the ANN and the references, into one table of docs/tabular.md.

``make tabular`` does it all. By steps: ``prepare`` writes a manifest and a features table of every set into runs/tabular/,
``run`` walks workflows/tabular/<set>.yaml, ``write`` makes docs/tabular.md from the runs that are there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "tabular"
WORKFLOWS = ROOT / "workflows" / "tabular"
PAGE = ROOT / "docs" / "tabular.md"
BEGIN, END = "<!-- table: tools/tabular.py write -->", "<!-- end of table -->"
MOSTLY_EMPTY = 100  # features without a value from which a row is taken for a patient whose extraction failed
VOLUME = "original_shape_VoxelVolume"


@dataclass(frozen=True)
class Set:
    """file : under tabular/. outcomes : columns that go into the manifest. volume : the lesion's volume. to_mm3 : its unit; None where
    it was standardised, so that it has no logarithm and enters as a clinical column. aside : beginnings of columns that are no features.
    """

    file: str
    identifier: str
    outcomes: tuple[str, ...]
    volume: str = ""
    to_mm3: float | None = None
    aside: tuple[str, ...] = ()


HOSNY = {"outcomes": ("surv2yr", "logit_0", "logit_1"), "volume": "original_shape_Volume", "to_mm3": 1.0, "aside": ("general_info_",)}
SETS: dict[str, Set] = {
    "Arita2018": Set("radmlbench/Arita2018.csv.gz", "ID", ("Target",), "T2_original_Total_Volume"),
    "Huang2023": Set("radmlbench/Huang2023.csv.gz", "ID", ("Target",), "MeshVolume"),
    "Keek2020": Set("radmlbench/Keek2020.csv.gz", "ID", ("Target",), "Shape_volume"),
    "Ramella2018": Set("radmlbench/Ramella2018.csv.gz", "ID", ("Target",)),
    "Sasaki2019": Set("radmlbench/Sasaki2019.csv.gz", "ID", ("Target",), "T1Gd_original_Total_Volume"),
    "Song2020": Set("radmlbench/Song2020.csv.gz", "ID", ("Target",), "T2_original_shape_Volume"),
    "HarvardRT": Set("hosny2018_nsclc_ct/HarvardRT.csv", "id", **HOSNY),  # type: ignore[arg-type]
    "Moffitt": Set("hosny2018_nsclc_ct/Moffitt.csv", "id", **HOSNY),  # type: ignore[arg-type]
    "MUMC": Set("hosny2018_nsclc_ct/MUMC.csv", "id", **HOSNY),  # type: ignore[arg-type]
    "Carvalho2018": Set(
        "carvalho2018_nsclc_pet_survival/development.csv", "row_id", ("Status", "Survival"), "Volume", 1000.0
    ),
}  # fmt: skip


def data_folder() -> Path:
    """Where the shared tables lie; an exit in words where they do not."""
    folder = Path(os.environ.get("RADPIPE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "tabular" / "index.csv").is_file():
        sys.exit(f"the feature tables are not at {folder / 'tabular'}; set RADPIPE_DATA to the folder that holds tabular/index.csv")
    return folder / "tabular"


def prepare(name: str, source: Path, folder: Path) -> list[str]:
    """Write manifest.csv and features.csv of a set; returns what was done besides, in words."""
    own = SETS[name]
    raw = pd.read_csv(source / own.file, dtype={own.identifier: "string"})
    said = []
    ids = raw[own.identifier].str.strip().fillna("")
    if (ids == "").any():
        said.append(f"{int((ids == '').sum())} rows without an id are named by their line")
        ids = ids.where(ids != "", [f"line_{place + 2}" for place in range(len(raw))])
    feature_names = [
        column for column in raw if column not in (own.identifier, *own.outcomes) and not str(column).startswith(own.aside or "\0")
    ]
    features = raw[feature_names].apply(pd.to_numeric, errors="coerce")
    features.columns = [str(column).strip().replace(" ", "_") for column in features]
    lost = features.isna().sum(axis=1) > MOSTLY_EMPTY
    if lost.any():
        said.append(f"left out {', '.join(ids[lost])}: more than {MOSTLY_EMPTY} features empty")
    # The same values to the last digit are the same lesion: one patient under two ids must not stand on two sides of a split.
    content = pd.Series([row.tobytes() for row in features.to_numpy(float)], index=features.index)
    first = content.map(dict(zip(content[::-1], ids[::-1], strict=True)))
    patients = ids.where(lost, first)
    twins = ids[(patients != ids) & ~lost]
    if len(twins):
        said.append(f"{', '.join(f'{twin} = {patients[place]}' for place, twin in twins.items())}: the same features, one patient")
    manifest = pd.DataFrame({"case_id": ids, "patient_id": patients, **{column: raw[column] for column in own.outcomes}})
    if own.to_mm3 is not None:
        features[VOLUME] = features[own.volume] * own.to_mm3
        if own.volume != VOLUME and own.to_mm3 == 1.0:
            features = features.drop(columns=own.volume)
    elif own.volume:
        manifest["volume_standardised"] = features[own.volume]
    folder.mkdir(parents=True, exist_ok=True)
    manifest[~lost].to_csv(folder / "manifest.csv", index=False)
    pd.concat([ids.rename("case_id"), features], axis=1)[~lost].to_csv(folder / "features.csv", index=False)
    return said


def run(names: Sequence[str], workers: int, repeats: int | None) -> None:
    """Walk the workflows, each into runs/tabular/<set>/run; what was computed before is found again."""
    from radpipe import pipeline
    from radpipe.config import load_workflow
    from radpipe.stages._progress import Progress

    for name in names:
        path, out = WORKFLOWS / f"{name}.yaml", RUNS / name / "run"
        workflow = load_workflow(path)
        if repeats:
            base = workflow.base
            workflow = workflow.model_copy(update={"splits": workflow.splits.model_copy(update={"repeats": repeats})})
            workflow._base = base
        print(name, flush=True)
        result = pipeline.run(
            workflow, out, invocation=(str(path.relative_to(ROOT)), str(out.relative_to(ROOT))), workers=workers,
            progress=Progress(quiet=True),
        )  # fmt: skip
        print(f"  {result.seconds:.0f} s, {sum(stage.failures for stage in result.stages)} failures", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("prepare", "run", "write", "all"))
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], help="default: every one")
    parser.add_argument("--repeats", type=int, help="of the cross-validation, in place of the workflows' 10")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    names = list(chosen.sets) or list(SETS)
    if chosen.step in ("prepare", "all"):
        source = data_folder()
        for name in names:
            for words in prepare(name, source, RUNS / name):
                print(f"{name}: {words}")
    if chosen.step in ("run", "all"):
        run(names, chosen.workers, chosen.repeats)
    if chosen.step in ("write", "all"):
        from tabular_page import write  # beside this file

        write(PAGE, RUNS, list(SETS))


if __name__ == "__main__":
    main()
