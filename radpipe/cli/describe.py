"""``radpipe describe``: what can be chosen, printed from the registries themselves."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable

import click

Rows = Iterable[tuple[str, str]]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _of_registry(registry: dict[str, str]) -> Rows:
    """Name and first docstring line; a module's own docstring says what the entry is, its functions how it works."""
    import importlib

    for name, dotted in registry.items():
        yield name, _first_line(importlib.import_module(dotted.partition(":")[0]).__doc__)


def _features() -> Rows:
    from radpipe.features.config import FeatureSettings
    from radpipe.features.dictionary import feature_dictionary

    for row in feature_dictionary(FeatureSettings()):
        unit = "" if row["unit"] in ("", "1") else f" [{row['unit']}]"
        yield row["name"], f"{row['meaning']}{unit}{' IBSI ' + row['ibsi'] if row['ibsi'] else ''}"


def _filters() -> Rows:
    from radpipe.features.parameters import IMAGE_TYPES

    for name in IMAGE_TYPES:
        own = name == "Original"
        yield (
            name,
            "The image as it is; both engines."
            if own
            else "A filtered image; features: {engine: pyradiomics} (make pyradiomics).",
        )


def _networks() -> Rows:
    from radpipe.networks.registry import CLASSIFIERS, SEGMENTERS

    yield from ((f"{name} (segmentation.network)", text) for name, text in _of_registry(SEGMENTERS))
    yield from ((f"{name} (cnn3d: network)", text) for name, text in _of_registry(CLASSIFIERS))


def _models() -> Rows:
    from radpipe.models.config import PARAMS

    yield from ((kind, _first_line(params.__doc__)) for kind, params in PARAMS.items())


def _selectors() -> Rows:
    from radpipe.selection.registry import SELECTORS

    yield from _of_registry(SELECTORS)


def _tests() -> Rows:
    from radpipe.comparison.registry import TESTS

    yield from _of_registry(TESTS)


def _workflow() -> Rows:
    from radpipe.config import workflow_schema

    schema = workflow_schema()
    for section, entry in schema["properties"].items():
        reference = entry.get("$ref", "").rpartition("/")[2] or entry.get("allOf", [{}])[0].get("$ref", "").rpartition("/")[2]
        fields = schema["$defs"].get(reference, {}).get("properties")
        if not fields:
            yield section, entry.get("description", "")
            continue
        for name, field in fields.items():
            default = f" Default: {field['default']}." if "default" in field else ""
            yield f"{section}.{name}", f"{_first_line(field.get('description'))}{default}"


TOPICS: dict[str, Callable[[], Rows]] = {
    "features": _features, "filters": _filters, "networks": _networks, "models": _models, "selectors": _selectors, "tests": _tests,
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
        wrapped = textwrap.wrap(text, columns - width) or [""]
        head = f"{name:<{width}}" if len(name) < width else f"{name}\n{'':<{width}}"
        click.echo(head + wrapped[0])
        for line in wrapped[1:]:
            click.echo(" " * width + line)
