"""The workflow file: one section per room, typed, frozen, unknown keys refused; every problem reported at once.

``data_schema/workflow.json`` is generated from here (``python -m radpipe.config data_schema``). Reading a workflow
imports no torch, MONAI or scikit-learn.
"""

from __future__ import annotations

import json
import os
import sys
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from radpipe.cohort.config import CohortSettings, SplitSettings
from radpipe.comparison.config import ComparisonSettings, ControlSettings
from radpipe.core.registry import nearest
from radpipe.core.settings import Settings
from radpipe.errors import ConfigError
from radpipe.evaluation.config import EvaluationSettings
from radpipe.features.config import FeatureSettings
from radpipe.features.map_settings import MapSettings
from radpipe.features.patient_settings import PatientSettings
from radpipe.habitats.config import HabitatSettings
from radpipe.io.mapping import read_mapping
from radpipe.models.config import (
    ALL_SOURCES,
    EMBEDDING,
    AnnParams,
    AverageParams,
    Cnn3dParams,
    GivenParams,
    ModelParams,
    Source,
    inputs_of,
    references,
)
from radpipe.models.registry import OUTCOME_KINDS
from radpipe.preprocessing.config import PreprocessingSettings
from radpipe.report.config import ReportSettings
from radpipe.segmentation.config import SegmentationSettings
from radpipe.selection.config import SelectionSettings

WORKFLOW_VERSION = 1
BUILTIN = "builtin:"


READING_KEYS = ("label", "label_channel", "correctMask", "geometryTolerance")  # of PyRadiomics' setting; every stage obeys them


def reading_keys(params: dict[str, Any]) -> dict[str, Any]:
    """What a parameter mapping says of how masks are read."""
    setting = params.get("setting") or {}
    return {key: setting[key] for key in READING_KEYS if setting.get(key) is not None}


class ComputeSettings(Settings):
    """How the machine is used. Nothing here changes a number in a table."""

    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = Field("auto", description="parallel cases; auto is one per core")
    case_memory_mb: int = Field(4000, ge=200, description="resident memory after which a case is ended and reported, MB")
    case_timeout_s: int = Field(1800, ge=1, description="wall time after which a case is ended and reported, s")
    scheduler: str = Field("local", description="local, processes (no Dask), or the address of a Dask scheduler")

    @property
    def count(self) -> int:
        """Workers, with auto resolved: the cores this process may use."""
        if self.workers != "auto":
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class MapsSettings(MapSettings):
    """Voxel-wise features: maps of every region, their statistics, and habitats of voxels."""

    habitats: HabitatSettings | None = HabitatSettings()
    """Clusters of voxels in the space of the maps, fitted in every outer training part; null for none."""


class Workflow(Settings):
    """What a run does, whole: the same file and the same data give the same tables."""

    radpipe_workflow: int = Field(description="version of this file's layout; 1")
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="of the workflow; an output folder belongs to one name"
    )
    title: str = Field("", description="heading of the report; the name where empty")
    seed: int = Field(20261121, ge=0, description="all chance in the run comes from here")
    cohort: CohortSettings
    splits: SplitSettings = SplitSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    features: FeatureSettings = FeatureSettings()
    maps: MapsSettings | None = Field(
        None, description="feature maps and what is made of them; null for none, {} for the defaults"
    )
    patients: PatientSettings | None = Field(
        None, description="one row a patient, from several regions and modalities; null for one row a region"
    )
    selection: SelectionSettings = SelectionSettings()
    models: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], ModelParams] = Field(
        min_length=1, description="name in the tables and the report -> model"
    )
    references: bool | tuple[str, ...] = Field(
        True,
        description="models that every study is set beside (prevalence, clinical, volume, logistic, forest, xgboost, svm; for other "
        "outcomes their like), added where models has none of that kind on those inputs; true for all, or their names. They are "
        "evaluated, and not among the models that are compared",
    )
    tuning_budget: int | None = Field(
        None, ge=1,
        description="the most networks that tuning may train in a fold, the same for an ANN's order and a 3D CNN's candidates; null for no limit",
    )  # fmt: skip
    embedding: str | None = Field(
        None,
        description="the cnn3d model whose last layer's inputs become columns, for models whose sources name embedding; null for the only one",
    )
    evaluation: EvaluationSettings = EvaluationSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    controls: ControlSettings | None = Field(
        None,
        description="negative controls beside the result; null for none, {} for the defaults; `radpipe run --controls` asks too",
    )
    report: ReportSettings = ReportSettings()
    compute: ComputeSettings = ComputeSettings()

    _base: Path = PrivateAttr(default=Path("."))

    @model_validator(mode="after")
    def _add_references(self) -> Workflow:
        known = references(
            self.cohort.outcome_kind, clinical=bool(self.cohort.clinical), volume=self.needs_images or self.patients is not None
        )
        wanted = self.references
        if isinstance(wanted, tuple):
            unknown = [name for name in wanted if name.removeprefix("reference_") not in known]
            if unknown:
                raise ValueError(
                    f"references names {unknown[0]!r}, which is none here.{nearest(unknown[0], known)} Choose among: {', '.join(known)}."
                )
        added = (
            []
            if isinstance(wanted, bool)
            else [name for name in wanted if self.models.get(name) == known[name.removeprefix("reference_")]]
        )
        models = dict(self.models)
        for name in known if wanted is True else () if wanted is False else [name.removeprefix("reference_") for name in wanted]:
            params = known[name]
            if not any(model.kind == params.kind and model.inputs == params.inputs for model in models.values()):
                free = name if name not in models else f"reference_{name}"
                models[free] = params
                added.append(free)
        # A frozen section: what the workflow means is settled here, once, and is what config.yaml of a run shows.
        self.__dict__["models"] = models
        self.__dict__["references"] = tuple(added)
        return self

    @model_validator(mode="after")
    def _sections_agree(self) -> Workflow:
        for name in self.comparison.primary or ():
            if name not in self.models:
                raise ValueError(
                    f"comparison.primary names the model {name!r}, which is not among models ({', '.join(self.models)})"
                )
        if self.needs_images and self.segmentation.masks == "predicted" and self.features.table is not None:
            raise ValueError(
                "features.table (made elsewhere) goes with segmentation.masks: given; its values cannot come from predicted masks"
            )
        if not self.cohort.clinical and any("clinical" in inputs_of(model) for model in self.models.values()):
            raise ValueError("a model has inputs: clinical, but cohort.clinical names no column")
        for name, model in self.models.items():
            if isinstance(model, GivenParams) and model.column not in self.cohort.given:
                raise ValueError(f"models.{name} reads the column {model.column!r}, which cohort.given does not name")
            able = OUTCOME_KINDS[model.kind]
            if self.cohort.outcome_kind not in able:
                raise ValueError(
                    f"models.{name} is of kind {model.kind}, which predicts {' and '.join(able)}, and cohort.outcome_kind is "
                    f"{self.cohort.outcome_kind}; kinds that can: "
                    + (", ".join(kind for kind, kinds in OUTCOME_KINDS.items() if self.cohort.outcome_kind in kinds) or "none")
                )
            if isinstance(model, AnnParams) and (problem := model.misfit(self.cohort.outcome_kind)):
                raise ValueError(f"models.{name}: {problem}")
        self._check_budget()
        self._check_fusion()
        self._check_controls()
        self._check_maps()
        self._check_patients()
        self._check_robustness()
        return self

    def _check_budget(self) -> None:
        for name, model in self.models.items():
            tried = len(model.candidates) if isinstance(model, Cnn3dParams) else 0
            if isinstance(model, AnnParams) and model.order is not None:
                tried = (model.order.maximum - model.order.minimum + 1) * model.order.trials
            if self.tuning_budget is not None and tried > self.tuning_budget:
                what = "order" if isinstance(model, AnnParams) else "candidates"
                raise ValueError(
                    f"models.{name}.{what} may train {tried} networks in a fold, and tuning_budget is {self.tuning_budget}: "
                    "both arms get the same effort; narrow the one or raise the other"
                )

    def _check_fusion(self) -> None:
        for name, model in self.models.items():
            if isinstance(model, AverageParams):
                for member in model.of:
                    if member not in self.models:
                        raise ValueError(
                            f"models.{name} averages {member!r}, which is not among models.{nearest(member, self.models)}"
                        )
                    if isinstance(self.models[member], AverageParams):
                        raise ValueError(
                            f"models.{name} averages {member!r}, which is an average itself; name its models instead"
                        )
            inputs = inputs_of(model)
            if EMBEDDING in getattr(model, "sources", ()) and {"selected", "features"}.intersection(inputs):
                self._check_embedding(name)

    def _check_controls(self) -> None:
        name = self.controls.model if self.controls is not None else None
        if name is None:
            return
        if name not in self.models:
            raise ValueError(f"controls.model names {name!r}, which is not among models ({', '.join(self.models)})")
        model = self.models[name]
        if isinstance(model, AverageParams):
            raise ValueError(
                f"controls.model names {name!r}, which is an average; name one of its models ({', '.join(model.of)})"
            )
        if EMBEDDING in getattr(model, "sources", ()):
            raise ValueError(
                f"controls.model names {name!r}, whose deep features have seen the true outcomes: permuting these afterwards shows nothing"
            )

    def _check_embedding(self, name: str) -> None:
        networks = [other for other, model in self.models.items() if isinstance(model, Cnn3dParams)]
        if self.embedding is not None and self.embedding not in networks:
            raise ValueError(
                f"embedding names {self.embedding!r}, which is no cnn3d model.{nearest(self.embedding, networks)} "
                f"There are: {', '.join(networks) or 'none'}."
            )
        if self.embedding is None and len(networks) != 1:
            raise ValueError(
                f"models.{name}.sources names embedding, and there are {len(networks)} models of kind cnn3d"
                + ("; add one" if not networks else f"; say whose with embedding: {networks[0]}")
            )

    def _check_robustness(self) -> None:
        robustness = self.selection.robustness
        if robustness is None:
            return
        if self.patients is not None or self.maps is not None:
            other = "patients" if self.patients is not None else "maps"
            raise ValueError(f"selection.robustness and {other} do not go together yet: what is repeated is one row a region")
        if robustness.table is None and self.features.table is not None:
            raise ValueError(
                "selection.robustness draws outlines anew, and features.table takes the images' place: name selection.robustness.table"
            )

    def _check_patients(self) -> None:
        patients = self.patients
        if patients is None:
            return
        if self.segmentation.masks == "predicted":
            raise ValueError(
                "patients goes with segmentation.masks: given; a network cannot know which of several regions is meant"
            )
        if self.maps is not None:
            raise ValueError("patients and maps do not go together yet: habitats are of one region, not of a patient")
        looks = [name for name, model in self.models.items() if model.inputs == "image"]
        if looks and not patients.one_region:
            raise ValueError(
                f"models.{looks[0]} looks at the image of one region, and patients.rule: {patients.rule} takes several together, so the two "
                "would not be told the same; use rule: largest or primary, or leave the model out"
            )
        if looks and patients.blocks is None:
            raise ValueError(
                f"models.{looks[0]} looks at images: name patients.blocks, of which the first says at whose, as blocks: [PET, CT]"
            )
        if patients.params and self.features.table is not None:
            raise ValueError("patients.params are of extraction, and features.table takes its place")
        for block, params in patients.params.items():
            try:
                own = FeatureSettings(engine=self.features.engine, feature_set=self.features.feature_set, params=params)
            except ValidationError as error:
                said = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
                raise ValueError(f"patients.params.{block}: {said}") from error
            if reading_keys(own.params) != reading_keys(self.features.params):
                raise ValueError(
                    f"patients.params.{block} reads masks otherwise than features.params ({', '.join(READING_KEYS)}); every stage reads them alike"
                )

    def features_of(self, block: str) -> FeatureSettings:
        """How the features of a block are extracted: its own parameters, else those of all."""
        if self.patients is None or block not in self.patients.params:
            return self.features
        return self.features.model_copy(update={"params": self.patients.params[block]})

    def _check_maps(self) -> None:
        for name, model in self.models.items():
            wanted: tuple[Source, ...] = getattr(model, "sources", ALL_SOURCES)
            lacking = [source for source in wanted if source not in self.sources and wanted != ALL_SOURCES]
            if lacking and {"selected", "features"}.intersection(inputs_of(model)):
                raise ValueError(
                    f"models.{name}.sources names {lacking[0]}, which this workflow does not make: add `maps: {{}}`"
                    + (f", with {'statistics: true' if lacking[0] == 'maps' else 'habitats: {}'}" if self.maps else "")
                )
        if self.maps is None:
            return
        if self.features.table is not None:
            raise ValueError("maps need images, and features.table takes their place")
        if self.features.feature_set != "pyradiomics":
            raise ValueError("maps are of the PyRadiomics set; features.feature_set is ibsi")
        if not self.maps.statistics and self.maps.habitats is None:
            raise ValueError("maps: neither statistics nor habitats are asked for, so nothing would be made of the maps")
        try:
            parameters = self.maps.extraction(self.features).parameters
        except ValidationError as error:
            raise ValueError(
                "maps: " + "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
            ) from error
        if not any(family not in ("shape", "shape2D") for family in parameters.features):
            raise ValueError("maps.features names shape only, and shape has no maps; add firstorder or a texture family")
        habitats = self.maps.habitats
        if habitats is not None and (habitats.features or habitats.order_by):
            from radpipe.features.images import column_names  # here, because it imports numba

            known = [name for name in column_names(parameters) if not name.startswith("original_shape")]
            for column in (*(habitats.features or ()), *filter(None, [habitats.order_by])):
                if column not in known:
                    raise ValueError(f"maps.habitats names the map {column!r}, which maps does not make.{nearest(column, known)}")

    @property
    def base(self) -> Path:
        """The folder of the workflow file; relative paths in it start here."""
        return self._base

    @property
    def needs_images(self) -> bool:
        """False where a table of features made elsewhere is all that the models use."""
        return self.features.table is None or any(model.inputs == "image" for model in self.models.values())

    @property
    def sources(self) -> tuple[Source, ...]:
        """Which kinds of feature columns the run makes."""
        made = {
            "maps": self.maps is not None and self.maps.statistics,
            "habitats": self.maps is not None and self.maps.habitats is not None,
            EMBEDDING: self.embedding_model is not None,
        }
        return tuple(source for source in (*ALL_SOURCES, EMBEDDING) if made.get(source, True))

    @property
    def references_added(self) -> tuple[str, ...]:
        """The models that are here as references only, not because the workflow names them."""
        return self.references if isinstance(self.references, tuple) else ()

    @property
    def embedding_model(self) -> str | None:
        """The model whose deep features are columns; None where no model asks for any."""
        if not any(EMBEDDING in getattr(model, "sources", ()) for model in self.models.values()):
            return None
        networks = [name for name, model in self.models.items() if isinstance(model, Cnn3dParams)]
        return self.embedding or (networks[0] if len(networks) == 1 else None)

    def sources_of(self, model: ModelParams) -> tuple[Source, ...]:
        """The kinds of feature columns that a model eats."""
        wanted: tuple[Source, ...] = getattr(model, "sources", ALL_SOURCES)
        return tuple(source for source in wanted if source in self.sources)

    def with_controls(self) -> Workflow:
        """The same, with the default negative controls."""
        return self.model_copy(update={"controls": ControlSettings()})

    def resolve(self, path: str) -> Path:
        """A path of the workflow file, made absolute."""
        return (self._base / Path(path).expanduser()).resolve()


def load_workflow(path: Path) -> Workflow:
    """Read and check a workflow; ConfigError names every problem, with the nearest valid key for an unknown one."""
    path = Path(path)
    content = read_mapping(path)
    if not content:
        raise ConfigError("holds no settings.", hint="Start from a file in workflows/ or from `radpipe init`.", path=path)
    version = content.get("radpipe_workflow")
    if isinstance(version, int) and version > WORKFLOW_VERSION:
        raise ConfigError(
            f"this workflow has layout version {version}; this radpipe reads up to version {WORKFLOW_VERSION}.",
            hint="Install a newer radpipe, or use the workflow that came with this one.",
            path=path,
        )
    features = content.get("features")
    if isinstance(features, dict) and isinstance(features.get("params"), str):
        params_path = path.parent / features["params"]
        content = {**content, "features": {**features, "params": read_mapping(params_path)}}
    patients = content.get("patients")
    if isinstance(patients, dict) and isinstance(patients.get("params"), dict):
        own = {b: read_mapping(path.parent / p) if isinstance(p, str) else p for b, p in patients["params"].items()}
        content = {**content, "patients": {**patients, "params": own}}
    try:
        workflow = Workflow.model_validate(content)
    except ValidationError as error:
        problems = [_in_words(item) for item in error.errors()]
        listed = problems[0] if len(problems) == 1 else f"{len(problems)} problems:\n" + "\n".join(f"  - {p}" for p in problems)
        raise ConfigError(
            listed, hint="All keys are in data_schema/workflow.json and `radpipe describe workflow`.", path=path
        ) from error
    workflow._base = path.resolve().parent
    for model in workflow.models.values():
        if isinstance(model, Cnn3dParams) and model.weights is not None:
            from radpipe.io.models import weights_about  # here, because few workflows need it

            weights_about(workflow.resolve(model.weights))
    return workflow


def _in_words(item: Any) -> str:
    loc = tuple(item["loc"])
    model, names = _walk(Workflow, loc[:-1] if item["type"] in ("extra_forbidden", "missing") else loc)
    where = ".".join(names)
    if item["type"] == "extra_forbidden":
        known = list(model.model_fields) if model else []
        near = nearest(str(loc[-1]), known)
        return f"unknown key {'.'.join([*names, str(loc[-1])])!r}.{near or ' Known here: ' + ', '.join(known) + '.'}"
    if item["type"] == "missing":
        return f"the key {'.'.join([*names, str(loc[-1])])!r} is missing."
    if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{where}: {item['msg']}."
    got = f" (got {item['input']!r})" if not isinstance(item["input"], dict | list) else ""
    message = item["msg"].removeprefix("Value error, ")
    return f"{where}: {message}{got}." if where else f"{message}."


def _walk(model: type[BaseModel], loc: tuple[Any, ...]) -> tuple[type[BaseModel] | None, list[str]]:
    """The model that a pydantic error location lies in, and the location as the user wrote it (union tags left out)."""
    annotation: Any = model
    names: list[str] = []
    for step in loc:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names.append(str(step))
            field = annotation.model_fields.get(str(step))
            annotation = _given(field.annotation) if field else None
            continue
        members = _models_in(annotation)
        tagged = [m for m in members if "kind" in m.model_fields and m.model_fields["kind"].default == step]
        if tagged and typing.get_origin(annotation) is not dict:
            annotation = tagged[0]  # the step is the discriminator's value, which is not a key of the file
            continue
        names.append(str(step))
        if typing.get_origin(annotation) is dict:
            annotation = typing.get_args(annotation)[1]
        elif len(members) == 1:
            annotation = members[0]
    found = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return found, names


def _given(annotation: Any) -> Any:
    """X of ``X | None``."""
    given = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    return given[0] if len(given) == 1 and type(None) in typing.get_args(annotation) else annotation


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def workflow_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the workflow file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Workflow.model_json_schema()}


if __name__ == "__main__":
    (Path(sys.argv[1]) / "workflow.json").write_text(json.dumps(workflow_schema(), indent=2, ensure_ascii=False) + "\n")
