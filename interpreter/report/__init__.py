"""Reports: charts, tables and pages, drawn from the database."""
