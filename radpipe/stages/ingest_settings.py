"""What the user of ``radpipe ingest`` chose, and the outcome sheet to join."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from radpipe.core.keys import content_key
from radpipe.errors import ConfigError
from radpipe.intake.deidentify.identity import Secret
from radpipe.intake.deidentify.words import Words
from radpipe.intake.pairing import Transfer
from radpipe.intake.region_names import RegionMap
from radpipe.io.files import sha256_file


@dataclass(frozen=True)
class Limits:
    """Of a series in a worker. memory_mb : resident. timeout_s : seconds."""

    memory_mb: float = 3000
    timeout_s: float = 900


DEFAULT = Limits()


@dataclass(frozen=True)
class Options:
    """What the user chose. modalities, descriptions, series (UIDs) : image series to take; empty: all. descriptions may be part
    of one, or a pattern. keep_ids : ids, UIDs and texts of an export that was not de-identified stay as they are; else pseudonyms
    stand for them, by the secret in the file ``secret`` or one of the cohort's own. allowed : texts that may be seen.
    table : file to write what stands for whom. merge : regions of an image that the map gives one name become
    one. suv, uneven : see io.dicom.series."""

    modalities: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    transfer: Transfer = "auto"
    uneven: str = "refuse"
    suv: str = "bw"
    region_map: RegionMap | None = None
    merge: bool = False
    keep_ids: bool = False
    secret: Path | None = None
    allowed: tuple[str, ...] = ()
    table: Path | None = None

    def words(self) -> dict[str, str]:
        """As they are remembered in the cohort's folder."""
        regions = None if self.region_map is None else {name: list(found) for name, found in self.region_map.names.items()}
        return {
            "--modality": " ".join(sorted(self.modalities)) or "all",
            "--series-description": " | ".join(sorted(map(_told, self.descriptions))) or "all",
            "--series-uid": " ".join(sorted(map(_told, self.series))) or "all",
            "--transfer": self.transfer, "--uneven": self.uneven, "--suv": self.suv,
            "--roi-map": "none" if regions is None else content_key(regions=regions)[:12],
            "--merge-rois": "yes" if self.merge else "no",
            "--keep-ids": "yes" if self.keep_ids else "no",
            "--secret-file": "none" if self.secret is None else read_secret(self.secret).check(),
            "--allow-words": content_key(words=sorted(self.allowed))[:12] if self.allowed else "none",
        }  # fmt: skip


def read_secret(path: Path) -> Secret:
    """ConfigError where the file cannot be read, or the secret in it is too short."""
    try:
        return Secret.of(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file of the secret cannot be read.", hint="Name a text file with the secret.") from error


def _told(text: str) -> str:
    """What may be remembered of a text of the export: itself where it is plain words, else a digest."""
    return text if Words().allows(text.replace("*", " ")) else content_key(text=text)[:12]


@dataclass(frozen=True)
class Outcomes:
    """The sheet to join. pseudonyms : the table that de-identification leaves, where the cases bear pseudonyms."""

    path: Path
    id_column: str
    pseudonyms: Path | None = None
    sheet: str | None = None
    day_first: bool | None = None

    def check(self) -> None:
        """What is wrong with the sheet as a whole is said before anything is converted."""
        from radpipe.intake.outcomes import check_sheet
        from radpipe.io.spreadsheets import read_pseudonyms, read_sheet

        check_sheet(read_sheet(self.path, self.id_column, sheet=self.sheet), self.id_column)
        if self.pseudonyms is not None:
            read_pseudonyms(self.pseudonyms)

    def words(self) -> str:
        parts = [sha256_file(path)[:12] for path in (self.path, self.pseudonyms) if path is not None]
        sheet = "" if self.sheet is None else f", sheet {self.sheet!r}"
        order = "" if self.day_first is None else f", {'day' if self.day_first else 'month'} first"
        return f"{' '.join(parts)} by {self.id_column!r}{sheet}{order}"
