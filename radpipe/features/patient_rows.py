"""Regions of a patient -> one row a patient: which regions count, what is added, and why a value is missing.

Columns are named ``<block>__<feature>``: ``PET__original_glcm_JointEntropy`` is PyRadiomics' feature of the patient's PET.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from radpipe.features.patient_settings import PatientSettings

JOIN = "__"
Values = Mapping[Any, Mapping[Any, Any]]  # case -> feature -> value
# Of disjoint regions these are the sum of the parts'. A length, a mean, an entropy or a diameter is not.
ADDITIVE_UNITS = frozenset({"mm2", "mm3", "intensity mm3", "intensity2 mm3", "response mm3", "response2 mm3"})
# Sums of squared intensities over voxels; Variance has the same unit and is a mean.
_ADDITIVE_NAMES = frozenset({"Energy", "IntensityBasedEnergy"})

REASONS = {
    "block-missing": "The patient has no region of this modality.",
    "no-primary": "No region of this modality bears the name of the primary one.",
    "no-such-region": "This modality has no region of the name that was taken in the modality before it.",
    "region-failed": "A region that the rule needs could not be measured; the table of failures says why.",
    "several-primary": "Several regions of this modality bear the name of the primary one.",
    "region-twice": "A region stands on two images of this modality, and would be counted twice.",
    "several-images": "Regions without names lie on several images of this modality, so nobody can say which are the same.",
    "not-of-this-region": "The modality's settings do not ask for this feature.",
}
"""Why a whole block of a patient has no value."""
PROBLEMS = {
    "several-primary": "Name one region with patients.primary, or tell the names apart in the manifest's column roi.",
    "region-twice": "Keep one image a modality in the manifest, or name the images apart with patients.block.",
    "several-images": "Give the regions names in the manifest's column roi, or keep one image a modality.",
}
"""Reasons that somebody must decide about -> what to do; they are failures, the others are facts."""


@dataclass(frozen=True)
class Region:
    """A row of the manifest. volume_ml : None where the region could not be measured. image : tells images apart."""

    case_id: str
    patient_id: str
    block: str
    roi: str
    image: str
    volume_ml: float | None

    @property
    def name(self) -> str:
        return self.roi.casefold()


@dataclass(frozen=True)
class Choice:
    """What a block of one patient is made from. weights : case -> weight in a mean (its volume, ml); one case where one region is taken.
    largest : the largest of them.

    reason : of :data:`REASONS` where nothing can be made. cases : those it is about.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    largest: str = ""
    reason: str = ""
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class PatientRows:
    """rows : patient_id, case_id and the features. patients, regions : rows of the tables PATIENTS and PATIENT_REGIONS.

    undefined : case_id, feature, value, reason, meaning. dictionary : rows of FEATURE_DICTIONARY. problems : (patient, block, reason,
    cases) that somebody must decide about. without : patients of whom no row could be made, with the reason of each block.
    """

    rows: list[dict[str, Any]]
    patients: list[dict[str, Any]]
    regions: list[dict[str, Any]]
    undefined: list[dict[str, Any]]
    dictionary: list[dict[str, Any]]
    problems: list[tuple[str, str, str, tuple[str, ...]]]
    without: dict[str, dict[str, str]]


def is_additive(entry: Mapping[str, Any]) -> bool:
    """Whether the feature of several disjoint regions together is the sum of theirs. entry : its row of the feature dictionary."""
    return entry["unit"] in ADDITIVE_UNITS or entry["feature"] in _ADDITIVE_NAMES


def column_of(block: str, feature: str) -> str:
    return f"{block}{JOIN}{feature}"


def patient_rows(
    regions: Sequence[Region],
    features: pd.DataFrame,
    dictionaries: Mapping[str, Sequence[Mapping[str, Any]]],
    undefined: pd.DataFrame,
    settings: PatientSettings,
    *,
    blocks: Sequence[str],
    first_block_needed: bool = False,
) -> PatientRows:
    """One row for every patient with a value in any block.

    regions : all of the manifest's, those that failed too. features : index case_id, of the regions that were measured.
    dictionaries : block -> the feature dictionary of its settings. undefined : case_id, feature, reason, meaning of region values.
    blocks : in order. first_block_needed : a patient without a value in the first block gets no row (an image model could not
    look at it).
    """
    why = {(row["case_id"], row["feature"]): (row["reason"], row["meaning"]) for row in undefined.to_dict("records")}
    values: Values = features.to_dict("index")
    how = {block: _plans(block, dictionaries[block], settings) for block in blocks}
    made = PatientRows([], [], [], [], [_entry(block, *plan) for block in blocks for plan in how[block]], [], {})
    measured = set(features.index)
    by_patient: dict[str, list[Region]] = defaultdict(list)
    for region in regions:
        by_patient[region.patient_id].append(region)
    for patient in sorted(by_patient):
        own = by_patient[patient]
        # A row whose modality is not known (it failed for that) may be of any.
        everywhere = [replace(region, block=block) for region in own if not region.block for block in blocks]
        chosen = choose_regions([*own, *everywhere], measured, settings, blocks)
        made.problems.extend((patient, block, c.reason, c.cases) for block, c in chosen.items() if c.reason in PROBLEMS)
        usable = [block for block in blocks if chosen[block].weights]
        if not usable or (first_block_needed and usable[0] != blocks[0]):
            made.without[patient] = {block: chosen[block].reason for block in blocks if chosen[block].reason}
            continue
        _add_patient(made, patient, own, chosen, usable, values, how, why, settings)
    return made


def _add_patient(
    made: PatientRows,
    patient: str,
    own: Sequence[Region],
    chosen: Mapping[str, Choice],
    usable: Sequence[str],
    features: Values,
    how: Mapping[str, list[tuple[Mapping[str, Any], str]]],
    why: Mapping[tuple[str, str], tuple[str, str]],
    settings: PatientSettings,
) -> None:
    stands_for = chosen[usable[0]].largest
    volumes = {region.case_id: region.volume_ml for region in own}
    row: dict[str, Any] = {"patient_id": patient, "case_id": stands_for}
    for block, plans in how.items():
        choice = chosen[block]
        for entry, rule in plans:
            name, column = str(entry["name"]), column_of(block, str(entry["name"]))
            if choice.reason:
                row[column], reason = math.nan, (choice.reason, REASONS[choice.reason])
            else:
                weights = {choice.largest: 1.0} if rule in ("primary", "largest") else choice.weights
                row[column] = _value(features, name, weights, rule)
                reason = next((why[case, name] for case in weights if (case, name) in why), ("", ""))
            if reason[0]:
                made.undefined.append(
                    {"case_id": stands_for, "feature": column, "value": row[column], "reason": reason[0], "meaning": reason[1]}
                )
    made.rows.append(row)
    taken = {case for choice in chosen.values() for case in _used(choice, settings)}
    made.patients.append(
        {
            "patient_id": patient, "case_id": stands_for, "blocks": " ".join(usable), "regions": len(taken),
            "volume_ml": sum(volumes[case] or 0.0 for case in _used(chosen[usable[0]], settings)),
        }
    )  # fmt: skip
    for region in sorted(own, key=lambda region: region.case_id):
        choice = chosen.get(region.block, Choice())
        weight = choice.weights.get(region.case_id, 0.0) if region.case_id in taken else 0.0
        if settings.rule == "sum" and weight:
            weight = 1.0
        elif settings.rule == "weighted_mean" and weight:
            weight /= math.fsum(choice.weights.values())
        made.regions.append(
            {
                "case_id": region.case_id, "patient_id": patient, "block": region.block, "roi": region.roi,
                "volume_ml": math.nan if region.volume_ml is None else region.volume_ml, "used": region.case_id in taken, "weight": weight,
            }
        )  # fmt: skip


def _used(choice: Choice, settings: PatientSettings) -> list[str]:
    return [choice.largest] if settings.one_region and choice.weights else list(choice.weights)


def _value(features: Values, name: str, weights: Mapping[str, float], rule: str) -> float:
    """NaN where any region that counts has none: a sum or mean of the rest would be another quantity."""
    values = [float(features[case].get(name, math.nan)) for case in weights]
    if rule == "sum":
        return math.fsum(values)
    if len(values) == 1:
        return values[0]
    total = math.fsum(weights.values())
    return math.fsum(value * weight for value, weight in zip(values, weights.values(), strict=True)) / total


def _plans(block: str, dictionary: Sequence[Mapping[str, Any]], settings: PatientSettings) -> list[tuple[Mapping[str, Any], str]]:
    """The columns of a block, each with its rule."""
    if settings.rule != "sum":
        return [(entry, settings.rule) for entry in dictionary]
    plans = [(entry, "sum" if is_additive(entry) else settings.others) for entry in dictionary]
    return [(entry, rule) for entry, rule in plans if rule != "leave_out"]


_IN_WORDS = {
    "primary": "of the patient's primary region",
    "largest": "of the patient's largest region",
    "sum": "added over the patient's regions",
    "weighted_mean": "mean over the patient's regions, weighted by volume",
}


def _entry(block: str, entry: Mapping[str, Any], rule: str) -> dict[str, Any]:
    meaning = f"{str(entry['meaning']).removesuffix('.')}; {_IN_WORDS[rule]} in {block}."
    return {**entry, "name": column_of(block, str(entry["name"])), "meaning": meaning, "modality": block, "aggregation": rule}


# which regions


def choose_regions(
    regions: Sequence[Region], measured: Collection[str], settings: PatientSettings, blocks: Sequence[str]
) -> dict[str, Choice]:
    """Block -> the regions of one patient that it is made from.

    Within a block: those of the primary name, the largest, or all. Where regions have names, later blocks take the names that the
    first block with regions took. A region that counts and was not measured leaves the block without a value.
    """
    found: dict[str, Choice] = {}
    names: frozenset[str] | None = None
    for block in blocks:
        own = sorted((region for region in regions if region.block == block), key=lambda region: region.case_id)
        choice = _choose(own, measured, settings, names if settings.same_region else None)
        found[block] = choice
        if names is None and choice.weights:
            taken = {region.name for region in own if region.case_id in _used(choice, settings)}
            names = frozenset(taken) if all(taken) else None
    return found


def _choose(own: Sequence[Region], measured: Collection[str], settings: PatientSettings, names: frozenset[str] | None) -> Choice:
    if not own:
        return Choice(reason="block-missing")
    if settings.rule == "primary":
        pattern = str(settings.primary).casefold()
        own = [region for region in own if fnmatchcase(region.name, pattern)]
        if not own:
            return Choice(reason="no-primary")
    if names is not None and settings.rule != "primary" and any(region.name for region in own):
        own = [region for region in own if region.name in names]
        if not own or (not settings.one_region and {region.name for region in own} != names):
            return Choice(reason="no-such-region")
    cases = tuple(region.case_id for region in own)
    twice = len({region.name for region in own if region.name}) < sum(1 for region in own if region.name)
    if twice:
        return Choice(reason="several-primary" if settings.rule == "primary" else "region-twice", cases=cases)
    if settings.rule == "primary" and len(own) > 1:
        return Choice(reason="several-primary", cases=cases)
    if len(own) > 1 and not all(region.name for region in own) and len({region.image for region in own}) > 1:
        return Choice(reason="several-images", cases=cases)
    volumes = {region.case_id: region.volume_ml for region in own if region.case_id in measured and region.volume_ml is not None}
    if len(volumes) < len(own):
        return Choice(reason="region-failed", cases=cases)
    largest = max(volumes, key=lambda case: volumes[case])  # the first by id of equally large ones
    if settings.one_region:
        return Choice({largest: 1.0}, largest, cases=cases)
    return Choice(volumes, largest, cases=cases)
