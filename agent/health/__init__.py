"""Health checks: `rules` judges, `probe` asks."""
