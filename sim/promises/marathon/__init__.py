"""Promise 11: what runs is what was asked of Marathon."""
