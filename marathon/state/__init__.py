"""What a term knows, what it stores of it, and how that comes back."""
