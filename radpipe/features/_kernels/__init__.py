"""numba kernels: counting and summing over voxels and cells. numpy and numba only, nothing of radpipe.

Grey levels travel as one flat int32 array: the cropped box with a border of zeros as wide as the longest offset, 0
outside the region, levels from 1. A neighbour is then an addition, and no kernel checks a bound.
"""
