"""The base of every settings class: frozen, typed, unknown keys refused with the nearest valid one."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class Settings(BaseModel):
    """A room's settings. Each field has a default where one is safe, and a description with its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """With the docstrings of the fields as their descriptions. pydantic's own way (use_attribute_docstrings) reads the source
        of every class while it is imported, for text that nobody asks for before the first case."""
        schema = handler(core_schema)
        own: dict[str, Any] = handler.resolve_ref_schema(schema)
        for name, text in _descriptions(cls).items():
            if name in own.get("properties", {}):
                own["properties"][name].setdefault("description", text)
        return schema


@cache
def _descriptions(model: type[Settings]) -> dict[str, str]:
    """field -> the docstring under it, in the class that declares it."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Settings):
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
            assert isinstance(body, ast.ClassDef)
            found = {name: text for name, text in found.items() if name not in base.__annotations__} | _docstrings(body)
    return found


def _docstrings(body: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, following in zip(body.body, body.body[1:], strict=False):
        named = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if named and told and isinstance(following.value.value, str):  # type: ignore[attr-defined]
            found[field.target.id] = inspect.cleandoc(following.value.value)  # type: ignore[attr-defined]
    return found
