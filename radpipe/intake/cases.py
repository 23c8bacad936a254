"""Regions on images -> cases: their names, and what happens to regions that one name stands for."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from radpipe.intake.pairing import ImageFacts, Pair, RegionFacts
from radpipe.intake.region_names import RegionMap
from radpipe.intake.safe_names import distinct_names, safe_part

NOT_IN_MAP = "its name is not in the region map"
Source = tuple[str, int]  # key of a file of regions, number of a region in it


@dataclass(frozen=True)
class CaseFacts:
    """A row of the manifest to be. roi : its name there. sources : the regions it is made of; several where the user merges.

    image_name : of the image's file, without its ending; cases of one image share it. names : of the regions in the export.
    """

    case_id: str
    image_name: str
    image: str
    roi: str
    sources: tuple[Source, ...]
    names: tuple[str, ...]
    rule: str
    transferred: bool


@dataclass(frozen=True)
class LeftRegion:
    """A region on an image that is no case. fault : the user has to decide something before it can be one."""

    image: str
    sources: tuple[Source, ...]
    names: tuple[str, ...]
    case_id: str
    why: str
    hint: str = ""
    fault: bool = False


def unnamed_patient(*uids: str) -> str:
    """Who has no PatientID is known by the first UID there is (the study's): two such patients are never taken for one."""
    first = next((uid for uid in uids if uid), "")
    return f"unnamed-{hashlib.sha256(first.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def name_cases(
    images: Mapping[str, ImageFacts], regions: Mapping[str, RegionFacts], pairs: Sequence[Pair], *,
    region_map: RegionMap | None = None, merge: bool = False,
) -> tuple[list[CaseFacts], list[LeftRegion]]:  # fmt: skip
    """Cases named ``<patient>_<modality>[_<series number>]_<roi>`` in the order of the pairs, and the regions that are none.

    The series number is there where a patient has several series of a modality in the cohort; where two have one number, a
    letter follows it. Regions of one name on one image become name-1, name-2. With a region map, unmapped names are left, and
    two regions of an image that mean the same are merged (merge) or refused.
    """
    on_image: dict[str, dict[str, list[tuple[Pair, int, str]]]] = defaultdict(lambda: defaultdict(list))
    left: list[LeftRegion] = []
    for pair in pairs:
        names = {roi.number: roi.name.strip() or f"roi{roi.number}" for roi in regions[pair.region].rois}
        for number in pair.rois:
            name = names[number]
            meant = name if region_map is None else region_map.canonical(name)
            if meant is None:
                left.append(LeftRegion(pair.image, ((pair.region, number),), (name,), "", NOT_IN_MAP))
                continue
            folded = meant.casefold() if region_map is None else meant
            on_image[pair.image][folded].append((pair, number, meant))
    tokens = _series_tokens([images[key] for key in on_image])
    drafts: list[tuple[str, list[tuple[Pair, int]], str, str]] = []  # image, sources, roi, why it is refused
    for image, groups in on_image.items():
        for found in groups.values():
            sources = [(pair, number) for pair, number, _ in found]
            if len(found) == 1 or (region_map is not None and merge):
                drafts.append((image, sources, found[0][2], ""))
            elif region_map is not None:
                raw = [_name(regions, pair.region, number) for pair, number in sources]
                why = f"{len(raw)} regions of this image mean {found[0][2]!r}: {', '.join(map(repr, raw))}"
                drafts.append((image, sources, found[0][2], why))
            else:
                drafts += [
                    (image, [(pair, number)], f"{meant}-{at}", "") for at, (pair, number, meant) in enumerate(found, start=1)
                ]
    identity = {at: _identity(image, sources) for at, (image, sources, _, _) in enumerate(drafts)}
    stems = {key: (images[key].patient_id, images[key].modality, tokens[key]) for key in on_image}
    image_names = distinct_names(stems, {key: key for key in stems})
    ids = distinct_names({at: (*stems[image], safe_part(roi, "roi")) for at, (image, _, roi, _) in enumerate(drafts)}, identity)
    cases = []
    for at, (image, sources, roi, why) in enumerate(drafts):
        keys = tuple((pair.region, number) for pair, number in sources)
        names_there = tuple(_name(regions, *key) for key in keys)
        if why:
            hint = "Take one of the names out of the region map, or say --merge-rois to have them as one region."
            left.append(LeftRegion(image, keys, names_there, ids[at], f"{why}.", hint, True))
            continue
        rule = "; ".join(dict.fromkeys(pair.rule for pair, _ in sources))
        if len(sources) > 1:
            rule = f"{len(sources)} regions merged: {rule}"
        cases.append(
            CaseFacts(
                ids[at], image_names[image], image, roi, keys, names_there, rule, any(pair.transferred for pair, _ in sources)
            )
        )
    return cases, left


def _series_tokens(images: Sequence[ImageFacts]) -> dict[str, str]:
    grouped: dict[tuple[str, str], list[ImageFacts]] = defaultdict(list)
    for image in images:
        grouped[image.patient_id, image.modality].append(image)
    tokens = {}
    for group in grouped.values():
        if len(group) == 1:
            tokens[group[0].key] = ""
            continue
        numbers = Counter(image.number for image in group)
        seen: Counter[int | None] = Counter()
        for image in sorted(group, key=lambda image: (image.uid, image.key)):
            text = "" if image.number is None else str(image.number)
            if numbers[image.number] > 1:
                text += _letters(seen[image.number])
                seen[image.number] += 1
            tokens[image.key] = text or "x"
    return tokens


def _letters(at: int) -> str:
    """0, 1, ... 25, 26 -> a, b, ... z, aa."""
    text = ""
    while at >= 0:
        text = chr(ord("a") + at % 26) + text
        at = at // 26 - 1
    return text


def _name(regions: Mapping[str, RegionFacts], key: str, number: int) -> str:
    return next(roi.name.strip() or f"roi{number}" for roi in regions[key].rois if roi.number == number)


def _identity(image: str, sources: Sequence[tuple[Pair, int]]) -> str:
    return "\0".join([image, *(f"{pair.region}\0{number}" for pair, number in sources)])
