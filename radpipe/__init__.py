"""config -> cohort -> image -> mask -> features -> selection -> ANN | 3D CNN -> predictions -> evaluation -> comparison -> report."""

__version__ = "0.1.0"
