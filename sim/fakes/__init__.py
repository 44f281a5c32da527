"""Peers that run nothing but keep their side of the protocol: for crowds, tests and benches."""
