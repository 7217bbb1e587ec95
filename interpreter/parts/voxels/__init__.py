"""Molecules as cubes of voxels."""
