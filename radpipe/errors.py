"""Every error a user can meet: what is wrong, where, and what to do about it.

Errors travel between processes (a case runs in a child of a Dask worker), so they pickle whole.
"""

from __future__ import annotations


class RadpipeError(Exception):
    """Something the user can act on.

    problem : one sentence, ends with a full stop; says what is wrong in the field's own words.
    hint : one sentence; says what to do.
    case_id, path : the case and the file it is about, where there is one.
    """

    exit_code = 2
    kind = "error"

    def __init__(self, problem: str, *, hint: str = "", case_id: str = "", path: object = "", kind: str | None = None) -> None:
        self.problem = problem
        self.hint = hint
        self.case_id = case_id
        self.path = str(path) if path else ""
        if kind is not None:
            self.kind = kind
        super().__init__(str(self))

    def __str__(self) -> str:
        where = " ".join(
            part for part in (f"case {self.case_id}:" if self.case_id else "", f"{self.path}:" if self.path else "") if part
        )
        what = f"{where} {self.problem}" if where else self.problem
        return f"{what} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problem, self.hint, self.case_id, self.path, self.kind))

    def about(self, *, case_id: str = "", path: object = "") -> RadpipeError:
        """The same error with the case and file filled in where they were not known yet."""
        return _rebuild(
            type(self), self.problem, self.hint, self.case_id or case_id, self.path or (str(path) if path else ""), self.kind
        )


def _rebuild(cls: type[RadpipeError], problem: str, hint: str, case_id: str, path: str, kind: str) -> RadpipeError:
    return cls(problem, hint=hint, case_id=case_id, path=path, kind=kind)


class ConfigError(RadpipeError):
    """The workflow file or a command-line option is wrong."""

    kind = "config"


class CohortError(RadpipeError):
    """The manifest, the outcomes or the splits cannot be used."""

    kind = "cohort"


class FileProblem(RadpipeError):
    """A file is missing, unreadable, truncated, or holds what it must not."""

    kind = "file"


class GeometryError(RadpipeError):
    """Image and mask are not on the same grid."""

    kind = "geometry"


class EmptyRoiError(RadpipeError):
    """The region is empty or too small for what was asked."""

    kind = "empty_roi"


class SchemaError(RadpipeError):
    """A table does not look as its schema says."""

    kind = "schema"


class RunError(RadpipeError):
    """The run itself cannot go on: output folder in use, disk full, bookkeeping that does not add up."""

    kind = "run"
