"""An old table of PyRadiomics replayed: the same cases and settings by radpipe's engine, and what differs, feature by feature."""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from radpipe.core.registry import lookup
from radpipe.errors import CohortError, ConfigError
from radpipe.features.config import FeatureSettings
from radpipe.features.parameters import INTERPOLATORS
from radpipe.features.registry import FAMILIES
from radpipe.stages.cases import TableCase, TableCases
from radpipe.stages.parameter_file import checked_settings
from radpipe.stages.tabulate import Measured

COLUMNS = ("case_id", "row", "feature", "old", "new", "difference", "times_allowed", "verdict")
_CONFIGURATION = "diagnostics_Configuration_"
_HASHES = ("diagnostics_Image-original_Hash", "diagnostics_Mask-original_Hash")
_VOXELWISE = ("kernelRadius", "maskedKernel", "initValue", "voxelBatch")
_IDS = ("case_id", "ID", "Patient", "PatientID", "patient_id")


@dataclass(frozen=True)
class OldTable:
    """rows : every cell text. features : columns of features that radpipe knows. left_out : of those it does not."""

    path: Path
    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    features: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Replay:
    """entries : rows of COLUMNS, one a case and feature. unmatched : what of either table has no partner, in words."""

    entries: list[dict[str, Any]]
    unmatched: list[str]

    def count(self, *verdicts: str) -> int:
        return sum(entry["verdict"] in verdicts for entry in self.entries)

    def by_feature(self) -> list[tuple[str, int, float]]:
        """(feature, cases that differ, the largest difference as a share of the old value), the worst first.

        Infinite, and last, where only one table has the feature, or one of the two values is none.
        """
        found: dict[str, list[float]] = defaultdict(list)
        for entry in self.entries:
            if entry["verdict"] == "differs":
                found[entry["feature"]].append(abs(entry["difference"] / entry["old"]) if entry["old"] else math.inf)
            elif entry["verdict"] in ("only old", "only new"):
                found[entry["feature"]].append(math.inf)
        listed = [(name, len(shares), max(shares)) for name, shares in found.items()]
        return sorted(listed, key=lambda item: (math.isinf(item[2]), -item[2], item[0]))


def read_old(path: Path) -> OldTable:
    """A table that PyRadiomics (or radpipe) wrote as CSV. CohortError where it holds no feature."""
    from radpipe.io.tables import read_text_table

    frame = read_text_table(path)
    columns = tuple(str(name) for name in frame.columns)
    features = tuple(name for name in columns if _feature(name))
    if not features:
        raise CohortError(
            "it has no column named <imageType>_<class>_<Feature>.", hint="Give the table PyRadiomics wrote (-f csv).", path=path
        )
    shaped = [name for name in columns if len(name.rsplit("_", 2)) == 3 and not name.startswith("diagnostics_")]
    left_out = tuple(name for name in shaped if name not in features and name.rsplit("_", 2)[1] in FAMILIES)
    rows = [{str(name): _text(cell) for name, cell in record.items()} for record in frame.to_dict("records")]
    return OldTable(path, columns, rows, features, left_out)


def settings_of(old: OldTable, given: FeatureSettings | None) -> FeatureSettings:
    """The settings to replay: those given, or those the old table's diagnostics tell; and just the features it has.

    ConfigError where it tells none, or not the same for all its cases.
    """
    if given is not None:
        return given
    texts = {name: {row.get(_CONFIGURATION + name, "") for row in old.rows} - {""} for name in ("Settings", "EnabledImageTypes")}
    if not all(texts.values()):
        raise ConfigError(
            "the old table does not tell its settings (it has no diagnostics_Configuration columns).",
            hint="Say which parameter file it was made with: -p Params.yaml.", path=old.path,
        )  # fmt: skip
    told = {name: _one(name, [_literal(text, old.path) for text in sorted(found)], old.path) for name, found in texts.items()}
    setting = {name: value for name, value in told["Settings"].items() if name not in ("label", "label_channel")}
    if isinstance(setting.get("interpolator"), int):
        setting["interpolator"] = _interpolator(setting["interpolator"])
    classes: dict[str, list[str]] = defaultdict(list)
    for column in old.features:
        _, family, name = column.rsplit("_", 2)
        if name not in classes[family]:
            classes[family].append(name)
    params = {
        "setting": {name: value for name, value in setting.items() if name not in _VOXELWISE},
        "voxelSetting": {name: value for name, value in setting.items() if name in _VOXELWISE},
        "imageType": told["EnabledImageTypes"],
        "featureClass": dict(classes),
    }
    return checked_settings({"params": params}, old.path)


def pair_up(old: OldTable, cases: TableCases) -> tuple[TableCases, dict[int, dict[str, str]], list[str]]:
    """(the cases that have an old row, their old rows by the case's row, what has no partner).

    By the column of ids where both tables have the same one, and by the names of the files where not; with the label, and
    never by the place in the file. A case without a label takes that of its old row.
    """
    identity = next((name for name in _IDS if name in old.columns and name in cases.columns), None)
    if identity and any(
        len({row[identity] for row in rows}) < len(rows) for rows in (old.rows, [case.cells for case in cases.cases])
    ):
        identity = None  # several regions of one patient: their files tell them apart
    found: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for row in old.rows:
        found[_key_of_old(row, identity)].append(row)
    rows: dict[int, dict[str, str]] = {}
    kept: list[TableCase] = []
    unmatched: list[str] = []
    taken: set[int] = set()
    for case in cases.cases:
        names = _key_of_case(case, identity)
        candidates = [row for row in found.get(names, []) if case.label is None or _label(row) in (None, case.label)]
        if len(candidates) != 1:
            how = "no row" if not candidates else f"{len(candidates)} rows"
            unmatched.append(f"case {case.case_id} (row {case.row}) has {how} in the old table ({', '.join(names)})")
            continue
        rows[case.row] = candidates[0]
        taken.add(id(candidates[0]))
        kept.append(case if case.label is not None else replace(case, label=_label(candidates[0])))
    for row in old.rows:
        if id(row) not in taken:
            unmatched.append(f"the old row {', '.join(_key_of_old(row, identity))} is of no case")
    if not kept:
        raise CohortError(
            f"no case is in both tables ({unmatched[0]}).",
            hint="Give both the same column of ids, or the same names of files.", path=old.path,
        )  # fmt: skip
    return replace(cases, cases=tuple(kept)), rows, unmatched


def compare(measured: Sequence[Measured], old_rows: dict[int, dict[str, str]], old: OldTable, unmatched: Iterable[str]) -> Replay:
    """What differs, case by case. Verdicts: same, differs, only old, only new, and input differs (by the hashes)."""
    from radpipe.features.parity import off

    entries: list[dict[str, Any]] = []
    without = list(unmatched)
    for item in measured:
        if item.result is None:
            continue
        case, row = item.case, old_rows[item.case.row]
        place = {"case_id": case.case_id, "row": case.row}
        theirs = {name: _number(row[name], name, case, old.path) for name in old.features if row[name] != ""}
        if not theirs:
            without.append(f"case {case.case_id} (row {case.row}) has no values in the old table")
            continue
        for name in _HASHES:
            then, now = row.get(name, ""), str(item.result["diagnostics"].get(name, ""))
            if then and now and then != now:
                entries.append({**place, "feature": name, "old": then, "new": now, "verdict": "input differs"})
        ours = {name: float(value) for name, value in item.result["features"].items()}
        for name, share in off(ours, theirs).items():
            then_value, now_value = theirs.get(name), ours.get(name)
            verdict = (
                "only new" if then_value is None else "only old" if now_value is None else "same" if share <= 1 else "differs"
            )
            difference = math.nan if then_value is None or now_value is None else now_value - then_value
            entries.append(
                {**place, "feature": name, "old": then_value, "new": now_value, "difference": difference,
                 "times_allowed": share, "verdict": verdict}
            )  # fmt: skip
    return Replay(entries, without)


def _feature(column: str) -> bool:
    parts = column.rsplit("_", 2)
    if len(parts) != 3 or parts[0] == "diagnostics" or parts[1] not in FAMILIES:
        return False
    return any(feature.name == parts[2] for feature in lookup(FAMILIES, parts[1], "feature class").features)


def _text(cell: Any) -> str:
    return "" if cell != cell or cell is None else str(cell)


def _number(text: str, name: str, case: TableCase, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise CohortError(
            f"{name} is {text!r}, not a number.", hint="Correct or empty the cell.", case_id=case.case_id, path=path
        ) from None


def _literal(text: str, path: Path) -> dict[str, Any]:
    """A mapping as Python writes it; ``nan`` (initValue's) too."""
    try:
        value = ast.literal_eval(text.replace(": nan", ": None"))
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"its diagnostics_Configuration cannot be read ({text[:60]!r}).", hint="Say -p.", path=path) from error
    if not isinstance(value, dict):
        raise ConfigError(f"its diagnostics_Configuration is no mapping ({text[:60]!r}).", hint="Say -p.", path=path)
    return value


def _one(name: str, values: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    own = ("label", "label_channel")  # of the case
    first, *others = [{key: value for key, value in entry.items() if key not in own} for entry in values]
    for other in others:
        different = sorted(key for key in first.keys() | other.keys() if first.get(key) != other.get(key))
        if different:
            key = different[0]
            raise ConfigError(
                f"its cases were not made with the same settings: {key} is {first.get(key)!r} and {other.get(key)!r}.",
                hint="Split the old table, or say -p Params.yaml.", path=path,
            )  # fmt: skip
    return first


def _interpolator(number: int) -> str | int:
    """SimpleITK's constants by name, in its present numbering and in the one it had until 2.2."""
    import SimpleITK as sitk

    present = {int(getattr(sitk, name)): name for name in INTERPOLATORS if hasattr(sitk, name)}
    return present.get(number, INTERPOLATORS[number - 1] if 1 <= number <= len(INTERPOLATORS) else number)


def _key_of_old(row: dict[str, str], identity: str | None) -> tuple[str, ...]:
    return (row[identity],) if identity else (_file(row, "Image", "image_path"), _file(row, "Mask", "mask_path"))


def _key_of_case(case: TableCase, identity: str | None) -> tuple[str, ...]:
    return (case.cells[identity],) if identity else (case.image.name, case.mask.name)


def _file(row: dict[str, str], *names: str) -> str:
    path = next((row[name] for name in names if row.get(name)), "")
    return path.replace("\\", "/").rpartition("/")[2]


def _label(row: dict[str, str]) -> int | None:
    """The label an old row was made with: of its own column, or of its diagnostics."""
    for name in ("Label", "label"):
        if row.get(name, "").isdigit():
            return int(row[name])
    settings = row.get(_CONFIGURATION + "Settings", "")
    if settings:
        value = _literal(settings, Path()).get("label")
        return value if isinstance(value, int) else None
    return None
