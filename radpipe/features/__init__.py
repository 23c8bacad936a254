"""Image, region -> one row of features: PyRadiomics' names and values, by radpipe's own kernels."""
