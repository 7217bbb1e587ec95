"""From the record to a verdict: measures, intervals, comparability, and what became of each claim."""
