"""Promise 8 for operators: what they are told is so."""
