"""expt: reads a dated notebook page, trains what it asks for, and judges what it expected."""

__version__ = "0.1.0"
