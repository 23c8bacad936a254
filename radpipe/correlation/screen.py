"""Every feature against one outcome: the table ASSOCIATIONS, with false discoveries kept in hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from radpipe.core.tables import ASSOCIATIONS, FEATURE_CLUSTERS, TERTILES, make_table
from radpipe.correlation import association
from radpipe.correlation.association import Association
from radpipe.errors import CohortError
from radpipe.evaluation.survival import check_times, kaplan_meier, log_rank
from radpipe.typing import FloatArray, IntArray

OutcomeKind = Literal["binary", "ordinal", "continuous", "time_to_event"]


@dataclass(frozen=True)
class Outcome:
    """numbers : (n,) classes 0 and 1, grades, numbers, or event codes (0 censored, 1 the event, 2 a competing one); NaN where it is
    not known. time : (n,) of time_to_event. meaning : in words, e.g. which class is 1."""

    name: str
    kind: OutcomeKind
    numbers: FloatArray
    time: FloatArray | None = None
    meaning: str = ""

    def check(self) -> None:
        """CohortError where there is nothing to correlate with."""
        known = self.numbers[np.isfinite(self.numbers)]
        if len(np.unique(known)) < 2 and self.kind != "time_to_event":
            raise CohortError(f"the outcome {self.name!r} is the same for everybody.", hint="Choose another column.")
        if self.kind == "time_to_event":
            assert self.time is not None
            rows = np.isfinite(self.numbers) & np.isfinite(self.time)
            check_times(self.time[rows], self.numbers[rows].astype(np.int64))
            if (self.time[~np.isnan(self.time)] < 0).any():
                raise CohortError("a time is below 0.", hint="Count time from the same start for everybody.")


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """(m,) p-values, adjusted so that calls below alpha hold at most that share of false ones; NaN stays and is not counted.

    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    p_values = np.asarray(p_values, float)
    adjusted = np.full(len(p_values), np.nan)
    rows = np.flatnonzero(np.isfinite(p_values))
    if len(rows):
        order = rows[np.argsort(-p_values[rows], kind="stable")]
        factors = len(rows) / np.arange(len(rows), 0, -1)
        adjusted[order] = np.minimum(np.minimum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def screen(
    features: pd.DataFrame,
    outcome: Outcome,
    *,
    covariates: pd.DataFrame | None = None,
    patients: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Table ASSOCIATIONS: every column of ``features`` against the outcome, by itself and beside the covariates.

    features, covariates : (n, columns) of numbers; a case with a missing value is left out of that row. patients : (n,) whose region
    it is; where one has several, a mixed model takes the tests' place (times to an event: the mean of the patient's regions).
    What is the only covariate itself has no adjusted row. q is Benjamini and Hochberg's over all features of the same analysis.
    """
    outcome.check()
    who = np.array(patients if patients is not None else range(len(features)))
    _, place = np.unique(who, return_inverse=True)
    several = len(np.unique(place)) < len(place)
    rows: list[dict[str, Any]] = []
    adjusted = covariates is not None and covariates.shape[1] > 0
    for analysis in ("unadjusted", "adjusted") if adjusted else ("unadjusted",):
        beside = covariates if analysis == "adjusted" else None
        found = []
        names = [name for name in features.columns if beside is None or [str(c) for c in beside.columns] != [str(name)]]
        for name in names:
            one = _associate(features[name].to_numpy(float), outcome, beside, place, several, confidence, str(name))
            found.append(one)
        q = benjamini_hochberg(np.array([one.p_value for one in found]))
        for name, one, adjusted_p in zip(names, found, q, strict=True):
            method = one.method
            if beside is not None:
                method += f"; beside {', '.join(str(c) for c in beside.columns if str(c) != str(name)) or 'nothing'}"
            rows.append(
                {"feature": str(name), "outcome": outcome.name, "analysis": analysis, "measure": one.measure, "effect": one.effect,
                 "ci_low": one.ci_low, "ci_high": one.ci_high, "no_effect": one.null, "p_value": one.p_value, "q_value": adjusted_p,
                 "n": one.n, "method": method}
            )  # fmt: skip
    return make_table(ASSOCIATIONS, rows)


def _associate(
    x: FloatArray,
    outcome: Outcome,
    covariates: pd.DataFrame | None,
    place: IntArray,
    several: bool,
    confidence: float,
    name: str,
) -> Association:
    # A feature is not adjusted for itself (volume for volume).
    beside = None if covariates is None else covariates[[c for c in covariates.columns if str(c) != name]]
    z = None if beside is None or not beside.shape[1] else beside.to_numpy(float)
    rows = np.isfinite(x) & np.isfinite(outcome.numbers)
    if outcome.time is not None:
        rows &= np.isfinite(outcome.time)
    if z is not None:
        rows &= np.isfinite(z).all(axis=1)
    x, y, place = x[rows], outcome.numbers[rows], place[rows]
    z = None if z is None else z[rows]
    time = None if outcome.time is None else outcome.time[rows]
    if several and outcome.kind == "time_to_event":
        first = np.unique(place, return_index=True)[1]
        counts = np.bincount(place)
        x = np.bincount(place, weights=x)[counts > 0] / counts[counts > 0]
        y, z = y[first], None if z is None else z[first]
        time = None if time is None else time[first]
    elif several:
        return association.with_lesions(x, y, place, z, confidence)
    if outcome.kind == "time_to_event":
        assert time is not None
        found = association.with_time(x, time, y.astype(np.int64), z, confidence)
        if several:
            found = replace(found, method=f"mean of the patient's regions; {found.method}")
        return found
    if outcome.kind == "binary":
        classes = y.astype(np.int64)
        return (
            association.with_classes(x, classes, confidence)
            if z is None
            else association.with_classes_adjusted(x, classes, z, confidence)
        )
    if outcome.kind == "ordinal" and z is None:
        return association.with_order(x, y, confidence)
    return association.with_number(x, y, z, confidence)


def tertile_curves(
    features: pd.DataFrame,
    outcome: Outcome,
    names: Sequence[str],
    *,
    patients: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Table TERTILES: who is free of the event, by thirds of each named feature; with a log-rank test over the thirds.

    Competing events count as censored (cause-specific). Cut at the thirds of these very cases; of several regions the patient's mean.
    """
    assert outcome.time is not None
    rows: list[dict[str, Any]] = []
    who = pd.Series(list(patients) if patients is not None else list(range(len(features))))
    for name in names:
        table = pd.DataFrame(
            {"x": features[name].to_numpy(float), "event": outcome.numbers, "time": outcome.time, "who": who.to_numpy()}
        ).dropna()
        table = table.groupby("who", sort=True).agg(x=("x", "mean"), event=("event", "first"), time=("time", "first"))
        if len(table) < 6 or table["x"].nunique() < 3:
            continue
        edges = np.quantile(table["x"], [1 / 3, 2 / 3])
        third = np.searchsorted(edges, table["x"].to_numpy(), side="left")
        time, event = table["time"].to_numpy(float), (table["event"] == 1).to_numpy().astype(np.int64)
        if not event.any():
            continue
        test = log_rank(time, event, third.astype(np.int64))
        for k, word in enumerate(("lowest", "middle", "highest")):
            own = third == k
            curve = kaplan_meier(time[own], event[own], confidence)
            steps = [
                (0.0, 1.0, 1.0, 1.0, float(own.sum())),
                *zip(curve.times, curve.value, curve.ci_low, curve.ci_high, curve.at_risk, strict=True),
            ]
            seen: set[float] = set()
            for at, value, low, high, at_risk in reversed(steps):  # an event at time 0 takes the place of the start
                if float(at) in seen:
                    continue
                seen.add(float(at))
                rows.append(
                    {"feature": str(name), "tertile": word, "time": float(at), "event_free": float(value), "ci_low": float(low),
                     "ci_high": float(high), "at_risk": int(at_risk), "n": int(own.sum()), "n_events": int(event[own].sum()),
                     "p_value": test.p_value,
                     "method": "Kaplan-Meier, interval: Greenwood, log(-log); log-rank over the thirds of these very cases"}
                )  # fmt: skip
    return make_table(TERTILES, rows)


def cluster_features(features: pd.DataFrame, limit: float = 0.9) -> tuple[pd.DataFrame, FloatArray]:
    """Table FEATURE_CLUSTERS, and the matrix (m, m) of Spearman correlations in its order (that of the tree's leaves).

    Average linkage on 1 - |rho|; features of one cluster are on average closer than ``limit``. Columns that do not vary are left
    out. Missing values are filled with the column's median.
    """
    x = features.astype(float)
    varies = [name for name in x.columns if x[name].max() > x[name].min()]
    if len(varies) < 2:
        alone = [{"feature": str(name), "cluster": k + 1, "place": k} for k, name in enumerate(varies)]
        return make_table(FEATURE_CLUSTERS, alone), np.ones((len(varies), len(varies)))
    ranks = np.apply_along_axis(rankdata, 0, x[varies].fillna(x[varies].median()).to_numpy())
    rho = np.clip(np.corrcoef(ranks, rowvar=False), -1, 1)
    distance = squareform(1 - np.abs(rho), checks=False)
    tree = linkage(distance, method="average")
    order = leaves_list(tree)
    clusters = fcluster(tree, t=1 - limit, criterion="distance")
    numbers: dict[int, int] = {}
    rows = []
    for place, k in enumerate(order.tolist()):
        numbers.setdefault(int(clusters[k]), len(numbers) + 1)
        rows.append({"feature": str(varies[k]), "cluster": numbers[int(clusters[k])], "place": place})
    return make_table(FEATURE_CLUSTERS, rows), np.asarray(rho[np.ix_(order, order)], float)
