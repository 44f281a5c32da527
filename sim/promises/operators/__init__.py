"""Promise 8 for operators: they are told the truth."""
