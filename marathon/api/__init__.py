"""The HTTP API: documents in, commands to the core, pictures of its state out."""
