"""The nouns every room shares. numpy, pandas and pydantic only; no files, no torch, no Dask."""
