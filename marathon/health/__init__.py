"""Health of instances: `rules` judges, `probe` asks."""
