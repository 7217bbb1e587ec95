"""Config classes of components: what people write of datasets, models, objectives and schedules."""
