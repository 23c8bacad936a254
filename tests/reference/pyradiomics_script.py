"""A script as PyRadiomics' users write them. `make_compat_oracle.py` runs it under PyRadiomics, tests/test_compat.py under radpipe.

The only line that differs there is the import. FOLDER is where the files are (small_volumes.py makes them).
"""
# ruff: noqa: F821

from copy import deepcopy

import SimpleITK as sitk
from radiomics import featureextractor

rows = {}  # copies, because PyRadiomics hands out its own dict of image types, which changes later
image, mask = f"{FOLDER}/image.nrrd", f"{FOLDER}/mask.nrrd"

# Defaults, with settings by keyword as in helloRadiomics.py.
settings = {"binWidth": 20, "interpolator": sitk.sitkBSpline, "resampledPixelSpacing": None}
extractor = featureextractor.RadiomicsFeatureExtractor(**settings)
rows["defaults"] = deepcopy(extractor.execute(image, mask))
rows["label 2"] = deepcopy(extractor.execute(image, mask, label=2))

# Some features by name, and SimpleITK images in place of paths.
extractor.disableAllFeatures()
extractor.enableFeaturesByName(firstorder=["Mean", "Skewness", "StandardDeviation"], shape=["Compactness1"])
extractor.enableFeatureClassByName("ngtdm")
extractor.settings["binWidth"] = 10
rows["some features"] = deepcopy(extractor.execute(sitk.ReadImage(image), sitk.ReadImage(mask), label=1))

# Image types.
extractor.enableImageTypeByName("LoG", customArgs={"sigma": [2.0], "binWidth": 5})
extractor.enableImageTypes(Square={})
extractor.enableImageTypeByName("Original", enabled=False)
extractor.addProvenance(False)
rows["image types"] = deepcopy(extractor.execute(image, mask))
extractor.disableAllImageTypes()
extractor.addProvenance()
rows["no image type"] = deepcopy(extractor.execute(image, mask))

# A parameter file, then JSON text in its place.
extractor = featureextractor.RadiomicsFeatureExtractor(f"{FOLDER}/Params.yaml", label=2)
rows["file"] = deepcopy(extractor.execute(image, mask))
extractor.loadJSONParams(
    '{"setting": {"resegmentRange": [-2, 2], "resegmentMode": "sigma"}, "featureClass": {"firstorder": ["Mean"]}}'
)
rows["JSON"] = deepcopy(extractor.execute(image, mask))
extractor.loadParams(f"{FOLDER}/Params.yaml")
rows["file again"] = deepcopy(extractor.execute(image, mask))

# Several masks in one file, and a mask on another grid.
extractor = featureextractor.RadiomicsFeatureExtractor(
    {"setting": {"correctMask": True}, "featureClass": {"firstorder": None, "shape": None}}
)
rows["channel 1"] = deepcopy(extractor.execute(image, f"{FOLDER}/layers.nrrd", label_channel=1))
rows["channel by default"] = deepcopy(extractor.execute(image, f"{FOLDER}/layers.nrrd"))
rows["other grid"] = deepcopy(extractor.execute(image, f"{FOLDER}/coarse_mask.nrrd"))
