"""What every feature of the IBSI set is: name, IBSI code, unit, meaning, PyRadiomics' name for the same quantity, side by side.

Facts only, so that settings and the feature dictionary are cheap. Names are the reference manual's in CamelCase; order is the
manual's. ``tag`` is the short name of the table of reference values (``cm_joint_max``). Five features at the end of their
families have no consensus value in that table and are computed by definition: the oriented minimum bounding box (ZH1A, IQYR), the
minimum volume enclosing ellipsoid (SWZ1, BRI8) and the area under the intensity-volume histogram (9CMM).
Manual: https://ibsi.readthedocs.io, doi:10.1148/radiol.2020191145.
"""
# ruff: noqa: E501 (a table: one feature a line)

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from radpipe.features.family import Feature, FeatureFamily

if TYPE_CHECKING:
    from radpipe.features.ibsi.parameters import IbsiParameters


@dataclass(frozen=True)
class IbsiFeature(Feature):
    """tag : name in the table of reference values, "" where that has none. pyradiomics : ``family_Name`` of the same quantity,
    "" where PyRadiomics has none or defines it otherwise."""

    tag: str = ""
    pyradiomics: str = ""


def _family(name: str, meaning: str, rows: tuple[tuple[str, str, str, str, str, str], ...]) -> FeatureFamily:
    features = tuple(
        IbsiFeature(feature, code, unit, text, tag=f"{name}_{tag}" if tag else "", pyradiomics=other)
        for tag, feature, code, unit, other, text in rows
    )
    return FeatureFamily(name, meaning, features)


MORPH = _family(
    "morph",
    "size and form of the region, and how intensities lie in it",
    (
        ("volume", "VolumeMesh", "RNU0", "mm3", "shape_MeshVolume", "Volume inside the triangle surface drawn around the region."),
        ("vol_approx", "VolumeVoxelCounting", "YEKZ", "mm3", "shape_VoxelVolume", "Number of voxels times the volume of one."),
        ("area_mesh", "SurfaceAreaMesh", "C0JK", "mm2", "shape_SurfaceArea", "Area of the triangle surface drawn around the region."),
        ("av", "SurfaceToVolumeRatio", "2PR5", "1/mm", "shape_SurfaceVolumeRatio", "Surface area over mesh volume: small for large, compact regions."),
        ("comp_1", "Compactness1", "SKGS", "1", "shape_Compactness1", "Mesh volume against surface area to the power 3/2: largest for a sphere."),
        ("comp_2", "Compactness2", "BQWJ", "1", "shape_Compactness2", "Sphericity to the third power: 1 for a sphere."),
        ("sph_dispr", "SphericalDisproportion", "KRCK", "1", "shape_SphericalDisproportion", "One over sphericity: 1 for a sphere, more for all else."),
        ("sphericity", "Sphericity", "QCFX", "1", "shape_Sphericity", "Surface of a sphere of the same volume over the region's surface: 1 for a sphere, less for all else."),
        ("asphericity", "Asphericity", "25C7", "1", "", "Spherical disproportion minus 1: 0 for a sphere."),
        ("com", "CentreOfMassShift", "KLMA", "mm", "", "Distance between the middle of the region and the middle of its intensities."),
        ("diam", "Maximum3DDiameter", "L0JK", "mm", "shape_Maximum3DDiameter", "Longest distance between any two points of the surface."),
        ("pca_maj_axis", "MajorAxisLength", "TDIC", "mm", "shape_MajorAxisLength", "Length of the longest axis of the ellipsoid with the region's second moments (over n - 1)."),
        ("pca_min_axis", "MinorAxisLength", "P9VJ", "mm", "shape_MinorAxisLength", "Length of the second axis of the ellipsoid with the region's second moments (over n - 1)."),
        ("pca_least_axis", "LeastAxisLength", "7J51", "mm", "shape_LeastAxisLength", "Length of the shortest axis of the ellipsoid with the region's second moments (over n - 1)."),
        ("pca_elongation", "Elongation", "Q3CK", "1", "shape_Elongation", "How much shorter the second principal axis is than the first: 1 as long, 0 a line."),
        ("pca_flatness", "Flatness", "N17B", "1", "shape_Flatness", "How much shorter the least principal axis is than the first: 1 as long, 0 flat."),
        ("vol_dens_aabb", "VolumeDensityAxisAlignedBoundingBox", "PBX1", "1", "", "Mesh volume over that of the smallest box along the image's axes."),
        ("area_dens_aabb", "AreaDensityAxisAlignedBoundingBox", "R59B", "1", "", "Surface area over that of the smallest box along the image's axes."),
        ("vol_dens_aee", "VolumeDensityApproximateEnclosingEllipsoid", "6BDE", "1", "", "Mesh volume over that of the ellipsoid with the region's second moments."),
        ("area_dens_aee", "AreaDensityApproximateEnclosingEllipsoid", "RDD2", "1", "", "Surface area over that of the ellipsoid with the region's second moments."),
        ("vol_dens_conv_hull", "VolumeDensityConvexHull", "R3ER", "1", "", "Mesh volume over that of its convex hull: 1 where nothing is hollow."),
        ("area_dens_conv_hull", "AreaDensityConvexHull", "7T7F", "1", "", "Surface area over that of its convex hull."),
        ("integ_int", "IntegratedIntensity", "99N0", "intensity mm3", "", "Mean intensity times mesh volume; in PET the total lesion glycolysis."),
        ("moran_i", "MoransIIndex", "N365", "1", "", "Spatial autocorrelation: above 0 where voxels close to each other have like intensities."),
        ("geary_c", "GearysCMeasure", "NPT7", "1", "", "Mean squared difference of voxels, weighted by nearness: below 1 where voxels close to each other are alike."),
        ("", "VolumeDensityOrientedMinimumBoundingBox", "ZH1A", "1", "", "Mesh volume over that of the smallest box in any orientation."),
        ("", "AreaDensityOrientedMinimumBoundingBox", "IQYR", "1", "", "Surface area over that of the smallest box in any orientation."),
        ("", "VolumeDensityMinimumVolumeEnclosingEllipsoid", "SWZ1", "1", "", "Mesh volume over that of the smallest ellipsoid that encloses it."),
        ("", "AreaDensityMinimumVolumeEnclosingEllipsoid", "BRI8", "1", "", "Surface area over that of the smallest ellipsoid that encloses it."),
    ),
)  # fmt: skip
LOC = _family(
    "loc",
    "mean intensity in a sphere of 1 cm3",
    (
        ("peak_loc", "LocalIntensityPeak", "VJGA", "intensity", "", "Mean intensity in a sphere of 1 cm3 around the voxel of highest intensity."),
        ("peak_glob", "GlobalIntensityPeak", "0F91", "intensity", "", "Highest mean intensity in a sphere of 1 cm3 around any voxel of the region."),
    ),
)  # fmt: skip
STAT = _family(
    "stat",
    "distribution of the intensities in the region, whatever their places",
    (
        ("mean", "MeanIntensity", "Q4LE", "intensity", "firstorder_Mean", "Mean intensity."),
        ("var", "IntensityVariance", "ECT3", "intensity2", "firstorder_Variance", "Mean squared distance of the intensities from their mean."),
        ("skew", "IntensitySkewness", "KE2A", "1", "firstorder_Skewness", "Asymmetry of the intensities: above 0 with a tail to high values, below 0 to low ones."),
        ("kurt", "ExcessIntensityKurtosis", "IPH6", "1", "", "Weight of the tails of the intensities: 0 for a normal distribution (PyRadiomics' Kurtosis minus 3)."),
        ("median", "MedianIntensity", "Y12H", "intensity", "firstorder_Median", "Intensity that half of the voxels lie below."),
        ("min", "MinimumIntensity", "1GSF", "intensity", "firstorder_Minimum", "Lowest intensity."),
        ("p10", "10thIntensityPercentile", "QG58", "intensity", "firstorder_10Percentile", "Intensity that a tenth of the voxels lie below."),
        ("p90", "90thIntensityPercentile", "8DWT", "intensity", "firstorder_90Percentile", "Intensity that nine tenths of the voxels lie below."),
        ("max", "MaximumIntensity", "84IY", "intensity", "firstorder_Maximum", "Highest intensity."),
        ("iqr", "IntensityInterquartileRange", "SALO", "intensity", "firstorder_InterquartileRange", "Width of the middle half of the intensities."),
        ("range", "IntensityRange", "2OJQ", "intensity", "firstorder_Range", "Highest minus lowest intensity."),
        ("mad", "IntensityBasedMeanAbsoluteDeviation", "4FUA", "intensity", "firstorder_MeanAbsoluteDeviation", "Mean distance of the intensities from their mean."),
        ("rmad", "IntensityBasedRobustMeanAbsoluteDeviation", "1128", "intensity", "firstorder_RobustMeanAbsoluteDeviation", "Mean distance from their mean of the intensities between the 10th and 90th percentile."),
        ("medad", "IntensityBasedMedianAbsoluteDeviation", "N72L", "intensity", "", "Mean distance of the intensities from their median."),
        ("cov", "IntensityBasedCoefficientOfVariation", "7TET", "1", "", "Standard deviation over mean."),
        ("qcod", "IntensityBasedQuartileCoefficientOfDispersion", "9S40", "1", "", "Difference of the quartiles over their sum."),
        ("energy", "IntensityBasedEnergy", "N8CA", "intensity2", "firstorder_Energy", "Sum of the squared intensities; grows with the region."),
        ("rms", "RootMeanSquareIntensity", "5ZWQ", "intensity", "firstorder_RootMeanSquared", "Root of the mean squared intensity."),
    ),
)  # fmt: skip
IH = _family(
    "ih",
    "distribution of the grey levels in the region, whatever their places",
    (
        ("mean", "MeanDiscretisedIntensity", "X6K6", "level", "", "Mean grey level."),
        ("var", "DiscretisedIntensityVariance", "CH89", "level2", "", "Mean squared distance of the grey levels from their mean."),
        ("skew", "DiscretisedIntensitySkewness", "88K1", "1", "", "Asymmetry of the grey levels: above 0 with a tail to high levels, below 0 to low ones."),
        ("kurt", "ExcessDiscretisedIntensityKurtosis", "C3I7", "1", "", "Weight of the tails of the grey levels: 0 for a normal distribution."),
        ("median", "MedianDiscretisedIntensity", "WIFQ", "level", "", "Grey level that half of the voxels lie below."),
        ("min", "MinimumDiscretisedIntensity", "1PR8", "level", "", "Lowest grey level."),
        ("p10", "10thDiscretisedIntensityPercentile", "1PR8", "level", "", "Grey level that a tenth of the voxels lie below (the manual gives it the code of the minimum)."),
        ("p90", "90thDiscretisedIntensityPercentile", "GPMT", "level", "", "Grey level that nine tenths of the voxels lie below."),
        ("max", "MaximumDiscretisedIntensity", "3NCY", "level", "", "Highest grey level."),
        ("mode", "IntensityHistogramMode", "AMMC", "level", "", "Commonest grey level; of several the one closest to the mean."),
        ("iqr", "DiscretisedIntensityInterquartileRange", "WR0O", "level", "", "Width of the middle half of the grey levels."),
        ("range", "DiscretisedIntensityRange", "5Z3W", "level", "", "Highest minus lowest grey level."),
        ("mad", "IntensityHistogramMeanAbsoluteDeviation", "D2ZX", "level", "", "Mean distance of the grey levels from their mean."),
        ("rmad", "IntensityHistogramRobustMeanAbsoluteDeviation", "WRZB", "level", "", "Mean distance from their mean of the grey levels between the 10th and 90th percentile."),
        ("medad", "IntensityHistogramMedianAbsoluteDeviation", "4RNL", "level", "", "Mean distance of the grey levels from their median."),
        ("cov", "IntensityHistogramCoefficientOfVariation", "CWYJ", "1", "", "Standard deviation over mean of the grey levels."),
        ("qcod", "IntensityHistogramQuartileCoefficientOfDispersion", "SLWD", "1", "", "Difference of the quartiles of the grey levels over their sum."),
        ("entropy", "DiscretisedIntensityEntropy", "TLU2", "bit", "firstorder_Entropy", "Bits needed to tell the grey level of a voxel: 0 where all are equal."),
        ("uniformity", "DiscretisedIntensityUniformity", "BJ5W", "1", "firstorder_Uniformity", "Sum of the squared shares of the grey levels: 1 where all voxels are of one level."),
        ("max_grad", "MaximumHistogramGradient", "12CE", "voxel/level", "", "Steepest rise of the histogram from level to level."),
        ("max_grad_g", "MaximumHistogramGradientIntensity", "8E6O", "level", "", "Grey level where the histogram rises most steeply."),
        ("min_grad", "MinimumHistogramGradient", "VQB3", "voxel/level", "", "Steepest fall of the histogram from level to level (below 0)."),
        ("min_grad_g", "MinimumHistogramGradientIntensity", "RHQZ", "level", "", "Grey level where the histogram falls most steeply."),
    ),
)  # fmt: skip
IVH = _family(
    "ivh",
    "how much of the region has at least a certain intensity",
    (
        ("v10", "VolumeAtIntensityFraction10", "BC2M", "1", "", "Share of the region with at least a tenth of the intensity range."),
        ("v90", "VolumeAtIntensityFraction90", "BC2M", "1", "", "Share of the region with at least nine tenths of the intensity range."),
        ("i10", "IntensityAtVolumeFraction10", "GBPN", "intensity", "", "Lowest intensity that at most a tenth of the region reaches (a bin number with fbn)."),
        ("i90", "IntensityAtVolumeFraction90", "GBPN", "intensity", "", "Lowest intensity that at most nine tenths of the region reach (a bin number with fbn)."),
        ("diff_v10_v90", "VolumeFractionDifferenceBetweenIntensityFractions", "DDTU", "1", "", "Volume at 10 % minus volume at 90 % of the intensity range."),
        ("diff_i10_i90", "IntensityFractionDifferenceBetweenVolumeFractions", "CNV2", "intensity", "", "Intensity at 10 % minus intensity at 90 % of the volume."),
        ("", "AreaUnderTheIvhCurve", "9CMM", "1", "", "Area under the share of the region against the share of the intensity range."),
    ),
)  # fmt: skip
CM = _family(
    "cm",
    "which grey levels stand side by side",
    (
        ("joint_max", "JointMaximum", "GYBY", "1", "glcm_MaximumProbability", "Share of the commonest pair of levels."),
        ("joint_avg", "JointAverage", "60VM", "level", "glcm_JointAverage", "Mean level of the voxels in pairs."),
        ("joint_var", "JointVariance", "UR99", "level2", "glcm_SumSquares", "Variance of the level of the voxels in pairs."),
        ("joint_entr", "JointEntropy", "TU9B", "bit", "glcm_JointEntropy", "Bits needed to tell a pair of levels."),
        ("diff_avg", "DifferenceAverage", "TF7R", "level", "glcm_DifferenceAverage", "Mean difference between neighbours' levels."),
        ("diff_var", "DifferenceVariance", "D3YU", "level2", "glcm_DifferenceVariance", "Variance of the difference between neighbours' levels."),
        ("diff_entr", "DifferenceEntropy", "NTRS", "bit", "glcm_DifferenceEntropy", "Bits needed to tell the difference between neighbours' levels."),
        ("sum_avg", "SumAverage", "ZGXS", "level", "glcm_SumAverage", "Mean sum of neighbours' levels."),
        ("sum_var", "SumVariance", "OEEB", "level2", "glcm_ClusterTendency", "Variance of the sum of neighbours' levels; equals cluster tendency."),
        ("sum_entr", "SumEntropy", "P6QZ", "bit", "glcm_SumEntropy", "Bits needed to tell the sum of neighbours' levels."),
        ("energy", "AngularSecondMoment", "8ZQL", "1", "glcm_JointEnergy", "Sum of the squared shares of pairs: 1 where all pairs are alike."),
        ("contrast", "Contrast", "ACUI", "level2", "glcm_Contrast", "Mean squared difference between neighbours' levels."),
        ("dissimilarity", "Dissimilarity", "8S9J", "level", "glcm_DifferenceAverage", "Mean difference between neighbours' levels; equals difference average."),
        ("inv_diff", "InverseDifference", "IB1Z", "1", "glcm_Id", "Likeness of neighbours: 1 where all are equal; falls with the difference."),
        ("inv_diff_norm", "NormalisedInverseDifference", "NDRX", "1", "glcm_Idn", "Likeness of neighbours, the difference as a share of the number of levels."),
        ("inv_diff_mom", "InverseDifferenceMoment", "WF0Z", "1", "glcm_Idm", "Likeness of neighbours: 1 where all are equal; falls with the squared difference."),
        ("inv_diff_mom_norm", "NormalisedInverseDifferenceMoment", "1QCO", "1", "glcm_Idmn", "Likeness of neighbours, the squared difference as a share of the squared number of levels."),
        ("inv_var", "InverseVariance", "E8JP", "1", "glcm_InverseVariance", "Mean of one over the squared difference of neighbours that differ."),
        ("corr", "Correlation", "NI2N", "1", "glcm_Correlation", "Linear correlation of neighbours' levels; undefined where all are equal."),
        ("auto_corr", "Autocorrelation", "QWB0", "level2", "glcm_Autocorrelation", "Mean product of neighbours' levels."),
        ("clust_tend", "ClusterTendency", "DG8W", "level2", "glcm_ClusterTendency", "Variance of the sum of neighbours' levels."),
        ("clust_shade", "ClusterShade", "7NFM", "level3", "glcm_ClusterShade", "Asymmetry of the sum of neighbours' levels."),
        ("clust_prom", "ClusterProminence", "AE86", "level4", "glcm_ClusterProminence", "Fourth moment of the sum of neighbours' levels."),
        ("info_corr1", "InformationCorrelation1", "R8DG", "1", "glcm_Imc1", "Information that neighbours share, below 0; 0 where they are independent."),
        ("info_corr2", "InformationCorrelation2", "JN9H", "1", "glcm_Imc2", "Information that neighbours share, 0 where they are independent, to 1."),
    ),
)  # fmt: skip
RLM = _family(
    "rlm",
    "how long grey levels run on in a straight line",
    (
        ("sre", "ShortRunsEmphasis", "22OV", "1", "glrlm_ShortRunEmphasis", "Weight of short runs."),
        ("lre", "LongRunsEmphasis", "W4KF", "voxel2", "glrlm_LongRunEmphasis", "Weight of long runs: mean squared length."),
        ("lgre", "LowGreyLevelRunEmphasis", "V3SW", "1", "glrlm_LowGrayLevelRunEmphasis", "Weight of runs of low levels."),
        ("hgre", "HighGreyLevelRunEmphasis", "G3QZ", "level2", "glrlm_HighGrayLevelRunEmphasis", "Weight of runs of high levels: mean squared level."),
        ("srlge", "ShortRunLowGreyLevelEmphasis", "HTZT", "1", "glrlm_ShortRunLowGrayLevelEmphasis", "Weight of short runs of low levels."),
        ("srhge", "ShortRunHighGreyLevelEmphasis", "GD3A", "level2", "glrlm_ShortRunHighGrayLevelEmphasis", "Weight of short runs of high levels."),
        ("lrlge", "LongRunLowGreyLevelEmphasis", "IVPO", "voxel2", "glrlm_LongRunLowGrayLevelEmphasis", "Weight of long runs of low levels."),
        ("lrhge", "LongRunHighGreyLevelEmphasis", "3KUM", "level2 voxel2", "glrlm_LongRunHighGrayLevelEmphasis", "Weight of long runs of high levels."),
        ("glnu", "GreyLevelNonUniformity", "R5YN", "run", "glrlm_GrayLevelNonUniformity", "How unevenly runs are spread over levels; grows with the region."),
        ("glnu_norm", "NormalisedGreyLevelNonUniformity", "OVBL", "1", "glrlm_GrayLevelNonUniformityNormalized", "How unevenly runs are spread over levels: 1 where all are of one level."),
        ("rlnu", "RunLengthNonUniformity", "W92Y", "run", "glrlm_RunLengthNonUniformity", "How unevenly runs are spread over lengths; grows with the region."),
        ("rlnu_norm", "NormalisedRunLengthNonUniformity", "IC23", "1", "glrlm_RunLengthNonUniformityNormalized", "How unevenly runs are spread over lengths: 1 where all are of one length."),
        ("r_perc", "RunPercentage", "9ZK5", "1", "glrlm_RunPercentage", "Runs over voxels: 1 where no two neighbours are of one level."),
        ("gl_var", "GreyLevelVariance", "8CE5", "level2", "glrlm_GrayLevelVariance", "Variance of the level of runs."),
        ("rl_var", "RunLengthVariance", "SXLW", "voxel2", "glrlm_RunVariance", "Variance of the length of runs."),
        ("rl_entr", "RunEntropy", "HJ9O", "bit", "glrlm_RunEntropy", "Bits needed to tell level and length of a run."),
    ),
)  # fmt: skip
SZM = _family(
    "szm",
    "size of connected zones of one grey level",
    (
        ("sze", "SmallZoneEmphasis", "5QRC", "1", "glszm_SmallAreaEmphasis", "Weight of small zones."),
        ("lze", "LargeZoneEmphasis", "48P8", "voxel2", "glszm_LargeAreaEmphasis", "Weight of large zones: mean squared size."),
        ("lgze", "LowGreyLevelZoneEmphasis", "XMSY", "1", "glszm_LowGrayLevelZoneEmphasis", "Weight of zones of low levels."),
        ("hgze", "HighGreyLevelZoneEmphasis", "5GN9", "level2", "glszm_HighGrayLevelZoneEmphasis", "Weight of zones of high levels: mean squared level."),
        ("szlge", "SmallZoneLowGreyLevelEmphasis", "5RAI", "1", "glszm_SmallAreaLowGrayLevelEmphasis", "Weight of small zones of low levels."),
        ("szhge", "SmallZoneHighGreyLevelEmphasis", "HW1V", "level2", "glszm_SmallAreaHighGrayLevelEmphasis", "Weight of small zones of high levels."),
        ("lzlge", "LargeZoneLowGreyLevelEmphasis", "YH51", "voxel2", "glszm_LargeAreaLowGrayLevelEmphasis", "Weight of large zones of low levels."),
        ("lzhge", "LargeZoneHighGreyLevelEmphasis", "J17V", "level2 voxel2", "glszm_LargeAreaHighGrayLevelEmphasis", "Weight of large zones of high levels."),
        ("glnu", "GreyLevelNonUniformity", "JNSA", "zone", "glszm_GrayLevelNonUniformity", "How unevenly zones are spread over levels; grows with the region."),
        ("glnu_norm", "NormalisedGreyLevelNonUniformity", "Y1RO", "1", "glszm_GrayLevelNonUniformityNormalized", "How unevenly zones are spread over levels: 1 where all are of one level."),
        ("zsnu", "ZoneSizeNonUniformity", "4JP3", "zone", "glszm_SizeZoneNonUniformity", "How unevenly zones are spread over sizes; grows with the region."),
        ("zsnu_norm", "NormalisedZoneSizeNonUniformity", "VB3A", "1", "glszm_SizeZoneNonUniformityNormalized", "How unevenly zones are spread over sizes: 1 where all are of one size."),
        ("z_perc", "ZonePercentage", "P30P", "1", "glszm_ZonePercentage", "Zones over voxels: 1 where no two neighbours are of one level."),
        ("gl_var", "GreyLevelVariance", "BYLV", "level2", "glszm_GrayLevelVariance", "Variance of the level of zones."),
        ("zs_var", "ZoneSizeVariance", "3NSA", "voxel2", "glszm_ZoneVariance", "Variance of the size of zones."),
        ("zs_entr", "ZoneSizeEntropy", "GU8N", "bit", "glszm_ZoneEntropy", "Bits needed to tell level and size of a zone."),
    ),
)  # fmt: skip
DZM = _family(
    "dzm",
    "distance of connected zones of one grey level from the region's border",
    (
        ("sde", "SmallDistanceEmphasis", "0GBI", "1", "", "Weight of zones near the border."),
        ("lde", "LargeDistanceEmphasis", "MB4I", "voxel2", "", "Weight of zones far from the border: mean squared distance."),
        ("lgze", "LowGreyLevelZoneEmphasis", "S1RA", "1", "", "Weight of zones of low levels."),
        ("hgze", "HighGreyLevelZoneEmphasis", "K26C", "level2", "", "Weight of zones of high levels: mean squared level."),
        ("sdlge", "SmallDistanceLowGreyLevelEmphasis", "RUVG", "1", "", "Weight of zones of low levels near the border."),
        ("sdhge", "SmallDistanceHighGreyLevelEmphasis", "DKNJ", "level2", "", "Weight of zones of high levels near the border."),
        ("ldlge", "LargeDistanceLowGreyLevelEmphasis", "A7WM", "voxel2", "", "Weight of zones of low levels far from the border."),
        ("ldhge", "LargeDistanceHighGreyLevelEmphasis", "KLTH", "level2 voxel2", "", "Weight of zones of high levels far from the border."),
        ("glnu", "GreyLevelNonUniformity", "VFT7", "zone", "", "How unevenly zones are spread over levels; grows with the region."),
        ("glnu_norm", "NormalisedGreyLevelNonUniformity", "7HP3", "1", "", "How unevenly zones are spread over levels: 1 where all are of one level."),
        ("zdnu", "ZoneDistanceNonUniformity", "V294", "zone", "", "How unevenly zones are spread over distances; grows with the region."),
        ("zdnu_norm", "NormalisedZoneDistanceNonUniformity", "IATH", "1", "", "How unevenly zones are spread over distances: 1 where all are at one distance."),
        ("z_perc", "ZonePercentage", "VIWW", "1", "", "Zones over voxels: 1 where no two neighbours are of one level."),
        ("gl_var", "GreyLevelVariance", "QK93", "level2", "", "Variance of the level of zones."),
        ("zd_var", "ZoneDistanceVariance", "7WT1", "voxel2", "", "Variance of the distance of zones."),
        ("zd_entr", "ZoneDistanceEntropy", "GBDU", "bit", "", "Bits needed to tell level and distance of a zone."),
    ),
)  # fmt: skip
NGT = _family(
    "ngt",
    "each voxel against the mean of its neighbours",
    (
        ("coarseness", "Coarseness", "QCDE", "1/level", "ngtdm_Coarseness", "Inverse of the mean difference from the neighbourhood: high where levels change slowly; at most 1e6."),
        ("contrast", "Contrast", "65HE", "level3", "ngtdm_Contrast", "Spread of levels times mean difference from the neighbourhood."),
        ("busyness", "Busyness", "NQ30", "1", "ngtdm_Busyness", "Rapid changes from voxel to neighbourhood against the spread of levels."),
        ("complexity", "Complexity", "HDEZ", "level2", "ngtdm_Complexity", "Many rapid changes of level within the region."),
        ("strength", "Strength", "1X9X", "level", "ngtdm_Strength", "Slow changes with large coarse differences of level."),
    ),
)  # fmt: skip
NGL = _family(
    "ngl",
    "how many neighbours are of (almost) the same grey level",
    (
        ("lde", "LowDependenceEmphasis", "SODN", "1", "gldm_SmallDependenceEmphasis", "Weight of voxels with few neighbours of their level."),
        ("hde", "HighDependenceEmphasis", "IMOQ", "voxel2", "gldm_LargeDependenceEmphasis", "Weight of voxels with many neighbours of their level."),
        ("lgce", "LowGreyLevelCountEmphasis", "TL9H", "1", "gldm_LowGrayLevelEmphasis", "Weight of voxels of low levels."),
        ("hgce", "HighGreyLevelCountEmphasis", "OAE7", "level2", "gldm_HighGrayLevelEmphasis", "Weight of voxels of high levels: mean squared level."),
        ("ldlge", "LowDependenceLowGreyLevelEmphasis", "EQ3F", "1", "gldm_SmallDependenceLowGrayLevelEmphasis", "Weight of voxels of low levels with few neighbours of their level."),
        ("ldhge", "LowDependenceHighGreyLevelEmphasis", "JA6D", "level2", "gldm_SmallDependenceHighGrayLevelEmphasis", "Weight of voxels of high levels with few neighbours of their level."),
        ("hdlge", "HighDependenceLowGreyLevelEmphasis", "NBZI", "voxel2", "gldm_LargeDependenceLowGrayLevelEmphasis", "Weight of voxels of low levels with many neighbours of their level."),
        ("hdhge", "HighDependenceHighGreyLevelEmphasis", "9QMG", "level2 voxel2", "gldm_LargeDependenceHighGrayLevelEmphasis", "Weight of voxels of high levels with many neighbours of their level."),
        ("glnu", "GreyLevelNonUniformity", "FP8K", "voxel", "gldm_GrayLevelNonUniformity", "How unevenly voxels are spread over levels; grows with the region."),
        ("glnu_norm", "NormalisedGreyLevelNonUniformity", "5SPA", "1", "firstorder_Uniformity", "How unevenly voxels are spread over levels: 1 where all are of one level."),
        ("dcnu", "DependenceCountNonUniformity", "Z87G", "voxel", "gldm_DependenceNonUniformity", "How unevenly voxels are spread over numbers of like neighbours; grows with the region."),
        ("dcnu_norm", "NormalisedDependenceCountNonUniformity", "OKJI", "1", "gldm_DependenceNonUniformityNormalized", "How unevenly voxels are spread over numbers of like neighbours."),
        ("dc_perc", "DependenceCountPercentage", "6XV8", "1", "", "Neighbourhoods over voxels: 1 by definition."),
        ("gl_var", "GreyLevelVariance", "1PFV", "level2", "gldm_GrayLevelVariance", "Variance of the grey level."),
        ("dc_var", "DependenceCountVariance", "DNX2", "voxel2", "gldm_DependenceVariance", "Variance of the number of like neighbours."),
        ("dc_entr", "DependenceCountEntropy", "FCBV", "bit", "gldm_DependenceEntropy", "Bits needed to tell level and number of like neighbours of a voxel."),
        ("dc_energy", "DependenceCountEnergy", "CAS9", "1", "", "Sum of the squared shares of level and number of like neighbours."),
    ),
)  # fmt: skip

FAMILIES: dict[str, FeatureFamily] = {family.name: family for family in (MORPH, LOC, STAT, IH, IVH, CM, RLM, SZM, DZM, NGT, NGL)}
BY_DIRECTION = ("cm", "rlm")
BY_PLANE_OR_VOLUME = ("szm", "dzm", "ngt", "ngl")


def column_families(parameters: IbsiParameters) -> list[tuple[str, str, str]]:
    """(family, aggregation, name in columns): ("cm", "25D-avg", "cm-25D-avg"), ("szm", "25D", "szm-25D"), ("stat", "", "stat").

    Families without directions have three ways only: averaged over planes, merged over planes, in the volume.
    """
    found: list[tuple[str, str, str]] = []
    for family in FAMILIES:
        if family not in parameters.families:
            continue
        if family in BY_DIRECTION:
            found += [(family, way, f"{family}-{way}") for way in parameters.aggregations]
        elif family in BY_PLANE_OR_VOLUME:
            ways = dict.fromkeys(way.partition("-")[0] for way in parameters.aggregations)
            found += [(family, way, f"{family}-{way}") for way in ways]
        else:
            found.append((family, "", family))
    return found


def feature_names(family: str) -> tuple[str, ...]:
    """Names of one family ("cm") in the manual's order."""
    return FAMILIES[family].default_names
