"""34 patients with soft-tissue sarcoma: FDG-PET, lesion outline, clinical columns, lung metastasis."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from radpipe.errors import FileProblem

if TYPE_CHECKING:
    import pandas as pd

CITATIONS = (
    "Vallières M, Freeman CR, Skamene SR, El Naqa I (2015). A radiomics model from joint FDG-PET and MRI texture features "
    "for the prediction of lung metastases in soft-tissue sarcomas of the extremities. The Cancer Imaging Archive. "
    "doi:10.7937/K9/TCIA.2015.7GO2GSKS",
    "Vallières M, Freeman CR, Skamene SR, El Naqa I (2015). A radiomics model from joint FDG-PET and MRI texture features "
    "for the prediction of lung metastases in soft-tissue sarcomas of the extremities. Physics in Medicine and Biology "
    "60(14):5471-5496. doi:10.1088/0031-9155/60/14/5471",
    "Clark K et al. (2013). The Cancer Imaging Archive (TCIA): maintaining and operating a public information repository. "
    "Journal of Digital Imaging 26(6):1045-1057. doi:10.1007/s10278-013-9622-7",
)


@dataclass(frozen=True)
class Dataset:
    """manifest : one row a case, all text, paths relative to ``folder``. licence : its short name; its text is in ``folder``."""

    manifest: pd.DataFrame
    manifest_path: Path
    folder: Path
    licence: str
    citations: tuple[str, ...]


def load_sts_pet() -> Dataset:
    """The embedded cohort (CC BY 3.0; cite ``citations``). Its README beside the manifest says what was changed.

    Images are SUV, int16 with a slope of 1/512; masks are 0 and 1. Every image is a window with a different margin on each
    side of the lesion. FileProblem where the installation lost the files.
    """
    import pandas as pd

    folder = Path(str(files("radpipe.datasets") / "sts_pet"))
    manifest_path = folder / "manifest.csv"
    if not manifest_path.is_file():
        raise FileProblem(
            "the embedded cohort is not where the installation should have put it.",
            hint="Install radpipe from a wheel or from its source folder, not from a zip file.",
            path=manifest_path,
        )
    manifest = pd.read_csv(manifest_path, dtype=str, keep_default_na=False)
    return Dataset(manifest, manifest_path, folder, "CC BY 3.0", CITATIONS)
