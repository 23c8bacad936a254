"""What the regions of a cohort are called: the census of names, the file that says which of them mean the same, and its use.

Departments, doctors and years name the same structure differently (GTVp, GTV_T, GTV70). What belongs together is suggested by
spelling and decided by the user, never here. Roles and sides within names: AAPM TG-263, doi:10.1016/j.ijrobp.2017.12.013.
"""

from __future__ import annotations

import fnmatch
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import yaml

from radpipe.errors import ConfigError

CENSUS_COLUMNS = (
    "name", "patients", "regions", "empty", "modalities", "volume_ml_median", "volume_ml_min", "volume_ml_max", "canonical",
)  # fmt: skip
_ALIKE = 0.8  # of difflib's ratio; "Bladder" and "Blader" have 0.92, "Rectum" and "Bladder" 0.31
_SIDES = {
    "l": "left", "lt": "left", "left": "left", "li": "left", "links": "left", "sin": "left", "gauche": "left",
    "r": "right", "rt": "right", "right": "right", "re": "right", "rechts": "right", "dx": "right", "droit": "right",
}  # fmt: skip
_TARGET = re.compile(r"(gtv|ctv|itv|ptv)(.*)")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class NamedVolume:
    """A region as it is in the export. volume_ml : on the image it was drawn on; None where it is empty or could not be made."""

    name: str
    patient_id: str
    modality: str
    volume_ml: float | None


@dataclass(frozen=True)
class RegionMap:
    """names : canonical name -> the names and patterns (``*``, ``?``) that mean it; upper and lower case are the same."""

    names: Mapping[str, tuple[str, ...]]

    def canonical(self, name: str) -> str | None:
        """What the name means; None where nothing in the map is like it. A name written out goes before a pattern.

        ConfigError where patterns of two canonical names fit.
        """
        wanted = _folded(name)
        exact = [ours for ours, theirs in self.names.items() if wanted in {_folded(ours), *map(_folded, theirs)}]
        if exact:
            return exact[0]  # parse_region_map has seen to it that there is one
        fitting = [
            ours
            for ours, theirs in self.names.items()
            if any(fnmatch.fnmatchcase(wanted, _folded(pattern)) for pattern in theirs)
        ]
        if len(fitting) > 1:
            raise ConfigError(
                f"the region {name!r} fits patterns of {_join(fitting)}.",
                hint="Write the name itself under the one that is meant; a name goes before a pattern.",
            )
        return fitting[0] if fitting else None


def parse_region_map(content: Mapping[str, Any], path: object = "") -> RegionMap:
    """A region map from what its file holds. ConfigError where it is none, says nothing, or says two things of one name."""
    names: dict[str, tuple[str, ...]] = {}
    for ours, theirs in content.items():
        listed = [theirs] if isinstance(theirs, str | int | float) and not isinstance(theirs, bool) else theirs
        if not isinstance(listed, list) or not all(
            isinstance(one, str | int | float) and not isinstance(one, bool) for one in listed
        ):
            raise ConfigError(
                f"under {ours!r} there is no list of names.", hint=f"Write it so: `{ours}: [GTVp, GTV_T, 'GTV7*']`.", path=path
            )
        names[str(ours).strip()] = tuple(str(one).strip() for one in listed)
    if not names:
        raise ConfigError(
            "the region map says nothing.",
            hint="Take away the '#' before the names that you want, and call each group as you like.",
            path=path,
        )
    owner: dict[str, str] = {}
    for ours, theirs in names.items():
        if not ours:
            raise ConfigError("a region has no name.", hint="Write a name before the colon.", path=path)
        for name in dict.fromkeys([_folded(ours), *map(_folded, theirs)]):
            if owner.setdefault(name, ours) != ours:
                raise ConfigError(
                    f"the name {name!r} stands under {_join([owner[name], ours])}.", hint="Leave it under one of them.", path=path
                )
    return RegionMap(names)


def census(regions: Iterable[NamedVolume], region_map: RegionMap | None = None) -> list[dict[str, Any]]:
    """One row a name (CENSUS_COLUMNS), the names of most patients first. Names that differ in anything are rows of their own."""
    grouped: dict[str, list[NamedVolume]] = defaultdict(list)
    for region in regions:
        grouped[region.name].append(region)
    rows = []
    for name, found in grouped.items():
        volumes = [region.volume_ml for region in found if region.volume_ml is not None]
        rows.append(
            {
                "name": name,
                "patients": len({region.patient_id for region in found}),
                "regions": len(found),
                "empty": len(found) - len(volumes),
                "modalities": " ".join(sorted({region.modality for region in found})),
                "volume_ml_median": statistics.median(volumes) if volumes else None,
                "volume_ml_min": min(volumes) if volumes else None,
                "volume_ml_max": max(volumes) if volumes else None,
                "canonical": (region_map.canonical(name) or "") if region_map else "",
            }
        )
    return sorted(rows, key=lambda row: (-row["patients"], row["name"].casefold(), row["name"]))


def census_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The census for people."""
    if not rows:
        return "no region was found\n"
    width = max(len("region"), *(len(row["name"]) for row in rows))
    lines = [f"{'region':<{width}}  patients  regions  volume in ml: median (range)"]
    for row in rows:
        lines.append(f"{row['name']:<{width}}  {row['patients']:>8}  {row['regions']:>7}  {_volumes(row)}")
    return "\n".join(lines) + "\n"


def suggestions(names: Iterable[str]) -> list[list[str]]:
    """Names that are spelt alike, in groups of two and more; left and right, targets and organs, nodes and primaries apart."""
    distinct = sorted(set(names), key=lambda name: (name.casefold(), name))
    groups: list[list[str]] = []
    for name in distinct:
        fitting = [group for group in groups if all(_alike(name, other) for other in group)]
        if fitting:
            max(fitting, key=lambda group: sum(_ratio(name, other) for other in group) / len(group)).append(name)
        else:
            groups.append([name])
    return [group for group in groups if len(group) > 1]


def region_map_file(rows: Sequence[Mapping[str, Any]]) -> str:
    """The alias file to edit: every name of the census, suggestions first. All of it is comment until the user decides."""
    by_name = {row["name"]: row for row in rows}
    grouped = suggestions(by_name)
    together = {name for group in grouped for name in group}
    lines = [
        "# Which names mean the same region: a name of your own, then the names in the export (patterns with * and ? too).",
        "# Take away the '# ' before the lines that you want; what is left a comment is left out of the cohort.",
        "# Then: radpipe ingest FOLDER --out COHORT --roi-map THIS_FILE",
    ]
    if grouped:
        lines += ["", "# Spelt alike. Whether they mean the same is yours to say."]
    for group in grouped:
        lines += _entry(group, by_name)
    if rows and len(together) < len(by_name):
        lines += ["", "# On their own."]
    for name in by_name:
        if name not in together:
            lines += _entry([name], by_name)
    return "\n".join(lines) + "\n"


def _entry(group: list[str], rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    most = max(group, key=lambda name: (rows[name]["patients"], -len(name)))
    lines = ["", f"# {_yaml(most)}:"]
    for name in group:
        count = rows[name]["patients"]
        lines.append(f"#   - {_yaml(name)}  # {count} patient{'s' if count != 1 else ''}, {_volumes(rows[name])} ml")
    return lines


def _yaml(text: str) -> str:
    """A scalar that reads back as this text, on one line."""
    return str(yaml.dump(text, default_style='"', width=math.inf, allow_unicode=True)).strip()


def _volumes(row: Mapping[str, Any]) -> str:
    if row["volume_ml_median"] is None:
        return "empty"
    return f"{row['volume_ml_median']:.4g} ({row['volume_ml_min']:.4g} to {row['volume_ml_max']:.4g})"


def _alike(one: str, other: str) -> bool:
    if _side(one) != _side(other):
        return False
    mine, theirs = _target(one), _target(other)
    if mine or theirs:
        return mine == theirs
    a, b = _letters(one), _letters(other)
    return bool(a and b) and (a == b or _ratio(one, other) >= _ALIKE)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, _letters(one), _letters(other), autojunk=False).ratio()


def _letters(name: str) -> str:
    return "".join(_WORD.findall(name.casefold()))


def _side(name: str) -> str:
    words = [word.casefold() for word in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])", name)]
    return next((_SIDES[word] for word in words if word in _SIDES), "")


def _target(name: str) -> tuple[str, str] | None:
    """(gtv, ctv, itv or ptv; "node" or "") of a target volume. GTVp, GTV_T and GTV70 are one kind, GTVn is another."""
    found = _TARGET.match(_letters(name))
    if not found:
        return None
    rest = found[2]
    return found[1], "node" if rest.startswith(("n", "ln")) else ""


def _folded(name: str) -> str:
    return name.strip().casefold()


def _join(names: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in names)
