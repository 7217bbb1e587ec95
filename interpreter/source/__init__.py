"""YAML text with places: from a file to one tree of nodes, each of which knows where it was written."""
