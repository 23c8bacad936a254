"""9. predictions of two models -> tests. Written so that it does not fool its user; see ``corrected_t``."""
