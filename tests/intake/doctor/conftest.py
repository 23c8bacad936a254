"""A real pair of the embedded cohort, and files with one fault each, written by SimpleITK and not by radpipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radpipe.datasets import load_sts_pet
from radpipe.intake.findings import Finding
from radpipe.stages import doctor
from radpipe.stages.doctor import Report, examine

HEADER = "case_id,patient_id,modality,image_path,mask_path,label"


class Cohort:
    """A folder with STS_002 (PET; 21 x 15 x 26 voxels of 5.47 x 5.47 x 3.27 mm; region of 555 voxels), to be spoilt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        data = load_sts_pet()
        self.image = sitk.ReadImage(str(data.folder / "images" / "STS_002.nii.gz"))
        self.mask = sitk.ReadImage(str(data.folder / "masks" / "STS_002.nii.gz"))
        self.rows: list[str] = []

    def add(
        self, case_id: str = "a", *, image: sitk.Image | None = None, mask: sitk.Image | None = None, modality: str = "PET",
        patient: str = "", label: str = "1", ending: str = ".nii.gz",
    ) -> Cohort:  # fmt: skip
        names = [f"{case_id}_{kind}{ending}" for kind in ("image", "mask")]
        for name, volume, own in zip(names, (image, mask), (self.image, self.mask), strict=True):
            sitk.WriteImage(own if volume is None else volume, str(self.folder / name))
        self.rows.append(f"{case_id},{patient or case_id},{modality},{names[0]},{names[1]},{label}")
        return self

    @property
    def manifest(self) -> Path:
        path = self.folder / "manifest.csv"
        path.write_text("\n".join([HEADER, *self.rows]) + "\n")
        return path

    def look(self) -> Report:
        return examine(self.manifest, self.folder / "store")

    def like(self, voxels: np.ndarray, of: sitk.Image | None = None) -> sitk.Image:
        """Voxels (z, y, x) with a header of the cohort's own."""
        made = sitk.GetImageFromArray(voxels)
        made.CopyInformation(of or self.mask)
        return made

    def found(self) -> dict[str, Finding]:
        """check -> finding, of what is worse than a note; each check once."""
        items = [item for item in self.look().findings if item.severity != "note"]
        assert len({item.check for item in items}) == len(items), items
        return {item.check: item for item in items}

    @property
    def region(self) -> np.ndarray:
        return sitk.GetArrayFromImage(self.mask)

    @property
    def intensities(self) -> np.ndarray:
        return sitk.GetArrayFromImage(self.image)


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    monkeypatch.setattr(doctor, "HERE", 100)  # within this process
    return Cohort(tmp_path)
