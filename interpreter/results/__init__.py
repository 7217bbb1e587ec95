"""The database: an index over the record, and what people query."""
