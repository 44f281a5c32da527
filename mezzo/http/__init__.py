"""HTTP/1.1 for all three ports: one server, its limits, and who may ask (docs/adr/0012)."""
