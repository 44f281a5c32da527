"""The process around the core: election, store, gRPC, clocks."""
