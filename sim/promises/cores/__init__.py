"""What all promises stand on: cores that are in order, durable, and forget who is gone."""
