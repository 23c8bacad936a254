"""ComBat: shifts and scales of each site, shrunk towards what the site does to all features, and taken out.

Johnson, Li and Rabinovic 2007, doi:10.1093/biostatistics/kxj037 (parametric empirical Bayes, as sva::ComBat in R). What is known of
the patients (covariates) is kept: only what a site adds beyond it is removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from radpipe.errors import CohortError, ConfigError
from radpipe.typing import FloatArray

_CONVERGED = 1e-4  # relative change, as sva has it
_STEPS = 1000


class ComBat(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learn on training cases what each site does, and take it out of any case of these sites.

    reference : site whose values stay as they are and to whose scale the others are brought; by default the mean of all.

    After :meth:`fit`: sites_ (names, sorted), n_of_site_, gamma_ and delta_ (sites, features; shift and variance in units of the
    pooled SD), adjusted_ (features,; those that vary in every site), saw_ (sorted ids of the patients seen) and saw_sha256_.
    """

    def __init__(self, reference: str | None = None) -> None:
        self.reference = reference

    def fit(
        self,
        X: FloatArray,
        y: object = None,
        *,
        sites: Sequence[object],
        covariates: FloatArray | None = None,
        patients: Sequence[str] | None = None,
    ) -> ComBat:
        """X : (n, features), all finite. sites : (n,). covariates : (n, c) numbers (categories as 0/1 columns) to keep.

        CohortError where a site has one case, a value is missing, or sites and covariates cannot be told apart. ``y`` is not looked
        at: to keep the outcome as a covariate would carry it into the features.
        """
        values, names = _checked(X, sites)
        kept = _covariates(covariates, len(values))
        self.sites_ = sorted(set(names))
        place = np.array([self.sites_.index(name) for name in names])
        self.n_of_site_ = np.bincount(place, minlength=len(self.sites_))
        for name, count in zip(self.sites_, self.n_of_site_, strict=True):
            if count < 2:
                raise CohortError(
                    f"site {name!r} has one case: its scatter cannot be known.",
                    hint="Leave the site out, or join it with one that has the same scanner and protocol.",
                )
        if len(self.sites_) < 2:
            raise CohortError(
                f"there is one site only ({self.sites_[0]!r}).", hint="There is nothing to harmonise; leave ComBat out."
            )
        if self.reference is not None and self.reference not in self.sites_:
            raise ConfigError(f"there is no site {self.reference!r}.", hint=f"The reference is one of: {', '.join(self.sites_)}.")
        batch = np.eye(len(self.sites_))[place]
        design = np.column_stack([batch, kept])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            raise CohortError(
                "sites and covariates cannot be told apart: a covariate is constant, or follows from the site.",
                hint="Leave that covariate out; where every site has patients of one kind only, no method can harmonise them.",
            )
        self.n_features_in_ = values.shape[1]
        self.saw_ = sorted({str(name) for name in patients}) if patients is not None else []
        self.saw_sha256_ = hashlib.sha256("\n".join(self.saw_).encode()).hexdigest() if self.saw_ else ""
        spread = np.array([np.ptp(values[place == k], axis=0) for k in range(len(self.sites_))])
        # A feature that is constant within a site has no variance there to match: it is left as it is, as sva leaves it.
        self.adjusted_ = (spread > 0).all(axis=0)
        of_site = self.sites_.index(self.reference) if self.reference is not None else None
        self._learn(values[:, self.adjusted_], batch, kept, design, of_site)
        return self

    def _learn(self, x: FloatArray, batch: FloatArray, kept: FloatArray, design: FloatArray, reference: int | None) -> None:
        n, n_sites = len(x), batch.shape[1]
        coefficients = np.linalg.lstsq(design, x, rcond=None)[0]
        counts = batch.sum(axis=0)
        residual = (x - design @ coefficients) ** 2
        if reference is None:
            self.mean_ = counts / n @ coefficients[:n_sites]
            variance = residual.mean(axis=0)
        else:
            self.mean_ = coefficients[reference]
            variance = residual[batch[:, reference] == 1].mean(axis=0)
        self.scale_ = np.sqrt(variance)
        self.effects_ = coefficients[n_sites:]
        z = (x - self.mean_ - kept @ self.effects_) / self.scale_
        self.gamma_, self.delta_ = np.zeros((n_sites, x.shape[1])), np.ones((n_sites, x.shape[1]))
        shift = np.zeros(x.shape[1]) if reference is None else z[batch[:, reference] == 1].mean(axis=0)
        for k in range(n_sites):
            if k != reference:
                own = z[batch[:, k] == 1]
                self.gamma_[k], self.delta_[k] = _shrunken(own, own.mean(axis=0) - shift)

    def transform(self, X: FloatArray, *, sites: Sequence[object], covariates: FloatArray | None = None) -> FloatArray:
        """(n, features) without what the sites do. covariates : the same columns as in :meth:`fit`.

        CohortError where a site was not there when it was fitted: what it does is not known.
        """
        values, names = _checked(X, sites)
        if values.shape[1] != self.n_features_in_:
            raise CohortError(f"{values.shape[1]} features, fitted on {self.n_features_in_}.", hint="Give the same columns.")
        unseen = sorted(set(names) - set(self.sites_))
        if unseen:
            raise CohortError(
                f"site {unseen[0]!r} was not among the cases ComBat was fitted on ({', '.join(self.sites_)}).",
                hint="Put cases of every site into the training part, or leave the cases of this site out.",
            )
        kept = _covariates(covariates, len(values))
        if kept.shape[1] != len(self.effects_):
            raise CohortError(f"{kept.shape[1]} covariates, fitted with {len(self.effects_)}.", hint="Give the same columns.")
        place = np.array([self.sites_.index(name) for name in names], int)
        centre = self.mean_ + kept @ self.effects_
        z = (values[:, self.adjusted_] - centre) / self.scale_
        found = values.copy()
        found[:, self.adjusted_] = (z - self.gamma_[place]) / np.sqrt(self.delta_[place]) * self.scale_ + centre
        return found

    def fit_transform(self, X: FloatArray, y: object = None, **more: Any) -> FloatArray:
        """:meth:`fit` and :meth:`transform` of the same cases."""
        self.fit(X, y, **more)
        return self.transform(X, sites=more["sites"], covariates=more.get("covariates"))


def _shrunken(z: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shift and variance (features,) of one site, each drawn towards the site's mean over features as far as its scatter says."""
    n = len(z)
    variance = z.var(axis=0, ddof=1)
    if z.shape[1] < 2 or np.var(variance, ddof=1) == 0 or np.var(shift, ddof=1) == 0:
        return shift, variance  # one feature: nothing to borrow from
    prior_mean, prior_spread = shift.mean(), shift.var(ddof=1)
    mean, spread = variance.mean(), variance.var(ddof=1)
    a, b = (2 * spread + mean**2) / spread, (mean * spread + mean**3) / spread
    gamma, delta = shift.copy(), variance.copy()
    for _ in range(_STEPS):
        new_gamma = (prior_spread * n * shift + delta * prior_mean) / (prior_spread * n + delta)
        new_delta = (0.5 * np.sum((z - new_gamma) ** 2, axis=0) + b) / (n / 2 + a - 1)
        change = max(np.max(np.abs(new_gamma - gamma) / np.abs(gamma)), np.max(np.abs(new_delta - delta) / delta))
        gamma, delta = new_gamma, new_delta
        if change <= _CONVERGED:
            break
    return gamma, delta


def _checked(X: FloatArray, sites: Sequence[object]) -> tuple[FloatArray, list[str]]:
    values = np.asarray(X, float)
    names = [str(site).strip() for site in sites]
    if values.ndim != 2 or len(values) != len(names):
        raise CohortError(f"{len(values)} cases and {len(names)} sites.", hint="Give one site a case.")
    empty = [k for k, name in enumerate(names) if name in ("", "nan", "None", "<NA>")]
    if empty:
        raise CohortError(
            f"{len(empty)} cases have no site (first: row {empty[0]}).", hint="Fill the column in, or leave the cases out."
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise CohortError(
            f"feature {column} of row {row} is missing or not finite.",
            hint="Fill in missing values (on the training part) before ComBat.",
        )
    return values, names


def _covariates(covariates: FloatArray | None, n: int) -> FloatArray:
    if covariates is None:
        return np.zeros((n, 0))
    kept = np.asarray(covariates, float)
    kept = kept[:, None] if kept.ndim == 1 else kept
    if len(kept) != n or not np.isfinite(kept).all():
        raise CohortError("a covariate is missing for some case.", hint="Give finite numbers, categories as 0/1 columns.")
    return kept
