"""The embedded cohort: small, real, openly licensed. ``load_sts_pet()``."""

from radpipe.datasets.sts_pet_cohort import Dataset, load_sts_pet

__all__ = ["Dataset", "load_sts_pet"]
