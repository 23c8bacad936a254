"""A YAML or JSON file that holds a mapping of settings; a key that stands twice is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from radpipe.errors import ConfigError


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping; ConfigError, with the line, where the file is none. An empty file is an empty mapping. JSON is YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text.", hint="Save the file as UTF-8.", path=path) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}.", hint="Check the path of the file.", path=path) from error
    return parse_mapping(text, path)


def parse_mapping(text: str, path: object = "") -> dict[str, Any]:
    """As :func:`read_mapping`, of text."""
    try:
        content = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"is not valid YAML: {' '.join(str(error).split())}.", hint="Indent with spaces, never with tabs.", path=path
        ) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError("holds no mapping of settings.", hint="Its first line should read like `setting:`.", path=path)
    return content


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a later key replace an earlier one without a word; a setting written twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
