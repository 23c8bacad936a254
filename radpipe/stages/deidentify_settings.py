"""What the user of ``radpipe deidentify`` chose, where its three folders are, and the plan that workers read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import radpipe
from radpipe.errors import ConfigError
from radpipe.intake.deidentify.identity import Secret
from radpipe.intake.deidentify.profile import CHARACTERISTICS, DATES, OPTIONS, PRIVATE

RETAINED = (CHARACTERISTICS, DATES, PRIVATE)
"""By default: what SUV and the order of scans need."""


@dataclass(frozen=True)
class Settings:
    """secret : None for a random one. pseudonyms : the table; None for the one beside the output. retain : of profile.OPTIONS.
    words : file of words that may stay in names. descriptors : whether any free text may stay. clean_pixels : blank text that is
    seen in the voxels instead of quarantining the file. deface : blank the faces of head CT and MR."""

    secret: str | None = field(default=None, repr=False)
    pseudonyms: Path | None = None
    retain: tuple[str, ...] = RETAINED
    words: Path | None = None
    descriptors: bool = True
    clean_pixels: bool = False
    deface: bool = False

    def check(self) -> None:
        wrong = [name for name in self.retain if name not in OPTIONS]
        if wrong:
            raise ConfigError(f"there is no option {wrong[0]!r} to retain.", hint=f"There are: {', '.join(OPTIONS)}, and none.")


@dataclass(frozen=True)
class Folders:
    """out : the clean files, and reports without a name in them. private : who is who; it never leaves the hospital.
    quarantine : what a person must look at."""

    out: Path
    private: Path
    quarantine: Path

    @classmethod
    def beside(cls, out: Path) -> Folders:
        whole = out.resolve()
        return cls(whole, whole.with_name(f"{whole.name}.private"), whole.with_name(f"{whole.name}.quarantine"))

    def check(self, folder: Path, table: Path | None) -> None:
        """ConfigError where one lies in another: what is private would be given away, and results taken for input."""
        export = folder.resolve()
        if not export.is_dir():
            raise ConfigError("this is no folder.", hint="Name the folder of the export.")
        for one, called in ((self.out, "the output"), (self.private, "the private folder"), (self.quarantine, "the quarantine")):
            if one.is_relative_to(export):
                raise ConfigError(f"{called} would lie in the export itself.", hint="Choose an --out beside it.")
            if export.is_relative_to(one):
                raise ConfigError(f"the export lies in the folder of {called}.", hint="Choose an --out beside it.")
        if table is not None:
            place = table.resolve()
            if place.is_relative_to(self.out) or place.is_relative_to(self.quarantine):
                raise ConfigError(
                    "the pseudonym table would lie in the output.", hint="Keep it apart: choose another --pseudonyms."
                )
            if place.is_relative_to(export):
                raise ConfigError("the pseudonym table would lie in the export.", hint="Choose another --pseudonyms.")


def plan_text(settings: Settings, secret: Secret, words: list[str]) -> str:
    """What every worker needs to know, as JSON. It holds the key: it lies in the private folder and goes with the run."""
    plan: dict[str, Any] = {
        "key": secret.key.hex(), "retain": sorted(settings.retain), "words": sorted(words), "descriptors": settings.descriptors,
        "clean_pixels": settings.clean_pixels, "deface": settings.deface, "method": f"radpipe {radpipe.__version__}",
    }  # fmt: skip
    return json.dumps(plan, sort_keys=True)
