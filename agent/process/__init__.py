"""The process around the core: flags, store, the stream to the master."""
