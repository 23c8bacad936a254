"""Write docs/features.md from the registries (``make docs``); a test holds the page to the code.

python tools/make_docs.py            writes the page
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radpipe.core.registry import lookup
from radpipe.features.config import FeatureSettings
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.ibsi.catalogue import FAMILIES as IBSI_FAMILIES
from radpipe.features.registry import FAMILIES
from radpipe.features.undefined import REASONS
from radpipe.filters.ibsi_registry import IBSI_FILTERS, module_of
from radpipe.filters.registry import IMAGE_TYPES
from radpipe.filters.settings import FilterSettings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "features.md"
HEAD = """# What radpipe measures

Made from the code by `make docs`; `radpipe describe features`, `ibsi` and `filters` print the same. Every run writes this for
its own columns into `feature_dictionary.csv`, with the settings that made each. A column is `<imageType>_<family>_<Feature>`.
"intensity" stands for the unit of the image (HU, SUV or arbitrary)."""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, "", *_pyradiomics(), *_image_types(), *_ibsi(), *_filters(), *_reasons()]) + "\n"


def _table(*rows: tuple[str, ...]) -> Iterator[str]:
    head, *body = rows
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in body:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _pyradiomics() -> Iterator[str]:
    chosen: dict[str, list[str]] = {}
    for name in FAMILIES:
        chosen[name] = [feature.name for feature in lookup(FAMILIES, name, "feature class").features]
    rows = feature_dictionary(FeatureSettings(params={"featureClass": chosen}))
    yield "## PyRadiomics' set (the default)"
    yield ""
    yield "107 features of every region; shape2D and those marked * only where they are named in `featureClass`."
    yield ""
    for name in FAMILIES:
        family = lookup(FAMILIES, name, "feature class")
        yield f"### {name}: {family.meaning}"
        yield ""
        yield from _table(
            ("feature", "IBSI", "in the IBSI set", "unit", "what it measures"),
            *(
                (
                    row["feature"] + (" *" if family.feature(row["feature"]).optional else ""),
                    row["ibsi"], row["other_name"], row["unit"], row["meaning"],
                )
                for row in rows
                if row["family"] == name
            ),
        )  # fmt: skip


def _image_types() -> Iterator[str]:
    yield "## Image types"
    yield ""
    example = FilterSettings(sigma=(1.0, 3.0))
    rows: list[tuple[str, ...]] = []
    for name in IMAGE_TYPES:
        kind: Any = lookup(IMAGE_TYPES, name, "image type")
        prefixes = kind.prefixes(example)
        rows.append((name, kind.told(prefixes[0], example), ", ".join(f"`{prefix}`" for prefix in prefixes)))
    yield from _table(("imageType", "the first column prefix is of", "column prefixes (LoG with sigma: [1.0, 3.0])"), *rows)


def _ibsi() -> Iterator[str]:
    yield "## The IBSI set (`feature_set: ibsi`)"
    yield ""
    yield "Names and tags of the reference manual, in all its aggregations: a family's column says which, as `cm-3D-mrg`."
    yield ""
    rows = feature_dictionary(FeatureSettings(feature_set="ibsi"))
    for name, family in IBSI_FAMILIES.items():
        yield f"### {name}: {family.meaning}"
        yield ""
        seen: dict[str, dict[str, Any]] = {}
        for row in rows:
            if row["family"].partition("-")[0] == name:
                seen.setdefault(row["feature"], row)
        yield from _table(
            ("feature", "IBSI", "in PyRadiomics' set", "unit", "what it measures"),
            *(
                (row["feature"], row["ibsi"], row["other_name"], row["unit"], family.feature(row["feature"]).meaning)
                for row in seen.values()
            ),
        )


def _filters() -> Iterator[str]:
    yield "## IBSI 2's filters (`filter` of the IBSI set)"
    yield ""
    rows = ((name, (module_of(name).__doc__ or "").strip().partition("\n")[0]) for name in IBSI_FILTERS)
    yield from _table(("filter", "what it is"), *rows)


def _reasons() -> Iterator[str]:
    yield "## Values that are no measurement"
    yield ""
    yield "Each stands in `undefined.csv` with one of these reasons."
    yield ""
    yield from _table(("code", "meaning"), *REASONS.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
