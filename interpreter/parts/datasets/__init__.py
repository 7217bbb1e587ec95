"""Datasets: one builder a file."""
