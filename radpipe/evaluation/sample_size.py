"""How many patients a prediction model of a two-class outcome asks for, before any is fitted.

Riley et al. 2019, doi:10.1002/sim.7992; 2020, doi:10.1136/bmj.m441; the R package pmsampsize.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from radpipe.errors import ConfigError

SHRINKAGE = 0.9
"""Wanted calibration slope on new patients."""
OPTIMISM = 0.05
"""Largest wanted difference of apparent and adjusted R2 (Nagelkerke), and half width of the overall risk's interval."""


@dataclass(frozen=True)
class SampleSize:
    """Patients asked for by each criterion: shrinkage at least 0.9, optimism in R2 at most 0.05, overall risk within 0.05."""

    shrinkage: int
    optimism: int
    overall_risk: int

    @property
    def patients(self) -> int:
        """The largest of the three."""
        return max(self.shrinkage, self.optimism, self.overall_risk)


def riley(candidates: int, prevalence: float, r2_cox_snell: float = 0.2) -> SampleSize:
    """candidates : parameters considered, before any selection. r2_cox_snell : the fit that is hoped for.

    A lower bound for models more flexible than regression. ConfigError where R2 is out of reach at this prevalence.
    """
    highest = 1 - (prevalence**prevalence * (1 - prevalence) ** (1 - prevalence)) ** 2 if 0 < prevalence < 1 else 0.0
    if not 0 < r2_cox_snell < min(highest, SHRINKAGE) or candidates < 1:
        raise ConfigError(
            f"no sample size for {candidates} candidate parameters, R2 {r2_cox_snell} and prevalence {prevalence:.3g}.",
            hint=f"Cox-Snell R2 lies between 0 and {highest:.3g} at this prevalence; count at least one parameter.",
        )

    def for_shrinkage(shrinkage: float) -> int:
        return math.ceil(candidates / ((shrinkage - 1) * math.log(1 - r2_cox_snell / shrinkage)))

    return SampleSize(
        for_shrinkage(SHRINKAGE),
        for_shrinkage(r2_cox_snell / (r2_cox_snell + OPTIMISM * highest)),
        math.ceil((1.96 / OPTIMISM) ** 2 * prevalence * (1 - prevalence)),
    )
