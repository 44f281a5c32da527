"""Actors that work with a cluster and expect it to keep its promises."""
