"""The master: collects what agents have, and offers it to frameworks."""
