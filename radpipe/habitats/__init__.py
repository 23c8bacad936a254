"""5. Feature maps of the training part -> habitats: kinds of tissue, as clusters of voxels in feature space.

Everything here is learnt on the cases it is given: the caller gives the training part of one outer fold, never more.
"""
