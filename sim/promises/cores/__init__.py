"""The ground of all promises: cores are in order, durable, and forget the dead."""
