"""Measures container registries side by side; started by bench/run."""
