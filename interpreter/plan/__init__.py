"""From a checked page to a DAG of stages with content keys."""
