"""The web page, and what feeds it."""
