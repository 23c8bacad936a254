"""The allow-list as a table for people: every element that may be in a clean file, where, how, and why."""

from __future__ import annotations

from collections import defaultdict

from radpipe.intake.deidentify import profile
from radpipe.intake.deidentify.profile import DROP, EMPTY, KINDS, SOME, Rule

HEAD = ("element", "within", "object types", "what becomes of it", "else", "why it is there")
_MISSING = {DROP: "left out", EMPTY: "empty", SOME: "those that may stay", "code": "a code that says nothing"}
_PLACES = {
    "": "top",
    "UnassignedSharedConvertedAttributesSequence": "converted attributes",
    "UnassignedPerFrameConvertedAttributesSequence": "converted attributes",
}
_SHORT = {
    " Image": "", "Positron Emission Tomography": "PET", "Legacy Converted Enhanced": "legacy", "Enhanced": "enhanced",
    "RT Structure Set": "RTSTRUCT", "RT Dose": "RTDOSE", "Label Map Segmentation": "label map", "Segmentation": "SEG",
    "Deformable Spatial Registration": "deformable REG", "Spatial Registration": "REG",
}  # fmt: skip
_OPTION = {
    profile.CHARACTERISTICS: "patient characteristics",
    profile.DATES: "modified dates",
    profile.DEVICE: "device identity",
    profile.PRIVATE: "safe private",
}


def rows() -> list[tuple[str, ...]]:
    """(element, within, object types, what becomes of it, what is written else, why), one row for what is alike."""
    within: dict[tuple[str, Rule], set[str]] = defaultdict(set)
    types: dict[tuple[str, Rule], set[str]] = defaultdict(set)
    for name, table in profile.OBJECTS.values():
        for path, rule in table.walk():
            plain = Rule(rule.kind, rule.why, rule.need, rule.missing)
            within[path[-1], plain].add(path[-2] if len(path) > 1 else "")
            types[path[-1], plain].add(name)
    found: list[tuple[str, ...]] = []
    for (keyword, rule), names in sorted(
        types.items(), key=lambda one: (one[0][0], one[0][1].why, one[0][1].need, one[0][1].missing)
    ):
        places = ", ".join(dict.fromkeys(_PLACES.get(place, place) for place in sorted(within[keyword, rule])))
        become = KINDS[rule.kind] + (f"; only with the option {_OPTION[rule.need]}" if rule.need else "")
        otherwise = "" if rule.kind in ("empty", "label", "pseudonym", "voxels") else _MISSING.get(rule.missing, rule.missing)
        found.append((keyword, places, _types(names), become, otherwise, rule.why))
    for one in profile.SAFE_PRIVATE:
        tag = f"({one.group:04X},xx{one.element:02X}) of {one.creator}"
        needed = "; only with the options safe private" + (" and modified dates" if one.kind == "moment" else "")
        found.append((tag, "top", "all", KINDS[one.kind] + needed, "left out", one.why))
    return found


def _types(names: set[str]) -> str:
    every = {name for name, _ in profile.OBJECTS.values()}
    if names == every:
        return "all"
    if len(names) > len(every) // 2 and len(every - names) <= 4:
        return f"all but {', '.join(sorted(map(_short, every - names)))}"
    frames = {name for name in every if "Enhanced" in name}
    told = {_short(name) for name in names if not (frames <= names and name in frames)}
    return ", ".join(sorted(told | ({"all of many frames"} if frames <= names else set())))


def _short(name: str) -> str:
    for words, word in _SHORT.items():
        name = name.replace(words, word)
    return name
