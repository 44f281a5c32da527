"""All that an agent keeps durably."""
