"""Metrics over a whole split, in double precision."""
