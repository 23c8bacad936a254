"""Write docs/features.md and tables of docs/arms.md from the registries, docs/data_schema.md from the schemas and the table of
docs/deidentify.md from the allow-list (``make docs``); tests hold them to the code.

python tools/make_docs.py            writes the pages
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radpipe.config import workflow_schema
from radpipe.core.registry import lookup
from radpipe.core.tables import SCHEMAS, Schema
from radpipe.features.config import FeatureSettings
from radpipe.features.dictionary import feature_dictionary
from radpipe.features.ibsi.catalogue import FAMILIES as IBSI_FAMILIES
from radpipe.features.registry import FAMILIES
from radpipe.features.undefined import REASONS
from radpipe.filters.ibsi_registry import IBSI_FILTERS, module_of
from radpipe.filters.registry import IMAGE_TYPES
from radpipe.filters.settings import FilterSettings
from radpipe.intake.deidentify import elements
from radpipe.models.config import PARAMS
from radpipe.models.registry import OUTCOME_KINDS
from radpipe.networks.registry import CLASSIFIERS

DOCS = Path(__file__).resolve().parents[1] / "docs"
HEAD = """# What radpipe measures

Made from the code by `make docs`; `radpipe describe features`, `ibsi` and `filters` print the same. Every run writes this for
its own columns into `feature_dictionary.csv`, with the settings that made each. A column is `<imageType>_<family>_<Feature>`.
"intensity" stands for the unit of the image (HU, SUV or arbitrary)."""


SCHEMA_HEAD = """# Every table and file, column by column

Made from the code by `make docs`. The same as JSON Schema lies in `data_schema/`, one file a table; one object is one row.
Tables of a run lie in its folder as Parquet, most also as CSV. Types: *text*, *whole* number, *number*, *truth* (True or False).
"may be empty" stands where a value can be missing, "may be left out" where the whole column can. intensity stands for the unit of
the image (HU, SUV or arbitrary). What features measure: [features.md](features.md)."""
GROUPS = {
    "What you bring": ("manifest", "outcomes", "pseudonyms"),
    "What `radpipe ingest` leaves": (
        "ingest", "ingest_regions", "ingest_files", "ingest_failures", "rois", "outcome_ids", "outcome_cells",
    ),
    "What `radpipe deidentify` leaves": (
        "deidentified", "deidentify_removed", "deidentify_files", "deidentify_words", "deidentify_quarantine",
    ),
    "What `radpipe doctor` leaves": (
        "doctor_findings", "doctor_geometry", "doctor_regions", "doctor_overlaps", "doctor_discretisation", "doctor_repairs",
    ),
    "What `radpipe run` leaves": (),
}  # fmt: skip
TYPES = {"string": "text", "int64": "whole", "float64": "number", "bool": "truth"}


def page() -> str:
    """The page of features."""
    return "\n".join([HEAD, "", *_pyradiomics(), *_image_types(), *_ibsi(), *_filters(), *_reasons()]) + "\n"


def schema_page() -> str:
    """The page of tables and of the workflow file."""
    lines = [SCHEMA_HEAD, ""]
    grouped = [name for names in GROUPS.values() for name in names]
    for group, names in GROUPS.items():
        lines += [f"## {group}", ""]
        for name in names or [name for name in SCHEMAS if name not in grouped]:
            lines += _schema(SCHEMAS[name])
    lines += ["## The workflow file", "", *_workflow()]
    return "\n".join(lines) + "\n"


def deidentify_page() -> str:
    """The page of de-identification: its words as they stand, and the table of elements anew."""
    words, _, _ = (DOCS / "deidentify.md").read_text(encoding="utf-8").partition("\n| element |")
    return "\n".join([words.rstrip("\n"), "", *_table(elements.HEAD, *elements.rows())])


def _schema(schema: Schema) -> Iterator[str]:
    yield f"### {schema.name}"
    yield ""
    yield f"{schema.description} Key: {', '.join(f'`{name}`' for name in schema.key)}."
    yield ""
    rows: list[tuple[str, ...]] = []
    for column in schema.columns:
        allowed = ", ".join(f"`{value}`" if value else "empty" for value in column.allowed)
        words = [column.description]
        words += ["may be empty"] if column.nullable else []
        words += ["may be left out"] if column.optional else []
        rows.append((f"`{column.name}`", TYPES[column.dtype], column.unit, allowed, "; ".join(words)))
    if schema.extra:
        rows.append(("further columns", TYPES.get(schema.extra, "any"), "", "", schema.extra_named))
    yield from _table(("column", "type", "unit", "allowed", "what it is"), *rows)


def _workflow() -> Iterator[str]:
    schema = workflow_schema()
    yield "YAML. `radpipe describe workflow` prints the same; `data_schema/workflow.json` is its JSON Schema. An unknown key is an error."
    yield ""
    yield from _table(("key", "type and allowed values", "default", "what it is"), *_keys(schema, schema, ""))


def _keys(schema: dict[str, Any], node: dict[str, Any], prefix: str) -> Iterator[tuple[str, ...]]:
    for name, field in node.get("properties", {}).items():
        below = [_resolved(schema, way) for way in (field, *field.get("anyOf", ()), *field.get("allOf", ())) if "$ref" in way]
        below = [part for part in below if "properties" in part]
        told = " ".join(str(field.get("description") or (below[0].get("description", "") if below else "")).split())
        default = (
            "" if "default" not in field or (below and field["default"] is not None) else f"`{json.dumps(field['default'])}`"
        )
        yield (f"`{prefix}{name}`", "section" if below else _kind(schema, field), default, told)
        if name == "models":
            for reference in _models(field):
                kind = _resolved(schema, {"$ref": reference})
                yield from _keys(schema, kind, f"models.<name>.({kind['properties']['kind']['const']}) ")
        for part in below:
            yield from _keys(schema, part, f"{prefix}{name}.")


def _models(field: dict[str, Any]) -> list[str]:
    """References to the settings of each kind of model."""
    (kinds,) = field["patternProperties"].values()
    return list(kinds["discriminator"]["mapping"].values())


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return found


def _kind(schema: dict[str, Any], field: dict[str, Any]) -> str:
    """In words: the type, its bounds, the values it may have."""
    if "$ref" in field:
        return _kind(schema, _resolved(schema, field))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_kind(schema, way) for way in field["anyOf"])
    kind = {
        "string": "text",
        "integer": "whole",
        "number": "number",
        "boolean": "truth",
        "null": "null",
        "object": "mapping",
    }.get(field.get("type", ""), field.get("type", "any"))
    if kind == "array":
        items = field.get("items") or next(iter(field.get("prefixItems", ())), None)
        kind = f"list of {_kind(schema, items)}" if items else "list"
    signs = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    bounds = " ".join(f"{sign} {field[name]:g}" for name, sign in signs.items() if name in field)
    return f"{kind} {bounds}".strip()


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


def arms_page() -> str:
    """docs/arms.md with the parts that come from the code made anew; the rest is written by hand."""
    made = (DOCS / "arms.md").read_text(encoding="utf-8")
    for name, lines in (("models", _arm_models()), ("networks", _arm_networks()), ("formula", _arm_formula())):
        begin, end = f"<!-- made by tools/make_docs.py: {name} -->", f"<!-- end of {name} -->"
        start, stop = made.index(begin) + len(begin), made.index(end)
        made = f"{made[:start]}\n" + "\n".join(lines).rstrip() + f"\n{made[stop:]}"
    return made


def _arm_models() -> Iterator[str]:
    words = {"classes": "classes", "number": "a number", "time_to_event": "time to an event"}
    rows = []
    for kind, params in PARAMS.items():
        told = " ".join((params.__doc__ or "").split("\n\n")[0].split())
        rows.append((f"`{kind}`", told, ", ".join(words[able] for able in OUTCOME_KINDS[kind])))
    yield from _table(("kind", "what it is", "outcomes"), *rows)


def _arm_networks() -> Iterator[str]:
    rows = []
    for name in CLASSIFIERS:
        network = lookup(CLASSIFIERS, name, "network")
        params = network.params()
        count = sum(parameter.numel() for parameter in network.build(params, 1, 2).parameters())
        settings = ", ".join(f"`{key}: {json.dumps(value)}`" for key, value in params.model_dump(mode="json").items())
        rows.append((f"`{name}`", network.summary, f"{count:,}", settings, network.source))
    yield from _table(("network", "what it is", "parameters", "`network_params` and defaults", "source"), *rows)


def _arm_formula() -> Iterator[str]:
    """A network with weights that can be read, exported."""
    import torch

    from radpipe.models.ann.formula import to_expression

    fitted = example_ann()
    row = {"original_firstorder_Maximum": 14.0, "original_glcm_JointEntropy": 4.6}
    yield "```python"
    yield to_expression(fitted, "python").strip()
    yield "```"
    yield ""
    scaled = [0.8, 1.2]
    with torch.no_grad():
        first, output = fitted.networks[0].perceptrons
        hidden = first(torch.tensor([scaled], dtype=torch.float64))
        logit = float(output(hidden)[0, 0])
    p = 1 / (1 + math.exp(-logit))
    again = 1 / (1 + math.exp(-(-0.1 + 0.9 * logit)))
    given = ", ".join(f"`{name}` {value:g}" for name, value in row.items())
    yield (
        f"A patient with {given}: scaled {scaled[0]:g} and {scaled[1]:g}; perceptrons {float(hidden[0, 0]):.4f} and "
        f"{float(hidden[0, 1]):.4f}; logit {logit:.4f}, probability {p:.4f}, recalibrated {again:.4f}."
    )


def example_ann() -> Any:
    """A network of two perceptrons whose weights are round numbers, as if fitted."""
    import torch

    from radpipe.models.ann.head import Head
    from radpipe.models.ann.model import FittedAnn
    from radpipe.models.calibrate import Calibration
    from radpipe.models.encode import Encoder
    from radpipe.networks.layers import ScalingLayer

    params = PARAMS["ann"].model_validate({"hidden": [2], "members": 1})
    encoder = Encoder({"original_firstorder_Maximum": 9.0, "original_glcm_JointEntropy": 3.9}, {})
    head = Head("classes", 2, "modern", None, None)
    scaling = ScalingLayer(2)
    scaling.centre.copy_(torch.tensor([10.0, 4.0]))
    scaling.scale.copy_(torch.tensor([5.0, 0.5]))
    network = head.network(scaling, 2, (2,), "tanh")
    weights = (([[0.75, 0.5], [-1.25, 0.25]], [0.1, -0.2]), ([[1.5, -1.0]], [-0.4]))
    with torch.no_grad():
        for layer, (weight, bias) in zip(network.perceptrons, weights, strict=True):
            layer.weight.copy_(torch.tensor(weight, dtype=torch.float64))
            layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return FittedAnn(params, encoder, head, (2,), [network], Calibration(-0.1, 0.9, 0.5), frozenset(), {})


if __name__ == "__main__":
    (DOCS / "features.md").write_text(page(), encoding="utf-8")
    (DOCS / "data_schema.md").write_text(schema_page(), encoding="utf-8")
    (DOCS / "arms.md").write_text(arms_page(), encoding="utf-8")
    (DOCS / "deidentify.md").write_text(deidentify_page(), encoding="utf-8")
