"""What a child does for ``radpipe ingest``: headers, one file of regions, one image series, regions on an image, a picture.

Every function takes a payload of JSON values and a folder to write into, and gives back a row of JSON values. Errors of one
region are values in the row: they must not cost the other regions of its file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radpipe.core.grid import Grid, grid_differences
from radpipe.core.image import UNITS, Image, Mask
from radpipe.errors import EmptyRoiError, GeometryError, RadpipeError
from radpipe.intake.discretion import Discretion
from radpipe.io.dicom import headers
from radpipe.io.dicom.geometry import Frame
from radpipe.io.dicom.scan import DicomFile, Left, Series, scan_shown
from radpipe.typing import FloatArray

if TYPE_CHECKING:
    from radpipe.io.dicom.seg import SegRegion

Payload = Mapping[str, Any]
Row = dict[str, Any]
IMAGE = "image.nii.gz"
PICTURE = "overlay.png"


def mask_name(number: int) -> str:
    return f"mask_{number}.nii.gz"


# headers


def discretion_of(payload: Payload) -> Discretion | None:
    """payload : key_file, the file of the secret, empty where all may be seen as it is; words, those of the user; region_map, names
    and patterns by the user's own word, or None."""
    if not payload["key_file"]:
        return None
    from radpipe.intake.deidentify.identity import Secret
    from radpipe.intake.deidentify.words import Words
    from radpipe.intake.region_names import RegionMap

    found = RegionMap({name: tuple(like) for name, like in payload["region_map"].items()}) if payload["region_map"] else None
    secret = Secret.of(Path(payload["key_file"]).read_text(encoding="utf-8"))
    return Discretion(secret, Words.of(payload["words"]), None if found is None else found.canonical)


def read_headers(payload: Payload, folder: Path) -> Row:
    """ingest_headers: one entry a file, in their order. payload : folder, files (paths); and see :func:`discretion_of`.

    An entry is the header as it may be seen; with "as_is" beside it where the file says that it tells nobody who the patient is.
    """
    discretion = discretion_of(payload)
    rows: list[Row] = []
    for path in payload["files"]:
        found = scan_shown(Path(path), Path(payload["folder"]), (None,) if discretion is None else (None, discretion))
        row = _header_row(found[-1])
        if discretion is not None:
            row["relative"] = discretion.text(f"/{row['relative']}/")  # the command knows it, and how it may be shown
            as_is = found[0]
            if isinstance(as_is, DicomFile) and as_is.deidentified:
                row["as_is"] = _header_row(as_is)
        rows.append(row)
    return {"files": rows}


def _header_row(found: DicomFile | Left) -> Row:
    return asdict(found) if isinstance(found, Left) else file_row(found)


def file_row(file: DicomFile) -> Row:
    """A header as JSON values, without its path."""
    row = asdict(file)
    del row["path"]
    return row


def file_of(row: Row, path: Path) -> DicomFile | Left:
    """The reverse of :func:`file_row`, and of a Left."""
    row = {name: value for name, value in row.items() if name != "as_is"}
    if "sop_class" not in row:
        return Left(**row)
    frames = tuple(Frame(**{name: _tuples(value) for name, value in frame.items()}) for frame in row["frames"])
    return DicomFile(path=path, **{**row, "frames": frames})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def series_row(series: Series) -> Row:
    """A series as JSON values; its files with their paths."""
    row = {name: getattr(series, name) for name in Series.__dataclass_fields__ if name != "files"}
    return {**row, "files": [{**file_row(file), "path": str(file.path)} for file in series.files]}


def series_of(row: Row) -> Series:
    """The reverse of :func:`series_row`."""
    files = []
    for entry in row["files"]:
        found = file_of({name: value for name, value in entry.items() if name != "path"}, Path(entry["path"]))
        assert isinstance(found, DicomFile)
        files.append(found)
    return Series(**{**row, "files": tuple(files), "chosen": _tuples(row["chosen"])})


# files of regions and registrations


def describe_regions(payload: Payload, folder: Path) -> Row:
    """ingest_described: what a structure set, a segmentation or a registration says, without its contours or voxels."""
    with headers.shown_by(discretion_of(payload)):
        return _described(payload)


def _described(payload: Payload) -> Row:
    path = Path(payload["path"])
    if payload["kind"] == "REG":
        from radpipe.io.dicom.registration import read_registration

        found = read_registration(path)
        return {"frame": found.frame_of_reference_uid, "matrices": [asdict(matrix) for matrix in found.matrices]}
    if payload["kind"] == "SEG":
        from radpipe.io.dicom.seg import read_seg

        seg = read_seg(path)
        rois = [
            {"number": at, "name": one.name, "frame": seg.frame_of_reference_uid, "drawn": one.n_voxels > 0}
            for at, one in enumerate(seg.regions)
        ]
        return {"label": "", "rois": rois, "series": sorted(seg.referenced_series), "slices": [], "problems": []}
    from radpipe.io.dicom.rtstruct import read_rtstruct

    structures = read_rtstruct(path)
    return {
        "label": structures.label,
        "rois": [
            {"number": at, "name": roi.name, "frame": roi.frame_of_reference_uid, "drawn": bool(roi.contours)}
            for at, roi in enumerate(structures.rois)
        ],
        "series": sorted(structures.referenced_series),
        "slices": sorted({one.sop_uid for roi in structures.rois for one in roi.contours if one.sop_uid}),
        "problems": list(structures.problems),
    }


# images


def convert_series(payload: Payload, folder: Path) -> Row:
    """ingest_images: an image series as NIfTI; its grid exactly, which a NIfTI header is too short for.

    payload : series (a JSON file of :func:`series_row`), uneven, suv; and see :func:`discretion_of`.
    """
    from radpipe.io.dicom.series import read_series

    series = series_of(json.loads(Path(payload["series"]).read_bytes()))
    with headers.shown_by(discretion_of(payload)):
        return _kept(read_series(series, uneven=payload["uneven"], suv=payload["suv"]), folder)


def _kept(image: Image, folder: Path) -> Row:
    from radpipe.io.volumes import write_image

    write_image(folder / IMAGE, image)
    return {"grid": grid_row(image.grid), "unit": image.unit}


def grid_row(grid: Grid) -> Row:
    return asdict(grid)


def grid_of(row: Row) -> Grid:
    """The grid to the last bit: JSON keeps every digit of a double."""
    return Grid(tuple(row["shape"]), tuple(row["spacing_mm"]), tuple(row["origin_mm"]), tuple(row["direction"]))


# regions on an image


def draw_regions(payload: Payload, folder: Path) -> Row:
    """ingest_regions: regions of one file on the grid of one image; a mask file each, or why there is none.

    payload : path, kind, rois (their places in the file), grid, transform (4 x 4 or None), transferred.
    """
    with headers.shown_by(discretion_of(payload)):
        return _regions(payload, folder)


def _regions(payload: Payload, folder: Path) -> Row:
    grid, path = grid_of(payload["grid"]), Path(payload["path"])
    transform = None if payload["transform"] is None else np.array(payload["transform"], float)
    found: dict[str, Row] = {}
    if payload["kind"] == "SEG":
        from radpipe.io.dicom.seg import read_seg

        seg = read_seg(path)
        for number in payload["rois"]:
            found[str(number)] = _drawn(
                number, folder, lambda at=number: _segment(seg.regions[at], grid, transform, payload["transferred"])
            )
    else:
        from radpipe.io.dicom.rtstruct import rasterise, read_rtstruct

        structures = read_rtstruct(path)

        def contoured(at: int) -> tuple[Mask, tuple[str, ...]]:
            mask, notes = rasterise(structures.rois[at], grid, transform=transform)
            return mask, notes.sentences

        for number in payload["rois"]:
            found[str(number)] = _drawn(number, folder, lambda at=number: contoured(at))
    return {"regions": found}


def _drawn(number: int, folder: Path, make: Any) -> Row:
    from radpipe.io.volumes import write_mask
    from radpipe.stages._child import classify

    try:
        mask, notes = make()
        if not mask.voxels.any():
            raise EmptyRoiError("the region holds no voxel of the image.", hint="Draw it again, or leave it out.")
    except RadpipeError as error:
        if error.kind == "run":
            raise
        return {"failure": {**classify(error), "path": ""}}  # who asks knows which file it is; its path may name somebody
    write_mask(folder / mask_name(number), mask)
    return {"voxels": int(mask.voxels.sum()), "volume_ml": mask.volume_ml, "notes": list(notes), "border": _touches(mask)}


def _touches(mask: Mask) -> bool:
    """Whether the region reaches the first or last plane along any axis: it may go on where the image ends."""
    return any(bool(mask.voxels.take(at, axis=axis).any()) for axis in range(3) for at in (0, -1))


def _segment(region: SegRegion, grid: Grid, transform: FloatArray | None, transferred: bool) -> tuple[Mask, tuple[str, ...]]:
    """A segment on the image's grid: voxel by voxel on the image it was drawn on, by nearest neighbour on any other."""
    from radpipe.preprocessing.resample import resample_mask

    if transform is not None:
        return region.on_grid(grid, transform=transform), ("moved by a registration: nearest neighbour.",)
    if not transferred:
        try:
            return region.on_grid(grid), ()
        except GeometryError as error:
            raise GeometryError(
                error.problem, hint="Export it on the grid of the series it refers to.", path=error.path
            ) from error
    return resample_mask(region.mask, grid), ("brought to the grid of this image by nearest neighbour.",)


# volumes that are no DICOM


def convert_volume(payload: Payload, folder: Path) -> Row:
    """ingest_volumes: a NIfTI, NRRD or MetaImage file and its mask of one or many labels.

    payload : image, mask, modality. The row has grid, unit, names (of the regions) and regions as :func:`draw_regions`.
    """
    from radpipe.io.labelled import read_labelled
    from radpipe.io.volumes import read_image

    image = read_image(Path(payload["image"]), unit=UNITS.get(payload["modality"], "arbitrary"))
    _one_orientation(payload["image"], image.grid)
    row = _kept(image, folder)
    regions = read_labelled(Path(payload["mask"]))
    if not regions:
        raise EmptyRoiError("the mask is empty: every voxel is 0.", hint="Draw the region again.", path=payload["mask"])
    _one_orientation(payload["mask"], regions[0].mask.grid)
    found: dict[str, Row] = {}
    for at, region in enumerate(regions):

        def placed(region: Any = region) -> tuple[Mask, tuple[str, ...]]:
            differing = grid_differences(image.grid, region.mask.grid)
            if differing:
                raise GeometryError(
                    f"image and mask are not on the same grid: {'; '.join(differing)}.",
                    hint="Export both on one grid, or write a manifest with radpipe init and see what radpipe doctor says.",
                    path=payload["mask"],
                )
            return Mask(image.grid, region.mask.voxels), ()

        found[str(at)] = _drawn(at, folder, placed)
    return {**row, "names": [region.name for region in regions], "regions": found}


def _one_orientation(path: str, grid: Grid) -> None:
    """GeometryError for a NIfTI file whose two orientations disagree: the copy has one, and nobody would see it any more."""
    from radpipe.intake.geometry_faults import orientation_finding
    from radpipe.io.volumes import read_orientations

    found = read_orientations(Path(path))
    wrong = None if found is None else orientation_finding(found.sform, found.qform, grid)
    if wrong is not None and wrong.severity == "error":
        problem = wrong.what[0].lower() + wrong.what[1:]
        raise GeometryError(
            problem,
            hint="Find out which is right (open it beside an image of the same patient) and write it into both.",
            path=path,
        )


# what a person looks at


def draw_overlay(payload: Payload, folder: Path) -> Row:
    """ingest_overlays: a picture of a region on its image. payload : image, masks (paths), title, subtitle, modality, unit."""
    from radpipe.io.volumes import read_image
    from radpipe.report.overlay import overlay_png

    image = read_image(Path(payload["image"]), unit=payload["unit"])
    mask = merged([Path(path) for path in payload["masks"]])
    content = overlay_png(
        image, Mask(image.grid, mask.voxels), payload["title"], payload["subtitle"], modality=payload["modality"]
    )
    (folder / PICTURE).write_bytes(content)
    return {}


def merge_masks(payload: Payload, folder: Path) -> Row:
    """ingest_merged: regions that mean the same as one. payload : masks (paths)."""
    from radpipe.io.volumes import write_mask

    mask = merged([Path(path) for path in payload["masks"]])
    write_mask(folder / mask_name(0), mask)
    return {"voxels": int(mask.voxels.sum()), "volume_ml": mask.volume_ml, "border": _touches(mask)}


def merged(paths: list[Path]) -> Mask:
    """The union of masks on one grid."""
    from radpipe.io.volumes import read_mask

    first = read_mask(paths[0])
    voxels = first.voxels.copy()
    for path in paths[1:]:
        voxels |= read_mask(path).voxels
    return Mask(first.grid, voxels)
