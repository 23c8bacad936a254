"""Values of pyradiomics 3.0.1, run here: what radpipe's own engine must give.

    python tests/reference/make_pyradiomics_oracle.py             writes pyradiomics_oracle.csv.gz (after `make pyradiomics`)
    python tests/reference/make_pyradiomics_oracle.py --compare   runs both engines live and prints how far apart they are

The first takes some ten minutes, keeps what it has in build/pyradiomics_oracle and goes on from there. The file has one row a case,
setting and image type; an empty cell is a feature that was not asked for. repr gives every bit back.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import importlib.util
import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

import pyradiomics_cases as cases  # noqa: E402 (beside this file)
import random_settings  # noqa: E402
from pyradiomics_cases import CLASSES, from_itk, phantoms, settings_for, to_itk  # noqa: E402, F401 (tests and benchmarks ask here)

ORACLE = HERE / "pyradiomics_oracle.csv.gz"
WORK = HERE.parents[1] / "build" / "pyradiomics_oracle"
FACTS = ("case", "setting", "image_type", "refused")


def ready() -> Any:
    """pyradiomics' extractor class, quiet, and with what newer scipy has taken away that its LBP3D asks for."""
    import scipy.special

    if not hasattr(scipy.special, "sph_harm"):  # gone since scipy 1.17; without it pyradiomics leaves LBP3D out in silence
        scipy.special.sph_harm = lambda m, n, theta, phi: scipy.special.sph_harm_y(n, m, phi, theta)
    for name in ("skimage.feature", "trimesh"):  # likewise
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            sys.exit(f"{name} is not installed: run `make pyradiomics` again")
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    logging.getLogger("pykwalify").setLevel(logging.CRITICAL)
    return featureextractor.RadiomicsFeatureExtractor


def pyradiomics_row(image: sitk.Image, mask: sitk.Image, params: dict[str, Any]) -> dict[str, float]:
    """Column -> value, without diagnostics_*; raises what pyradiomics raises."""
    # pyradiomics sets this for the whole process and never takes it back.
    sitk.ProcessObject.SetGlobalDefaultCoordinateTolerance(1e-6)
    sitk.ProcessObject.SetGlobalDefaultDirectionTolerance(1e-6)
    extractor = ready()(json.loads(json.dumps(params)))
    row = extractor.execute(image, mask)
    return {name: float(np.asarray(value)) for name, value in row.items() if not name.startswith("diagnostics_")}


def write(data: Path, only: str | None) -> None:
    """Run what is not in WORK yet, then pack all of it. gzip without a time stamp: the same values, the same bytes."""
    WORK.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    for case, setting, params, read in _everything(data):
        key = hashlib.sha256(json.dumps([case, params]).encode()).hexdigest()[:16]
        kept = WORK / f"{case}-{setting}-{key}.json"
        if not kept.is_file() and (only is None or only in f"{case}-{setting}"):
            found: dict[str, Any]
            try:
                found = {"row": {name: repr(value) for name, value in pyradiomics_row(*read(), params).items()}}
            except Exception as error:  # what it refuses is part of what it does
                found = {"refused": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]}
            kept.with_suffix(".tmp").write_text(json.dumps(found))
            kept.with_suffix(".tmp").replace(kept)
            print(case, setting, found.get("refused", len(found.get("row", ()))), f"{os.times().user:.0f} s", flush=True)
        if kept.is_file():
            rows += _as_rows(case, setting, json.loads(kept.read_text()))
    rows.sort(key=lambda row: row["setting"].startswith("random"))  # so that columns stand in the order of a default extraction
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in FACTS))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*FACTS, *columns], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with ORACLE.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=9) as packed:
        packed.write(text.getvalue().encode())
    print(f"{ORACLE}: {len(rows)} rows, {ORACLE.stat().st_size / 1e6:.2f} MB")


def _everything(data: Path) -> Any:
    """(case, setting, parameters, a function that reads image and mask), quick ones first."""
    for drawn in random_settings.drawn():
        if random_settings.available(drawn["case"], data):
            yield drawn["case"], drawn["id"], drawn["params"], lambda drawn=drawn: random_settings.read(drawn["case"], data)
    for case, setting, params in cases.jobs(data):
        yield case, setting, params, lambda case=case: cases.read(case, data)


def _as_rows(case: str, setting: str, found: dict[str, Any]) -> list[dict[str, str]]:
    facts = {"case": case, "setting": setting, "image_type": "", "refused": ""}
    if "refused" in found:
        return [{**facts, "refused": found["refused"]}]
    by_type: dict[str, dict[str, str]] = {}
    for column, value in found["row"].items():
        image_type, family, feature = column.rsplit("_", 2)
        by_type.setdefault(image_type, {**facts, "image_type": image_type})[f"{family}_{feature}"] = value
    return list(by_type.values())


def stored() -> dict[tuple[str, str], dict[str, float] | str]:
    """(case, setting) -> pyradiomics' row, or its words where it refused."""
    found: dict[tuple[str, str], Any] = {}
    with gzip.open(ORACLE, "rt", newline="") as file:
        for row in csv.DictReader(file):
            key = row["case"], row["setting"]
            if row["refused"]:
                found[key] = row["refused"]
                continue
            values = found.setdefault(key, {})
            values |= {f"{row['image_type']}_{name}": float(v) for name, v in row.items() if v != "" and name not in FACTS}
    return found


def compare(data: Path, only: str | None) -> int:
    """Print the largest difference of every case and setting over what it may be; 1 where one is beyond it."""
    from radpipe.compat import RadiomicsFeatureExtractor
    from radpipe.errors import RadpipeError
    from radpipe.features.parity import off

    logging.getLogger("radpipe").setLevel(logging.ERROR)
    worst = 0.0
    for case, name, params, read in _everything(data):
        if only is not None and only not in f"{case}-{name}":
            continue
        image, mask = read()
        try:
            theirs: Any = pyradiomics_row(image, mask, params)
        except Exception as error:
            theirs = str(error).partition("\n")[0]
        try:
            ours: Any = RadiomicsFeatureExtractor(json.loads(json.dumps(params))).execute(image, mask)
            ours = {column: float(value) for column, value in ours.items() if not column.startswith("diagnostics_")}
        except RadpipeError as error:
            ours = str(error)
        if isinstance(ours, str) or isinstance(theirs, str):
            refused = "both refuse" if isinstance(ours, str) and isinstance(theirs, str) else "ONE REFUSES, see docs/parity.md"
            print(f"{case:16} {name:20} {refused}: {ours if isinstance(ours, str) else theirs}", flush=True)
            continue
        found = off(ours, theirs)
        feature, share = max(found.items(), key=lambda item: item[1])
        worst = max(worst, share)
        print(f"{case:16} {name:20} {len(found):4d} features, worst {feature}: {share:.3g} of its bound", flush=True)
    print(f"worst of all: {worst:.3g} of its bound ({'within' if worst <= 1 else 'BEYOND'})")
    return int(worst > 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", action="store_true", help="run both engines live instead of writing")
    parser.add_argument("--only", help="run only what has this in CASE-SETTING; when writing, the rest is taken as it was kept")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RADPIPE_DATA", HERE.parents[2] / "shared" / "data")))
    arguments = parser.parse_args()
    if importlib.util.find_spec("radiomics") is None:
        sys.exit("pyradiomics is not installed here: run `make pyradiomics` first")
    sys.exit(compare(arguments.data, arguments.only) if arguments.compare else write(arguments.data, arguments.only))
