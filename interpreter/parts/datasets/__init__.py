"""Datasets: one builder a file, and the fingerprint of a source, which is light."""
