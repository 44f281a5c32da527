"""The agent: runs tasks in containers or as processes and reports every state reliably."""
