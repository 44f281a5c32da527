"""gRPC clients of a master, in records: a file for each peer, which loads only what that says."""
