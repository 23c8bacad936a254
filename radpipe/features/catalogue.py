"""What every feature is: name, IBSI tag, unit, meaning and natural scale, side by side.

Facts only, no kernel is imported, so that settings and the feature dictionary are cheap. The formulas stand in the file
of the family. Order within a family is PyRadiomics' order of output (by name; those on request only come last).
Tags: IBSI reference manual, doi:10.1148/radiol.2020191145, https://ibsi.readthedocs.io. A tag says that the quantity
is the same by definition; discretisation and averaging follow PyRadiomics.
"""
# ruff: noqa: E501 (a table: one feature a line)

from __future__ import annotations

from radpipe.features.family import Feature, FeatureFamily

_RMS = ("RootMeanSquared", 1.0)
_RMS2 = ("RootMeanSquared", 2.0)

SHAPE = FeatureFamily(
    "shape",
    "size and form of the region, whatever its intensities",
    (
        Feature("Elongation", "Q3CK", "1", "How much shorter the second principal axis is than the first: 1 as long, 0 a line.", 1.0),
        Feature("Flatness", "N17B", "1", "How much shorter the least principal axis is than the first: 1 as long, 0 flat.", 1.0),
        Feature("LeastAxisLength", "7J51", "mm", "Length of the shortest axis of the ellipsoid with the region's second moments.", ("MajorAxisLength", 1.0)),
        Feature("MajorAxisLength", "TDIC", "mm", "Length of the longest axis of the ellipsoid with the region's second moments."),
        Feature("Maximum2DDiameterColumn", "", "mm", "Longest distance between two surface points in one coronal (x, z) plane of voxels."),
        Feature("Maximum2DDiameterRow", "", "mm", "Longest distance between two surface points in one sagittal (y, z) plane of voxels."),
        Feature("Maximum2DDiameterSlice", "", "mm", "Longest distance between two surface points in one slice (x, y plane of voxels)."),
        Feature("Maximum3DDiameter", "L0JK", "mm", "Longest distance between any two points of the surface."),
        Feature("MeshVolume", "RNU0", "mm3", "Volume inside the triangle surface drawn around the region."),
        Feature("MinorAxisLength", "P9VJ", "mm", "Length of the second axis of the ellipsoid with the region's second moments.", ("MajorAxisLength", 1.0)),
        Feature("Sphericity", "QCFX", "1", "Surface of a sphere of the same volume over the region's surface: 1 for a sphere, less for all else."),
        Feature("SurfaceArea", "C0JK", "mm2", "Area of the triangle surface drawn around the region."),
        Feature("SurfaceVolumeRatio", "2PR5", "1/mm", "Surface area over mesh volume: small for large, compact regions."),
        Feature("VoxelVolume", "YEKZ", "mm3", "Number of voxels times the volume of one."),
        Feature("Compactness1", "SKGS", "1", "Mesh volume against surface area to the power 3/2: largest for a sphere.", optional=True),
        Feature("Compactness2", "BQWJ", "1", "Sphericity to the third power: 1 for a sphere.", optional=True),
        Feature("SphericalDisproportion", "KRCK", "1", "One over sphericity: 1 for a sphere, more for all else.", optional=True),
    ),
)  # fmt: skip
SHAPE2D = FeatureFamily(
    "shape2D",
    "size and form of a region that is one plane of voxels",
    (
        Feature("Elongation", "", "1", "How much shorter the second principal axis is than the first: 1 as long, 0 a line.", 1.0),
        Feature("MajorAxisLength", "", "mm", "Length of the longer axis of the ellipse with the region's second moments."),
        Feature("MaximumDiameter", "", "mm", "Longest distance between any two points of the outline."),
        Feature("MeshSurface", "", "mm2", "Area inside the line drawn around the region."),
        Feature("MinorAxisLength", "", "mm", "Length of the shorter axis of the ellipse with the region's second moments.", ("MajorAxisLength", 1.0)),
        Feature("Perimeter", "", "mm", "Length of the line drawn around the region."),
        Feature("PerimeterSurfaceRatio", "", "1/mm", "Perimeter over mesh surface: small for large, compact regions."),
        Feature("PixelSurface", "", "mm2", "Number of voxels times the area of one in the plane."),
        Feature("Sphericity", "", "1", "Perimeter of a circle of the same area over the region's perimeter: 1 for a circle, less for all else."),
        Feature("SphericalDisproportion", "", "1", "One over sphericity: 1 for a circle, more for all else.", optional=True),
    ),
)  # fmt: skip
FIRSTORDER = FeatureFamily(
    "firstorder",
    "distribution of the intensities in the region, whatever their places",
    (
        Feature("10Percentile", "QG58", "intensity", "Intensity that a tenth of the voxels lie below.", _RMS),
        Feature("90Percentile", "8DWT", "intensity", "Intensity that nine tenths of the voxels lie below.", _RMS),
        Feature("Energy", "N8CA", "intensity2", "Sum of the squared intensities (after voxelArrayShift); grows with the region."),
        Feature("Entropy", "TLU2", "bit", "Bits needed to tell the grey level of a voxel: 0 where all are equal.", 1.0),
        Feature("InterquartileRange", "SALO", "intensity", "Width of the middle half of the intensities.", _RMS),
        Feature("Kurtosis", "", "1", "Weight of the tails of the intensities: 3 for a normal distribution (IBSI's IPH6 plus 3).", 1.0),
        Feature("Maximum", "84IY", "intensity", "Highest intensity.", _RMS),
        Feature("MeanAbsoluteDeviation", "4FUA", "intensity", "Mean distance of the intensities from their mean.", _RMS),
        Feature("Mean", "Q4LE", "intensity", "Mean intensity.", _RMS),
        Feature("Median", "Y12H", "intensity", "Intensity that half of the voxels lie below.", _RMS),
        Feature("Minimum", "1GSF", "intensity", "Lowest intensity.", _RMS),
        Feature("Range", "2OJQ", "intensity", "Highest minus lowest intensity.", _RMS),
        Feature("RobustMeanAbsoluteDeviation", "1128", "intensity", "Mean distance from their mean of the intensities between the 10th and 90th percentile.", _RMS),
        Feature("RootMeanSquared", "5ZWQ", "intensity", "Root of the mean squared intensity (after voxelArrayShift)."),
        Feature("Skewness", "KE2A", "1", "Asymmetry of the intensities: above 0 with a tail to high values, below 0 to low ones.", 1.0),
        Feature("TotalEnergy", "", "intensity2 mm3", "Energy times the volume of a voxel."),
        Feature("Uniformity", "BJ5W", "1", "Sum of the squared shares of the grey levels: 1 where all voxels are of one level.", 1.0),
        Feature("Variance", "ECT3", "intensity2", "Mean squared distance of the intensities from their mean.", _RMS2),
        Feature("StandardDeviation", "", "intensity", "Root of the variance.", _RMS, optional=True),
    ),
)  # fmt: skip
GLCM = FeatureFamily(
    "glcm",
    "pairs of grey levels of neighbouring voxels",
    (
        Feature("Autocorrelation", "QWB0", "1", "Mean product of the levels of two neighbours: large where high levels lie together."),
        Feature("ClusterProminence", "AE86", "1", "Fourth moment of the sum of two neighbours' levels: large where pairs far from the mean are frequent.", ("ClusterTendency", 2.0)),
        Feature("ClusterShade", "7NFM", "1", "Third moment of the sum of two neighbours' levels: its asymmetry.", ("ClusterTendency", 1.5)),
        Feature("ClusterTendency", "DG8W", "1", "Variance of the sum of two neighbours' levels: how much pairs of like levels gather.", 1.0),
        Feature("Contrast", "ACUI", "1", "Mean squared difference of two neighbours' levels.", 1.0),
        Feature("Correlation", "NI2N", "1", "Linear correlation of two neighbours' levels, -1 to 1; 1 in a region of one level.", 1.0),
        Feature("DifferenceAverage", "TF7R", "1", "Mean absolute difference of two neighbours' levels.", 1.0),
        Feature("DifferenceEntropy", "NTRS", "bit", "Bits needed to tell the difference of two neighbours' levels.", 1.0),
        Feature("DifferenceVariance", "D3YU", "1", "Variance of the absolute difference of two neighbours' levels.", 1.0),
        Feature("Id", "IB1Z", "1", "Mean of 1 / (1 + difference) of two neighbours: 1 where all are alike."),
        Feature("Idm", "WF0Z", "1", "Mean of 1 / (1 + squared difference) of two neighbours: 1 where all are alike."),
        Feature("Idmn", "1QCO", "1", "As Idm, with the difference over the number of levels first."),
        Feature("Idn", "NDRX", "1", "As Id, with the difference over the number of levels first."),
        Feature("Imc1", "R8DG", "1", "Information two neighbours share, over the larger of their entropies, negative: 0 where independent.", 1.0),
        Feature("Imc2", "JN9H", "1", "Information two neighbours share, brought to 0 (independent) to 1.", 1.0),
        Feature("InverseVariance", "E8JP", "1", "Mean of 1 / squared difference over the pairs that differ.", 1.0),
        Feature("JointAverage", "60VM", "1", "Mean level of the first of two neighbours."),
        Feature("JointEnergy", "8ZQL", "1", "Sum of the squared shares of the pairs: 1 where all pairs are the same."),
        Feature("JointEntropy", "TU9B", "bit", "Bits needed to tell a pair of neighbours' levels.", 1.0),
        Feature("MCC", "", "1", "Maximal correlation coefficient: how well one neighbour's level could tell the other's, 0 to 1.", 1.0),
        Feature("MaximumProbability", "GYBY", "1", "Share of the most frequent pair of levels."),
        Feature("SumAverage", "ZGXS", "1", "Mean sum of two neighbours' levels."),
        Feature("SumEntropy", "P6QZ", "bit", "Bits needed to tell the sum of two neighbours' levels.", 1.0),
        Feature("SumSquares", "UR99", "1", "Variance of the level of the first of two neighbours.", 1.0),
    ),
)  # fmt: skip
GLDM = FeatureFamily(
    "gldm",
    "number of neighbours of the same grey level",
    (
        Feature("DependenceEntropy", "FCBV", "bit", "Bits needed to tell a voxel's level and its number of like neighbours.", 1.0),
        Feature("DependenceNonUniformity", "Z87G", "1", "How unequally voxels are spread over numbers of like neighbours; grows with the region."),
        Feature("DependenceNonUniformityNormalized", "OKJI", "1", "The same over the number of voxels: 1 where all have equally many like neighbours."),
        Feature("DependenceVariance", "DNX2", "1", "Variance of the number of like neighbours.", 1.0),
        Feature("GrayLevelNonUniformity", "FP8K", "1", "How unequally voxels are spread over levels; grows with the region."),
        Feature("GrayLevelVariance", "1PFV", "1", "Variance of the level of a voxel.", 1.0),
        Feature("HighGrayLevelEmphasis", "OAE7", "1", "Mean squared level of a voxel: large where levels are high."),
        Feature("LargeDependenceEmphasis", "IMOQ", "1", "Mean squared number of like neighbours, the voxel itself counted: large in even textures."),
        Feature("LargeDependenceHighGrayLevelEmphasis", "9QMG", "1", "The same times squared level: large for even parts of high level."),
        Feature("LargeDependenceLowGrayLevelEmphasis", "NBZI", "1", "The same over squared level: large for even parts of low level."),
        Feature("LowGrayLevelEmphasis", "TL9H", "1", "Mean of 1 / squared level of a voxel: large where levels are low."),
        Feature("SmallDependenceEmphasis", "SODN", "1", "Mean of 1 / squared number of like neighbours, the voxel itself counted: large in uneven textures."),
        Feature("SmallDependenceHighGrayLevelEmphasis", "JA6D", "1", "The same times squared level: large for uneven parts of high level."),
        Feature("SmallDependenceLowGrayLevelEmphasis", "EQ3F", "1", "The same over squared level: large for uneven parts of low level."),
    ),
)  # fmt: skip
GLRLM = FeatureFamily(
    "glrlm",
    "lengths of lines of one grey level",
    (
        Feature("GrayLevelNonUniformity", "R5YN", "1", "How unequally runs are spread over levels; grows with the region."),
        Feature("GrayLevelNonUniformityNormalized", "OVBL", "1", "The same over the number of runs: 1 where all runs are of one level."),
        Feature("GrayLevelVariance", "8CE5", "1", "Variance of the level of a run.", 1.0),
        Feature("HighGrayLevelRunEmphasis", "G3QZ", "1", "Mean squared level of a run: large where runs are of high levels."),
        Feature("LongRunEmphasis", "W4KF", "1", "Mean squared length of a run: large in coarse textures."),
        Feature("LongRunHighGrayLevelEmphasis", "3KUM", "1", "Mean of squared length times squared level: large for long runs of high levels."),
        Feature("LongRunLowGrayLevelEmphasis", "IVPO", "1", "Mean of squared length over squared level: large for long runs of low levels."),
        Feature("LowGrayLevelRunEmphasis", "V3SW", "1", "Mean of 1 / squared level of a run: large where runs are of low levels."),
        Feature("RunEntropy", "HJ9O", "bit", "Bits needed to tell a run's level and length.", 1.0),
        Feature("RunLengthNonUniformity", "W92Y", "1", "How unequally runs are spread over lengths; grows with the region."),
        Feature("RunLengthNonUniformityNormalized", "IC23", "1", "The same over the number of runs: 1 where all runs are of one length."),
        Feature("RunPercentage", "9ZK5", "1", "Number of runs over number of voxels: 1 where every run is one voxel."),
        Feature("RunVariance", "SXLW", "1", "Variance of the length of a run.", 1.0),
        Feature("ShortRunEmphasis", "22OV", "1", "Mean of 1 / squared length of a run: large in fine textures."),
        Feature("ShortRunHighGrayLevelEmphasis", "GD3A", "1", "Mean of squared level over squared length: large for short runs of high levels."),
        Feature("ShortRunLowGrayLevelEmphasis", "HTZT", "1", "Mean of 1 / (squared level times squared length): large for short runs of low levels."),
    ),
)  # fmt: skip
GLSZM = FeatureFamily(
    "glszm",
    "sizes of connected zones of one grey level",
    (
        Feature("GrayLevelNonUniformity", "JNSA", "1", "How unequally zones are spread over levels; grows with the region."),
        Feature("GrayLevelNonUniformityNormalized", "Y1RO", "1", "The same over the number of zones: 1 where all zones are of one level."),
        Feature("GrayLevelVariance", "BYLV", "1", "Variance of the level of a zone.", 1.0),
        Feature("HighGrayLevelZoneEmphasis", "5GN9", "1", "Mean squared level of a zone: large where zones are of high levels."),
        Feature("LargeAreaEmphasis", "48P8", "1", "Mean squared size of a zone: large in coarse textures."),
        Feature("LargeAreaHighGrayLevelEmphasis", "J17V", "1", "Mean of squared size times squared level: large for large zones of high levels."),
        Feature("LargeAreaLowGrayLevelEmphasis", "YH51", "1", "Mean of squared size over squared level: large for large zones of low levels."),
        Feature("LowGrayLevelZoneEmphasis", "XMSY", "1", "Mean of 1 / squared level of a zone: large where zones are of low levels."),
        Feature("SizeZoneNonUniformity", "4JP3", "1", "How unequally zones are spread over sizes; grows with the region."),
        Feature("SizeZoneNonUniformityNormalized", "VB3A", "1", "The same over the number of zones: 1 where all zones are of one size."),
        Feature("SmallAreaEmphasis", "5QRC", "1", "Mean of 1 / squared size of a zone: large in fine textures."),
        Feature("SmallAreaHighGrayLevelEmphasis", "HW1V", "1", "Mean of squared level over squared size: large for small zones of high levels."),
        Feature("SmallAreaLowGrayLevelEmphasis", "5RAI", "1", "Mean of 1 / (squared level times squared size): large for small zones of low levels."),
        Feature("ZoneEntropy", "GU8N", "bit", "Bits needed to tell a zone's level and size.", 1.0),
        Feature("ZonePercentage", "P30P", "1", "Number of zones over number of voxels: 1 where every zone is one voxel."),
        Feature("ZoneVariance", "3NSA", "1", "Variance of the size of a zone.", 1.0),
    ),
)  # fmt: skip
NGTDM = FeatureFamily(
    "ngtdm",
    "difference of a voxel from its neighbours' mean",
    (
        Feature("Busyness", "NQ30", "1", "Rapid change between neighbours, against the spread of levels: large in busy textures.", 1.0),
        Feature("Coarseness", "QCDE", "1", "One over the mean difference of a voxel from its neighbours: large in coarse textures; 1e6 in a flat region."),
        Feature("Complexity", "HDEZ", "1", "Differences of levels weighted by how far their voxels stand out: large where many levels change abruptly.", 1.0),
        Feature("Contrast", "65HE", "1", "Spread of the levels times mean difference from the neighbours: large where both are.", 1.0),
        Feature("Strength", "1X9X", "1", "Differences of levels against differences from the neighbours: large where structures are well told apart.", 1.0),
    ),
)  # fmt: skip
