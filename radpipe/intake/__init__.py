"""From a hospital's export to checked cases: what belongs together, what is wrong with it, and what is safe to mend. Pure."""
