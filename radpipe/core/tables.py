"""The schema of every table that travels between stages, and the check both sides run.

``data_schema/*.json`` is generated from here (``python -m radpipe.core.tables data_schema``), and a test says they agree.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from radpipe.core.intake_tables import DOCTOR_FINDINGS, INTAKE
from radpipe.core.schema import Column, Schema, check_table, empty_table, json_schema, make_table

__all__ = ["DOCTOR_FINDINGS", "SCHEMAS", "Column", "Schema", "check_table", "empty_table", "json_schema", "make_table"]

_CASE = Column("case_id", "string", "the case's id in the manifest")
_REPEAT = Column("repeat", "int64", "repeat of the cross-validation, from 0; -1 where the row holds for all repeats")
_FOLD = Column("fold", "int64", "outer fold within the repeat, from 0; -1 where the row holds for all folds")
ROLES = ("train", "selection", "test")
MASK_SOURCES = ("given", "predicted")
STAGES = (
    "cohort",
    "preprocess",
    "segment",
    "extract",
    "habitats",
    "patients",
    "embed",
    "select",
    "train",
    "evaluate",
    "compare",
    "controls",
    "report",
)

COHORT = Schema(
    "cohort",
    "The cases that passed the check, one row each.",
    (
        _CASE,
        Column("patient_id", "string", "cases of one patient never stand on two sides of a split"),
        Column(
            "modality",
            "string",
            "CT, PET or MR; empty where a table of features takes the images' place",
            allowed=("CT", "PET", "MR", ""),
        ),
        Column("image_path", "string", "image file, as written in the manifest"),
        Column("mask_path", "string", "file with the given outline"),
        Column("label", "int64", "value of the region's voxels in the mask file"),
        Column(
            "outcome",
            "int64",
            "class index of the outcome; of times to an event 0 censored, 1 the event, 2 a competing event; 0 of numbers",
        ),
        Column("time", "float64", "time to the event or to the end of follow-up, in the manifest's unit", optional=True),
        Column("value", "float64", "the outcome where it is a number, in the manifest's unit", optional=True),
        Column("image_sha256", "string", "of the image file's bytes"),
        Column("mask_sha256", "string", "of the mask file's bytes"),
        Column("mask_volume_ml", "float64", "voxels of the given region times voxel volume", "ml"),
    ),
    ("case_id",),
    extra="any",
    extra_named="the clinical columns the workflow names",
)
SPLITS = Schema(
    "splits",
    "Who trains, selects and tests in every outer fold; drawn once.",
    (_REPEAT, _FOLD, _CASE, Column("role", "string", "train, selection (validation) or test", allowed=ROLES)),
    ("repeat", "fold", "case_id"),
)
PREPROCESSED = Schema(
    "preprocessed",
    "Where the networks' input of every case lies.",
    (
        _CASE,
        Column("image_path", "string", "resampled, normalised image, relative to the run folder"),
        Column("mask_path", "string", "given mask on the same grid, relative to the run folder"),
        Column("key", "string", "content key of the result"),
    ),
    ("case_id",),
)
SEGMENTATION = Schema(
    "segmentation",
    "How well the network's outline agrees with the given one.",
    (
        _REPEAT,
        _FOLD,
        _CASE,
        Column("part", "int64", "part of the cross-fitting that left this case out"),
        Column("dice", "float64", "overlap of predicted and given mask"),
        Column("hd95_mm", "float64", "95th percentile Hausdorff distance of the surfaces", "mm"),
        Column("dice_no_look", "float64", "Dice of an ellipsoid drawn without looking at the image"),
        Column("volume_given_ml", "float64", "volume of the given mask", "ml"),
        Column("volume_predicted_ml", "float64", "volume of the predicted mask", "ml"),
        Column("mask_path", "string", "predicted mask, relative to the run folder"),
        Column("probability_path", "string", "probability map, relative to the run folder"),
        Column("key", "string", "content key of the result"),
    ),
    ("repeat", "fold", "case_id"),
)
FEATURES = Schema(
    "features",
    "One row a case and region; the features are columns named <imageType>_<class>_<Feature>, and those of feature maps "
    "<imageType>_<class>_<Feature>__map_<Statistic>.",
    (_CASE, Column("roi", "string", "which outline: given or predicted", allowed=MASK_SOURCES)),
    ("case_id", "roi"),
    extra="float64",
    extra_named="features; see the feature dictionary",
)
FOLD_FEATURES = Schema(
    "fold_features",
    "Features that differ between outer folds: all of them with nesting: full, and those of habitats.",
    (_REPEAT, _FOLD, _CASE, Column("roi", "string", "which outline", allowed=MASK_SOURCES)),
    ("repeat", "fold", "case_id", "roi"),
    extra="float64",
    extra_named="features; see the feature dictionary",
)
FEATURE_DICTIONARY = Schema(
    "feature_dictionary",
    "What every feature column is.",
    (
        Column("name", "string", "column of the features table"),
        Column("image_type", "string", "filter the feature was computed on"),
        Column(
            "family",
            "string",
            "firstorder, shape, glcm, glrlm, glszm, gldm, ngtdm, habitat; or of the IBSI set: morph, stat, cm-3D-avg, ...",
        ),
        Column("feature", "string", "PyRadiomics name, or the IBSI manual's in CamelCase"),
        Column("ibsi", "string", "IBSI tag of the same quantity; empty where IBSI has none"),
        Column("unit", "string", "unit of the value; 1 for none, intensity: the image's (HU, SUV, ...), response: a filter's"),
        Column("meaning", "string", "what it measures, in one sentence"),
        Column("convention", "string", "whose definition the value follows", allowed=("pyradiomics", "ibsi", "radpipe", "user")),
        Column("source", "string", "engine and version, or the file it came from"),
        Column(
            "other_name",
            "string",
            "family_Feature of the same quantity in the other vocabulary (PyRadiomics or IBSI); empty for none",
            nullable=True,
        ),
        Column(
            "settings",
            "string",
            "what made the value, as JSON: grey levels, filter, and all that is not the default",
            nullable=True,
        ),
        Column("settings_key", "string", "first 16 digits of the SHA-256 of the extraction settings"),
        Column(
            "modality", "string", "block of a patient's row that the column belongs to; empty for a region's own", optional=True
        ),
        Column(
            "aggregation",
            "string",
            "how a patient's value comes from the regions'; empty for a region's own",
            allowed=("primary", "largest", "sum", "weighted_mean", ""),
            optional=True,
        ),
    ),
    ("name",),
)
UNDEFINED = Schema(
    "undefined",
    "Every value of the features tables that is no measurement, and why.",
    (
        _REPEAT,
        _FOLD,
        _CASE,
        Column("roi", "string", "which outline the value came from", allowed=MASK_SOURCES),
        Column(
            "feature",
            "string",
            "column of the features table; habitat_4_* with no case_id: all columns of a habitat that the fold has not, of all cases",
        ),
        Column(
            "value", "float64", "what stands there: nothing, or the value that the definition sets by convention", nullable=True
        ),
        Column(
            "reason",
            "string",
            "code: one-intensity, one-level, no-neighbours, no-difference, response-undefined, zero-divisor; of maps: flat-map, "
            "map-undefined, map-no-neighbours; of habitats: habitat-absent, no-such-habitat, no-habitats; of patients: block-missing, "
            "no-primary, no-such-region, region-failed, several-primary, region-twice, several-images, not-of-this-region",
        ),
        Column("meaning", "string", "the reason in words"),
    ),
    ("repeat", "fold", "case_id", "roi", "feature"),
)
MAPS = Schema(
    "maps",
    "Where the feature maps of every region lie; radpipe.stages.map_store.load_maps reads them.",
    (
        _REPEAT,
        _FOLD,
        _CASE,
        Column("roi", "string", "which outline", allowed=MASK_SOURCES),
        Column("path", "string", "file of the maps, relative to the run folder"),
        Column("centres", "int64", "voxels at which they were computed"),
        Column("key", "string", "content key of the result"),
    ),
    ("repeat", "fold", "case_id", "roi"),
)
HABITATS = Schema(
    "habitats",
    "The habitats of every outer fold, as fitted on its training part.",
    (
        _REPEAT,
        _FOLD,
        Column("habitat", "int64", "number, from 1; the lowest has the lowest mean of the map they are ordered by"),
        Column("k", "int64", "habitats in this fold"),
        Column("share", "float64", "of the training voxels that were drawn"),
        Column("order_by", "string", "map they are ordered by"),
        Column(
            "path",
            "string",
            "file of all cases' habitats, relative to the run folder; radpipe.stages.map_store.load_labels reads it",
        ),
        Column("key", "string", "content key of the result"),
    ),
    ("repeat", "fold", "habitat"),
    extra="float64",
    extra_named="mean of each map over the training voxels of the habitat, in the map's unit",
)
HABITAT_CHOICE = Schema(
    "habitat_choice",
    "How well random halves of the training cases agree on so many habitats, in every outer fold.",
    (
        _REPEAT,
        _FOLD,
        Column("k", "int64", "number of habitats"),
        Column(
            "agreement", "float64", "mean prediction strength, 0 to 1; empty where there was nothing to choose", nullable=True
        ),
        Column("spread", "float64", "its standard deviation over the halvings", nullable=True),
        Column("chosen", "bool", "whether this number was taken"),
    ),
    ("repeat", "fold", "k"),
)
PATIENTS = Schema(
    "patients",
    "The patients as the models see them, one row each, where a workflow makes one row of several regions or modalities.",
    (
        Column("patient_id", "string", "the patient"),
        Column("case_id", "string", "the region that stands for the patient: its image is seen, and predictions bear its id"),
        Column("blocks", "string", "modalities with a value, separated by spaces, in the workflow's order"),
        Column("regions", "int64", "regions that have a part in the row"),
        Column("volume_ml", "float64", "of the regions of the first modality that have a part", "ml"),
    ),
    ("patient_id",),
)
PATIENT_REGIONS = Schema(
    "patient_regions",
    "Every region of those patients, and what part it has in the patient's row.",
    (
        _CASE,
        Column("patient_id", "string", "the patient"),
        Column("block", "string", "block of columns it belongs to: its modality, or what patients.block of the workflow names"),
        Column("roi", "string", "the region's name; empty where the manifest gives none"),
        Column(
            "volume_ml",
            "float64",
            "voxels of the region times voxel volume; empty where it could not be measured",
            "ml",
            nullable=True,
        ),
        Column("used", "bool", "whether it has a part"),
        Column("weight", "float64", "in the mean over regions; 1 in a sum and where one region is taken, 0 where it has no part"),
    ),
    ("case_id",),
)
PATIENT_FEATURES = Schema(
    "patient_features",
    "One row a patient; columns are named <block>__<imageType>_<class>_<Feature>, as PET__original_glcm_JointEntropy.",
    (Column("patient_id", "string", "the patient"), Column("case_id", "string", "the region that stands for the patient")),
    ("patient_id",),
    extra="float64",
    extra_named="features; see the feature dictionary",
)
MASK_AGREEMENT = Schema(
    "mask_agreement",
    "How well each feature's value from the predicted mask agrees with that from the given one.",
    (
        Column("feature", "string", "column of the features table"),
        Column("n", "int64", "cases with both values"),
        Column("icc", "float64", "ICC(A,1): two-way, absolute agreement, single measurement", nullable=True),
        Column("ci_low", "float64", "lower end of the 95 % interval (McGraw and Wong 1996)", nullable=True),
        Column("ci_high", "float64", "upper end of the 95 % interval", nullable=True),
    ),
    ("feature",),
)
REPEATS = Schema(
    "repeats",
    "Features measured again: from perturbed outlines, or read from a table of repeats. Whether they repeat decides who may be chosen.",
    (_CASE, Column("measurement", "string", "given, or how the outline was changed; in a table of repeats its own name")),
    ("case_id", "measurement"),
    extra="float64",
    extra_named="features; see the feature dictionary",
)
EMBEDDING = Schema(
    "embedding",
    "Deep features of every case in every outer fold, by the network of that fold.",
    (_REPEAT, _FOLD, _CASE),
    ("repeat", "fold", "case_id"),
    extra="float64",
    extra_named="embedding_000, ...: the inputs of the network's last layer",
)
SELECTION = Schema(
    "selection",
    "What input selection did with every feature in every outer fold.",
    (
        _REPEAT,
        _FOLD,
        Column("sources", "string", "the candidates: scalar, maps, habitats, or several of these joined by +"),
        Column("feature", "string", "column of the features table"),
        Column("importance", "float64", "as the selector counts it; 0 where the feature was removed before"),
        Column("kept", "bool", "whether the feature went into the network"),
        Column("reason", "string", "kept, constant, missing, not_robust, redundant, not_important, over_limit"),
        Column("redundant_with", "string", "the kept feature it repeats; empty otherwise"),
    ),
    ("repeat", "fold", "sources", "feature"),
)
_SOURCES = Column("sources", "string", "the candidates, as in the table selection")
SELECTION_FITS = Schema(
    "selection_fits",
    "One row per input selection: by what, from whom.",
    (
        _REPEAT,
        _FOLD,
        _SOURCES,
        Column("selector", "string", "name of the selector"),
        Column("n_train", "int64", "patients' rows of the training part"),
        Column("n_selection", "int64", "rows of the selection part; 0 where the selector does not ask it"),
        Column("n_candidates", "int64", "features that reached the selector"),
        Column("n_kept", "int64", "features kept"),
        Column(
            "steps", "string", "inputs:selection error of every set that was tried, separated by spaces; empty where none are"
        ),
        Column("saw_sha256", "string", "of the sorted ids of all patients the selection saw"),
    ),
    ("repeat", "fold", "sources"),
)
SELECTION_STABILITY = Schema(
    "selection_stability",
    "How much the choice depends on who was in the training part: Nogueira's stability over all folds.",
    (
        _SOURCES,
        Column(
            "value", "float64", "1: every fold keeps the same; 0: no better than chance; empty where not defined", nullable=True
        ),
        Column("ci_low", "float64", "lower end of the 95 % interval, widened for patients that folds share", nullable=True),
        Column("ci_high", "float64", "upper end of that interval", nullable=True),
        Column("naive_low", "float64", "lower end if folds were independent, which they are not", nullable=True),
        Column("naive_high", "float64", "upper end of that", nullable=True),
        Column("n", "int64", "selections behind the value"),
        Column("method", "string", "how it was made, in words"),
    ),
    ("sources",),
)
SELECTION_VOLUME = Schema(
    "selection_volume",
    "Whether the chosen features say more than the volume: of all patients, after the fact; nothing is fitted with it.",
    (
        _SOURCES,
        Column("feature", "string", "a feature that at least one fold kept"),
        Column("kept", "int64", "folds that kept it"),
        Column("n", "int64", "patients with the feature, the volume and the outcome"),
        Column("rho_volume", "float64", "Spearman with the volume", nullable=True),
        Column("association", "float64", "Spearman with the outcome", nullable=True),
        Column("partial", "float64", "the same given the volume (partial Spearman)", nullable=True),
        Column("ci_low", "float64", "lower end of its 95 % interval", nullable=True),
        Column("ci_high", "float64", "upper end of its 95 % interval", nullable=True),
        Column("p_value", "float64", "two-sided, of the partial association; not adjusted, and of features that were chosen here", nullable=True),
        Column("method", "string", "what stands for the outcome"),
    ),
    ("sources", "feature"),
)  # fmt: skip
PREDICTIONS = Schema(
    "predictions",
    "One row per fitted model and case; all models of all arms in one table.",
    (
        _REPEAT,
        _FOLD,
        Column("seed", "int64", "seed of the fit"),
        Column("model", "string", "name of the model in the workflow"),
        _CASE,
        Column("role", "string", "part of the split the case was in", allowed=ROLES),
        Column("y_true", "int64", "outcome of the cohort table: class index, or the code of the event"),
        Column(
            "p_0", "float64", "predicted probability of class 0, or of no event by the horizon; empty for numbers", nullable=True
        ),
        Column("p_1", "float64", "predicted probability of class 1, or of the event by the horizon; empty for numbers", nullable=True),
        Column(
            "score", "float64", "of times to an event the logarithm of the relative hazard, of numbers the value; empty for classes",
            nullable=True, optional=True,
        ),
        Column("time", "float64", "true time to the event or to the end of follow-up", optional=True),
        Column("value", "float64", "true outcome where it is a number", optional=True),
    ),
    ("repeat", "fold", "seed", "model", "case_id"),
    extra="float64",
    extra_named="p_2, p_3, ...: predicted probability of the further classes",
)  # fmt: skip
FITS = Schema(
    "fits",
    "One row per fitted model: what it saw and how it ended.",
    (
        _REPEAT,
        _FOLD,
        Column("seed", "int64", "seed of the fit"),
        Column("model", "string", "name of the model in the workflow"),
        Column("n_train", "int64", "cases in the training part"),
        Column("n_selection", "int64", "cases in the selection part"),
        Column("networks", "int64", "networks or models trained for this fit: members, and what tuning tried", optional=True),
        Column("n_inputs", "int64", "columns, or voxels for an image network"),
        Column("n_parameters", "int64", "fitted numbers"),
        Column("epochs", "int64", "training steps until it stopped; 0 where there are none"),
        Column("train_error", "float64", "error term on the training part, no regularisation", nullable=True),
        Column("regularisation", "float64", "regularisation term at the kept parameters", nullable=True),
        Column("selection_error", "float64", "error term on the selection part", nullable=True),
        Column(
            "recalibration_slope", "float64", "of the logit, fitted on the selection part; 1 where not recalibrated, empty for numbers",
            nullable=True,
        ),
        Column(
            "recalibration_intercept", "float64",
            "of the logit, fitted on the selection part; 0 where not recalibrated, empty for numbers and for more than two classes",
            nullable=True,
        ),
        Column(
            "threshold", "float64", "on p_1; Youden's J on the training and selection part; empty where the outcome is not of two classes",
            nullable=True,
        ),
        Column("inputs", "string", "names of the inputs, separated by spaces; empty for images"),
        Column("saw_sha256", "string", "of the sorted ids of all patients the fit saw"),
        Column("model_path", "string", "folder of the fitted model, relative to the run folder"),
    ),
    ("repeat", "fold", "seed", "model"),
)  # fmt: skip
SEEN = Schema(
    "seen",
    "Whom everything that was fitted in an outer fold has seen; none of them may be of the fold's test part.",
    (
        _REPEAT,
        _FOLD,
        Column("stage", "string", "where it was fitted", allowed=STAGES),
        Column(
            "thing", "string", "habitats; the inputs among which was selected; a model, or a part of it: ann, ann encoder, ..."
        ),
        Column("n", "int64", "patients it saw"),
        Column("patients", "string", "their ids, sorted, as a JSON list"),
    ),
    ("repeat", "fold", "stage", "thing"),
)
METRICS = Schema(
    "metrics",
    "How well every model predicts the cases it never saw.",
    (
        Column("model", "string", "name of the model in the workflow"),
        Column("metric", "string", "auc, brier, calibration_slope, calibration_intercept, sensitivity, specificity, ..."),
        _REPEAT,
        _FOLD,
        Column("role", "string", "part the metric was computed on", allowed=ROLES),
        Column("value", "float64", "the metric", nullable=True),
        Column("ci_low", "float64", "lower end of the interval", nullable=True),
        Column("ci_high", "float64", "upper end of the interval", nullable=True),
        Column("n", "int64", "cases behind the value"),
        Column("method", "string", "how value and interval were made"),
    ),
    ("model", "metric", "repeat", "fold", "role"),
)
_MODEL = Column("model", "string", "name of the model in the workflow")
_LOW, _HIGH = (
    Column(f"ci_{end}", "float64", f"{name} end of the interval", nullable=True)
    for end, name in (("low", "lower"), ("high", "upper"))
)
_METHOD = Column("method", "string", "how the numbers were made, in words")
CONFORMAL = Schema(
    "conformal",
    "How often the prediction sets hold what happened, class by class.",
    (
        _MODEL,
        Column("class", "int64", "index of the class"),
        Column("level", "float64", "share of the class's cases whose set should hold it"),
        Column("coverage", "float64", "share whose set did", nullable=True),
        _LOW,
        _HIGH,
        Column("n", "int64", "test cases of the class"),
        Column("mean_size", "float64", "classes in a set, mean", nullable=True),
        Column("single", "float64", "share of sets that name one class", nullable=True),
        Column("all_classes", "float64", "share of sets that hold every class and so say nothing", nullable=True),
        Column("empty", "float64", "share of sets that hold none: unlike any class", nullable=True),
        Column("fewest_calibration", "int64", "calibration cases of the class in the fit that had fewest"),
        Column("vacuous_fits", "int64", "fits with too few calibration cases of the class ever to leave it out"),
        Column("fits", "int64", "fits in all"),
        _METHOD,
    ),
    ("model", "class"),
)
CONFORMAL_SETS = Schema(
    "conformal_sets",
    "The prediction set of every tested case.",
    (
        _MODEL,
        _REPEAT,
        _FOLD,
        _CASE,
        Column("y_true", "int64", "class index of the outcome"),
        Column("classes", "string", "class indices in the set, separated by spaces; empty for none"),
        Column("holds_truth", "bool", "whether the outcome is in it"),
    ),
    ("model", "repeat", "fold", "case_id"),
)
DECISION_CURVES = Schema(
    "decision_curves",
    "Net benefit of treating by each model's risk, beside treating everybody (treating nobody is 0).",
    (
        _MODEL,
        Column("threshold", "float64", "risk from which on one would treat"),
        Column("net_benefit", "float64", "share of true positives minus the weighed share of false ones", nullable=True),
        _LOW,
        _HIGH,
        Column("treat_all", "float64", "net benefit of treating everybody", nullable=True),
        Column("n", "int64", "cases"),
        _METHOD,
    ),
    ("model", "threshold"),
)
RISK_GROUPS = Schema(
    "risk_groups",
    "How groups of patients of similar predicted risk fared over time.",
    (
        _MODEL,
        _REPEAT,
        Column("group", "int64", "from 0, the lowest predicted risk"),
        Column("time", "float64", "the value holds from here on, in the manifest's unit"),
        Column("kind", "string", "event_free, or incidence where events compete", allowed=("event_free", "incidence")),
        Column("value", "float64", "share"),
        _LOW,
        _HIGH,
        Column("at_risk", "int64", "cases just before"),
        Column("n", "int64", "cases of the group"),
        Column("n_events", "int64", "of them with the event"),
        Column("p_value", "float64", "log-rank over the groups", nullable=True),
        _METHOD,
    ),
    ("model", "repeat", "group", "time"),
)
TIME_AUC = Schema(
    "time_auc",
    "How well every model tells apart, at several times, who has had the event by then and who has not.",
    (
        _MODEL,
        Column("time", "float64", "in the manifest's unit"),
        Column("auc", "float64", "time-dependent AUC, mean over folds", nullable=True),
        _LOW,
        _HIGH,
        Column("n_events", "int64", "tested cases with the event by then"),
        Column("n_free", "int64", "tested cases followed for longer"),
        Column("folds", "int64", "folds that define it"),
        _METHOD,
    ),
    ("model", "time"),
)
SUBGROUPS = Schema(
    "subgroups",
    "How well every model does in groups of patients.",
    (
        _MODEL,
        Column("column", "string", "clinical column"),
        Column("group", "string", "its value, or the half of its numbers"),
        Column("metric", "string", "auc, brier, harrell_c or rmse"),
        Column("value", "float64", "the metric; empty where there are too few to say", nullable=True),
        _LOW,
        _HIGH,
        Column("n", "int64", "cases of the group"),
        Column("n_events", "int64", "of them with the event"),
        _METHOD,
    ),
    ("model", "column", "group", "metric"),
)
COMPARISON = Schema(
    "comparison",
    "Every two models on the same patients and splits; the difference is model_a minus model_b.",
    (
        Column("model_a", "string", "first model"),
        Column("model_b", "string", "second model"),
        Column("metric", "string", "what was compared"),
        Column("test", "string", "name of the test"),
        Column("primary", "bool", "whether this is the one comparison named before outcomes were read"),
        Column("statistic", "float64", "of the test", nullable=True),
        Column("df", "float64", "degrees of freedom", nullable=True),
        Column("p_value", "float64", "two-sided", nullable=True),
        Column("p_adjusted", "float64", "Holm over the secondary pairs; the primary pair's own p", nullable=True),
        Column("effect", "float64", "difference of the metric, a minus b", nullable=True),
        Column("ci_low", "float64", "lower end of the 95 % interval of the difference", nullable=True),
        Column("ci_high", "float64", "upper end of the 95 % interval", nullable=True),
        Column("margin", "float64", "differences within plus or minus this count as equivalent"),
        Column("p_equivalence", "float64", "TOST", nullable=True),
        Column("verdict", "string", "what may be said", allowed=("a_better", "b_better", "equivalent", "not_resolved")),
        Column("method", "string", "how the numbers were made, in words"),
    ),
    ("model_a", "model_b", "metric", "test"),
)
ASSOCIATIONS = Schema(
    "associations",
    "How every feature goes with an outcome (radpipe correlate); for looking, not for choosing what to model.",
    (
        Column("feature", "string", "column of the features table"),
        Column("outcome", "string", "column of the outcomes"),
        Column("analysis", "string", "by itself, or beside volume and clinical columns", allowed=("unadjusted", "adjusted")),
        Column(
            "measure", "string", "what the effect is",
            allowed=("auc", "odds_ratio_per_sd", "kendall", "spearman", "partial_spearman", "hazard_ratio_per_sd", "difference_in_sd"),
        ),
        Column("effect", "float64", "its value; empty where there are too few cases to say", nullable=True),
        _LOW,
        _HIGH,
        Column("no_effect", "float64", "its value where feature and outcome have nothing to do with each other"),
        Column("p_value", "float64", "two-sided", nullable=True),
        Column("q_value", "float64", "Benjamini and Hochberg over all features of the analysis", nullable=True),
        Column("n", "int64", "regions or patients with all values"),
        _METHOD,
    ),
    ("outcome", "analysis", "feature"),
)  # fmt: skip
TERTILES = Schema(
    "tertiles",
    "Who is free of the event, by thirds of a feature.",
    (
        Column("feature", "string", "column of the features table"),
        Column("tertile", "string", "third of the cases by the feature", allowed=("lowest", "middle", "highest")),
        Column("time", "float64", "the value holds from here on"),
        Column("event_free", "float64", "share (Kaplan-Meier)"),
        _LOW,
        _HIGH,
        Column("at_risk", "int64", "patients just before"),
        Column("n", "int64", "patients of the third"),
        Column("n_events", "int64", "of them with the event"),
        Column("p_value", "float64", "log-rank over the thirds", nullable=True),
        _METHOD,
    ),
    ("feature", "tertile", "time"),
)
FEATURE_CLUSTERS = Schema(
    "feature_clusters",
    "Features that say much the same, by hierarchical clustering of their rank correlations.",
    (
        Column("feature", "string", "column of the features table"),
        Column("cluster", "int64", "number of its cluster, from 1 in the order of the heat map"),
        Column("place", "int64", "row of the heat map, from 0"),
    ),
    ("place",),
)
CONTROLS = Schema(
    "controls",
    "What the same work finds where nothing can be foretold.",
    (
        Column(
            "control",
            "string",
            "what was destroyed",
            allowed=("permuted_outcomes", "shuffled_voxels", "random_region", "noise_columns"),
        ),
        Column("model", "string", "name of the model in the workflow"),
        Column("metric", "string", "auc, macro_auc, harrell_c or spearman"),
        Column("value", "float64", "of the control: mean over folds, or over permuted runs", nullable=True),
        Column("ci_low", "float64", "lower end of its interval; of permuted outcomes, Monte-Carlo of the mean", nullable=True),
        Column("ci_high", "float64", "upper end", nullable=True),
        Column("spread", "float64", "standard deviation over permuted runs", nullable=True),
        Column("n", "int64", "folds, or permuted runs, behind the value"),
        Column("observed", "float64", "the metric with nothing destroyed", nullable=True),
        Column("p_value", "float64", "share of permuted runs at least as good as the observed, (k + 1) / (n + 1)", nullable=True),
        Column("flagged", "bool", "whether the mean of permuted outcomes differs from what chance gives"),
        Column("method", "string", "how the numbers were made, in words"),
    ),
    ("control", "model"),
)
FAILURES = Schema(
    "failures",
    "What failed, why and how to run it again.",
    (
        Column("case_id", "string", "case, or the task where it is no case (a fold's fit)"),
        Column("stage", "string", "where it failed", allowed=STAGES),
        Column("error", "string", "kind: file, geometry, empty_roi, crash, timeout, memory, ..."),
        Column("path", "string", "the file it is about; empty where there is none"),
        Column("problem", "string", "what is wrong"),
        Column("hint", "string", "what to do"),
        Column("rerun", "string", "the command that runs it again"),
    ),
    ("case_id", "stage"),
)
SCHEMAS = {
    schema.name: schema
    for schema in (
        *INTAKE, COHORT, SPLITS, PREPROCESSED, SEGMENTATION, FEATURES, FOLD_FEATURES, FEATURE_DICTIONARY, UNDEFINED, MAPS, HABITATS, HABITAT_CHOICE,
        PATIENTS, PATIENT_REGIONS, PATIENT_FEATURES,
        MASK_AGREEMENT, EMBEDDING, REPEATS, SELECTION, SELECTION_FITS, SELECTION_STABILITY, SELECTION_VOLUME, PREDICTIONS, FITS, SEEN, METRICS,
        COMPARISON, FAILURES,
        CONFORMAL, CONFORMAL_SETS, DECISION_CURVES, RISK_GROUPS, TIME_AUC, SUBGROUPS, ASSOCIATIONS, TERTILES, FEATURE_CLUSTERS, CONTROLS,
    )
}  # fmt: skip


def write_schemas(folder: Path) -> None:
    """Write one JSON Schema per table."""
    for schema in SCHEMAS.values():
        (folder / f"{schema.name}.json").write_text(json.dumps(json_schema(schema), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
