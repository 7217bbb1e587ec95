"""The building blocks: datasets, models, objectives, metrics, optimizers. Importing this package imports nothing heavy."""
