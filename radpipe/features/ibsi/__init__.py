"""The IBSI vocabulary: every feature of the reference manual, with its own resampling, discretisation and aggregation."""
