"""The doors: each reads what earlier stages wrote, calls its room for every case, and writes its own tables. Only here is Dask known."""
