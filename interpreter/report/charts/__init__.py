"""Charts, each from named data sets to Vega-Lite."""
