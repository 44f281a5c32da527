"""What a term knows, what it stores of that, and how it is read again."""
