"""The language: pydantic models of what people write, names and references, one page at a time."""
