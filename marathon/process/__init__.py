"""The process around the core: election, store, the stream to the master, HTTP."""
