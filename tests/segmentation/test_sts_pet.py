"""The embedded cohort itself: minutes, so not in every run."""

import numpy as np
import pytest

from radpipe.datasets import sts_pet_cohort
from radpipe.io.volumes import read_image, read_mask
from radpipe.preprocessing.config import PreprocessingSettings
from radpipe.preprocessing.prepare import prepare
from radpipe.segmentation.config import SegmentationSettings
from radpipe.segmentation.metrics import dice, no_look_ellipsoid
from radpipe.segmentation.plan import cross_fit_plan
from radpipe.segmentation.postprocess import to_mask
from radpipe.segmentation.train import fit_segmenter


@pytest.mark.slow
def test_one_part_of_the_cohort_is_outlined_far_better_than_without_looking():
    cohort = sts_pet_cohort.load_sts_pet()
    settings, grid = SegmentationSettings(threshold=0.4), PreprocessingSettings(spacing_mm=(5.0, 5.0, 5.0))
    cases = {}
    for row in cohort.manifest.to_dict("records"):
        image, mask = read_image(cohort.folder / row["image_path"], unit="SUV"), read_mask(cohort.folder / row["mask_path"])
        cases[row["case_id"]] = prepare(image, mask, grid, "PET")
    ids = sorted(cases)
    fit = cross_fit_plan(ids, ids, 5, 20261121)[0]
    segmenter = fit_segmenter([(cases[i][0].voxels, cases[i][1].voxels) for i in fit.train_ids], settings, seed=1)
    found, unseen = [], []
    for case_id in fit.predict_ids:
        image, mask = cases[case_id]
        outline = to_mask(segmenter.predict(image.voxels), settings, image.grid.spacing_mm)
        found.append(dice(outline, mask.voxels))
        unseen.append(dice(no_look_ellipsoid(mask.voxels.shape), mask.voxels))
    assert np.mean(found) > np.mean(unseen) + 0.15
    assert np.mean(found) > 0.65
