"""Which regions belong on which image, from the headers alone: what is paired, by which rule, and what is left and why.

The rules, in this order; nothing else is guessed:

1. A structure set or segmentation goes on the image series it refers to.
2. Its contours' frame of reference must be that series' own, or be linked to it by a spatial registration object. A structure
   set of another frame goes on the series all the same where its contours name that series' own slices: some programs give a
   new frame of reference to every structure set they write.
3. A series without regions of its own takes those that were drawn on another series of the same patient in the same frame of
   reference, or in one that is linked by a registration: the rule for the PET and the MR beside a planning CT.
4. Several structure sets of one series are all taken; which one is meant is not for us to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from radpipe.typing import FloatArray

Transfer = Literal["auto", "all", "none"]
TRANSFERS: tuple[Transfer, ...] = ("auto", "all", "none")
OWN, FRAME, REGISTERED = "own", "frame", "registration"
LinkOf = Callable[[str, str, str], FloatArray | None]  # patient_id, from frame, to frame -> 4 x 4 LPS to LPS mm


@dataclass(frozen=True)
class ImageFacts:
    """An image series by its headers. key : names it in this export. slices : its SOPInstanceUIDs."""

    key: str
    uid: str
    patient_id: str
    modality: str
    number: int | None
    description: str
    frame: str
    slices: frozenset[str]


@dataclass(frozen=True)
class RoiFacts:
    """A region of a file, not yet on a grid. number : its place in the file, from 0. frame : FrameOfReferenceUID of its
    positions; "" where it names none. drawn : False where it has a name only."""

    number: int
    name: str
    frame: str
    drawn: bool = True


@dataclass(frozen=True)
class RegionFacts:
    """A structure set or segmentation. key : names the file in this export. series : the series it refers to. slices : the
    SOPInstanceUIDs that its contours or frames name. number : SeriesNumber."""

    key: str
    kind: str  # RTSTRUCT or SEG
    sop_uid: str
    patient_id: str
    number: int | None
    label: str
    rois: tuple[RoiFacts, ...]
    series: frozenset[str] = frozenset()
    slices: frozenset[str] = frozenset()
    sha256: str = ""

    @property
    def order(self) -> tuple[object, ...]:
        """What comes first does not depend on where the file lies."""
        return (self.kind, self.number is None, self.number or 0, self.sop_uid, self.sha256)


@dataclass(frozen=True)
class Pair:
    """Regions of one file that go on one image by one rule. rois : their numbers. rule : for people, one sentence.

    how : OWN, FRAME or REGISTERED. transform : 4 x 4, LPS mm of the regions to LPS mm of the image; None: they are the same.
    transferred : drawn on another series.
    """

    image: str
    region: str
    rois: tuple[int, ...]
    how: str
    rule: str
    transferred: bool
    transform: FloatArray | None = None


@dataclass(frozen=True)
class Unpaired:
    """A file of regions (or some of its rois) that no image takes. fault : the case it would have been is missing for it."""

    region: str
    rois: tuple[int, ...]
    why: str
    hint: str
    fault: bool


@dataclass(frozen=True)
class Pairing:
    """pairs : in the order of images and regions. unpaired : what of the regions went nowhere. remarks : region key -> what
    the user should know of it although it was used. without : keys of the images that have no region."""

    pairs: tuple[Pair, ...]
    unpaired: tuple[Unpaired, ...]
    without: tuple[str, ...]
    remarks: Mapping[str, str] = field(default_factory=dict)


def pair_regions(
    images: Sequence[ImageFacts], regions: Sequence[RegionFacts], *, link: LinkOf = lambda *_: None, transfer: Transfer = "auto",
    absent: Mapping[str, str] | None = None,
) -> Pairing:  # fmt: skip
    """The rules above. link : the transform that registration objects give. absent : series UID -> why it is not among the
    images although it is in the export.

    transfer : "auto" as rule 3 says; "all" also to series that have regions of their own (names they have already are not
    taken twice) and from structure sets whose own series is not there; "none" leaves rule 3 out.
    """
    images = sorted(
        images, key=lambda image: (image.patient_id, image.modality, image.number is None, image.number or 0, image.key)
    )
    regions = sorted(regions, key=lambda region: (region.patient_id, *region.order))
    pairs: list[Pair] = []
    unpaired: list[Unpaired] = []
    remarks: dict[str, list[str]] = defaultdict(list)
    homes: dict[str, list[ImageFacts]] = {}
    for region in regions:
        homes[region.key], by_slices = _homes(region, images)
        if not homes[region.key]:
            continue
        if any(home.patient_id != region.patient_id for home in homes[region.key]):
            remarks[region.key].append("its PatientID is not that of the images it refers to; the images' is used")
        for home in homes[region.key]:
            found, refused = _own(region, home, by_slices, link)
            pairs += found
            unpaired += refused
    placed = {pair.image for pair in pairs}
    if transfer != "none":
        pairs += _transfers(images, regions, homes, placed, pairs, link, transfer)
    used = {pair.region for pair in pairs}
    for region in regions:
        if not homes[region.key] and region.key not in used:
            unpaired.append(_homeless(region, images, absent or {}, link))
    place = {image.key: at for at, image in enumerate(images)}
    rank = {region.key: at for at, region in enumerate(regions)}
    pairs.sort(key=lambda pair: (place[pair.image], pair.transferred, rank[pair.region], pair.rois))
    covered = {pair.image for pair in pairs}
    return Pairing(
        tuple(pairs),
        tuple(sorted(unpaired, key=lambda one: (rank[one.region], one.rois))),
        tuple(image.key for image in images if image.key not in covered),
        {key: "; ".join(texts) for key, texts in remarks.items()},
    )


def _homes(region: RegionFacts, images: Sequence[ImageFacts]) -> tuple[list[ImageFacts], bool]:
    """The images it refers to; and whether its contours name their very slices.

    The series that it names goes first: copies of a series may keep the UIDs of its slices. Of a series in several parts the
    slices tell which is meant; and they tell the series where the one that is named is not there.
    """
    by_series = [image for image in images if image.uid in region.series]
    by_slices = [image for image in by_series or images if image.slices & region.slices]
    return (by_slices, True) if by_slices else (by_series, False)


def _own(region: RegionFacts, home: ImageFacts, by_slices: bool, link: LinkOf) -> tuple[list[Pair], list[Unpaired]]:
    refers = "refers to this series"
    if home.uid not in region.series:
        refers = "its contours name slices of this series"
    pairs, refused = [], []
    for frame, rois in _by_frame(region.rois):
        transform = None
        how, rule = OWN, refers
        if frame and home.frame and frame != home.frame:
            transform = link(home.patient_id, frame, home.frame)
            if transform is not None:
                how, rule = REGISTERED, f"{refers}; moved into its frame of reference by a spatial registration object"
            elif by_slices and region.kind == "RTSTRUCT":
                rule = f"{refers}, although it has a frame of reference of its own"
            else:
                refused.append(
                    Unpaired(
                        region.key, rois,
                        f"it refers to {_named(home)}, but lies in another frame of reference, and no spatial registration object "
                        "links the two.",
                        "Export it again with its own series, or add the registration object to the export.",
                        True,
                    )
                )  # fmt: skip
                continue
        pairs.append(Pair(home.key, region.key, rois, how, rule, False, transform))
    return pairs, refused


def _transfers(
    images: Sequence[ImageFacts], regions: Sequence[RegionFacts], homes: Mapping[str, list[ImageFacts]], placed: set[str],
    own: Sequence[Pair], link: LinkOf, transfer: Transfer,
) -> list[Pair]:  # fmt: skip
    names = {(region.key, roi.number): roi.name.strip().casefold() for region in regions for roi in region.rois}
    there: dict[str, set[str]] = defaultdict(set)
    for pair in own:
        there[pair.image] |= {names[pair.region, roi] for roi in pair.rois}
    # A region that could not be put on the image it was drawn on is not carried to another.
    good = {(pair.region, roi) for pair in own for roi in pair.rois}
    empty = {(region.key, roi.number) for region in regions for roi in region.rois if not roi.drawn}
    pairs = []
    for image in images:
        if image.key in placed and transfer == "auto":
            continue
        for region in regions:
            mine = homes[region.key]
            patient = mine[0].patient_id if mine else region.patient_id
            if any(home.key == image.key for home in mine) or patient != image.patient_id or not (mine or transfer == "all"):
                continue
            source = f"drawn on {_named(mine[0])}" if mine else "drawn on a series that is not in the export"
            for frame, rois in _by_frame(region.rois):
                wanted = tuple(
                    roi
                    for roi in rois
                    if names[region.key, roi] not in there[image.key]
                    and (region.key, roi) not in empty
                    and (not mine or (region.key, roi) in good)
                )
                # The contours may have a frame of their own that only their slices tie to the image they were drawn on.
                start = mine[0].frame if mine and frame != image.frame and _tied(region, mine[0], own) else frame
                if not wanted or not start or not image.frame:
                    continue
                if start == image.frame:
                    pairs.append(
                        Pair(image.key, region.key, wanted, FRAME, f"transferred: {source}, in the same frame of reference", True)
                    )
                    continue
                transform = link(image.patient_id, start, image.frame)
                if transform is not None:
                    rule = f"transferred: {source}, linked by a spatial registration object"
                    pairs.append(Pair(image.key, region.key, wanted, REGISTERED, rule, True, transform))
    return pairs


def _tied(region: RegionFacts, home: ImageFacts, own: Sequence[Pair]) -> bool:
    return any(pair.region == region.key and pair.image == home.key and pair.how == OWN for pair in own)


def _homeless(region: RegionFacts, images: Sequence[ImageFacts], absent: Mapping[str, str], link: LinkOf) -> Unpaired:
    rois = tuple(roi.number for roi in region.rois)
    left = [absent[uid] for uid in sorted(region.series) if uid in absent]
    if left:
        return Unpaired(region.key, rois, f"the series it refers to was left: {left[0]}", "", False)
    frames = {roi.frame for roi in region.rois if roi.frame}
    near = [
        image for image in images
        if image.patient_id == region.patient_id
        and any(frame == image.frame or link(image.patient_id, frame, image.frame) is not None for frame in frames)
    ]  # fmt: skip
    what = "the series it refers to is not in the export." if region.series or region.slices else "it refers to no image series."
    hint = "Export the images it was drawn on too"
    if near:
        hint += f"; or say --transfer all to have it on {_named(near[0])}, which is in the same frame of reference"
    return Unpaired(region.key, rois, what, hint + ".", True)


def _by_frame(rois: Iterable[RoiFacts]) -> list[tuple[str, tuple[int, ...]]]:
    grouped: dict[str, list[int]] = defaultdict(list)
    for roi in rois:
        grouped[roi.frame].append(roi.number)
    return [(frame, tuple(numbers)) for frame, numbers in sorted(grouped.items())]


def _named(image: ImageFacts) -> str:
    number = f" series {image.number}" if image.number is not None else " series"
    return f"the {image.modality}{number}"


def as_rows(transform: FloatArray | None) -> list[list[float]] | None:
    """A transform as JSON has it."""
    return None if transform is None else np.asarray(transform, float).tolist()
