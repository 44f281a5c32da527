"""The SDK for frameworks, and the frameworks that ship with mezzo."""
