"""``radpipe describe``: what can be chosen, printed from the registries themselves."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import click

Rows = Iterable[tuple[str, str]]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _of_registry(registry: dict[str, str]) -> Rows:
    """Name and first docstring line; a module's own docstring says what the entry is, its functions how it works."""
    import importlib

    for name, dotted in registry.items():
        yield name, _first_line(importlib.import_module(dotted.partition(":")[0]).__doc__)


def _outcomes(kinds: Iterable[str]) -> str:
    """Kinds of outcome, as cohort.outcome_kind writes them."""
    return f"For {', '.join(kinds)}."


def _features() -> Rows:
    from radpipe.features.config import FeatureSettings
    from radpipe.features.dictionary import feature_dictionary

    yield from _told(feature_dictionary(FeatureSettings()))


def _told(rows: list[dict[str, Any]]) -> Rows:
    for row in rows:
        unit = "" if row["unit"] in ("", "1") else f" [{row['unit']}]"
        yield row["name"], f"{row['meaning']}{unit}{' IBSI ' + row['ibsi'] if row['ibsi'] else ''}"


def _ibsi() -> Rows:
    from radpipe.features.config import FeatureSettings
    from radpipe.features.dictionary import feature_dictionary

    yield from _told(feature_dictionary(FeatureSettings(feature_set="ibsi")))


def _filters() -> Rows:
    from radpipe.core.registry import lookup
    from radpipe.filters.ibsi_registry import IBSI_FILTERS
    from radpipe.filters.registry import IMAGE_TYPES
    from radpipe.filters.settings import FilterSettings

    example = FilterSettings(sigma=(1.0,))
    for name in IMAGE_TYPES:
        kind = lookup(IMAGE_TYPES, name, "image type")
        prefixes = kind.prefixes(example)
        told = kind.told(prefixes[0], example)
        yield f"{name} (imageType)", f"{told[0].upper()}{told[1:]}. Columns: {', '.join(f'{prefix}_*' for prefix in prefixes)}."
    yield from ((f"{name} (feature_set: ibsi, filter)", text) for name, text in _of_registry(IBSI_FILTERS))


def _networks() -> Rows:
    from radpipe.models.registry import OUTCOME_KINDS
    from radpipe.networks.registry import CLASSIFIERS, SEGMENTERS

    yield from ((f"{name} (segmentation.network)", f"{text} For outlines.") for name, text in _of_registry(SEGMENTERS))
    told = _outcomes(OUTCOME_KINDS["cnn3d"])
    yield from ((f"{name} (cnn3d: network)", f"{text} {told}") for name, text in _of_registry(CLASSIFIERS))


def _models() -> Rows:
    from radpipe.models.config import PARAMS
    from radpipe.models.registry import OUTCOME_KINDS

    yield from ((kind, f"{_first_line(params.__doc__)} {_outcomes(OUTCOME_KINDS[kind])}") for kind, params in PARAMS.items())


def _selectors() -> Rows:
    from radpipe.selection.registry import KINDS, SELECTORS

    yield from ((name, f"{text} {_outcomes(KINDS[name])}") for name, text in _of_registry(SELECTORS))


def _tests() -> Rows:
    from radpipe.comparison.registry import TESTS

    yield from _of_registry(TESTS)


def _workflow() -> Rows:
    from radpipe.config import workflow_schema

    schema = workflow_schema()
    for section, entry in schema["properties"].items():
        ways = [entry, *entry.get("allOf", []), *entry.get("anyOf", [])]  # a section, or a section or null
        reference = next((way["$ref"].rpartition("/")[2] for way in ways if "$ref" in way), "")
        fields = schema["$defs"].get(reference, {}).get("properties")
        if not fields:
            yield section, entry.get("description", "")
            continue
        for name, field in fields.items():
            default = f" Default: {field['default']}." if "default" in field else ""
            yield f"{section}.{name}", f"{_first_line(field.get('description'))}{default}"


TOPICS: dict[str, Callable[[], Rows]] = {
    "features": _features, "ibsi": _ibsi, "filters": _filters, "networks": _networks, "models": _models, "selectors": _selectors, "tests": _tests,
    "workflow": _workflow,
}  # fmt: skip


@click.command()
@click.argument("topic", type=click.Choice(list(TOPICS)))
def describe(topic: str) -> None:
    """List what can be chosen under TOPIC."""
    rows = list(TOPICS[topic]())
    width = min(max(len(name) for name, _ in rows) + 2, 48)
    columns = max(shutil.get_terminal_size((110, 24)).columns, width + 40)
    for name, text in rows:
        wrapped = textwrap.wrap(text, columns - width, break_on_hyphens=False) or [""]
        head = f"{name:<{width}}" if len(name) < width else f"{name}\n{'':<{width}}"
        click.echo(head + wrapped[0])
        for line in wrapped[1:]:
            click.echo(" " * width + line)
