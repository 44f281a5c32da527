"""Promise 8 for frameworks: each call is taken or refused as the protocol says."""
