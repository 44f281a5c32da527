"""What frameworks are made with, and those that ship with mezzo."""
