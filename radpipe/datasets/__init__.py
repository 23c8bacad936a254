"""Embedded cohorts: small, real, openly licensed. A workflow names one as ``builtin:NAME``."""

from radpipe.datasets.sts_pet_cohort import Dataset, load_sts_pet

DATASETS = {"sts_pet": "radpipe.datasets.sts_pet_cohort:load_sts_pet"}

__all__ = ["DATASETS", "Dataset", "load_sts_pet"]
