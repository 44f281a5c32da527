"""Offers: made, declined, timed out, accepted; what is launched on them; inverse offers."""
