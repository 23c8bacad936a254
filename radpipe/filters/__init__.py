"""4. Image -> response maps: every filter in one file, from PyRadiomics' image types to IBSI 2's convolutions."""
