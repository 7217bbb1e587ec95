"""Reports: charts, tables and pages of what was expected and what was found."""
