"""The nouns: app, instance, deployment, with their ids and versions."""
