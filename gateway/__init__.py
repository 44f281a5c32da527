"""The gateway: HTTP in front of the master, answered from a read replica, and the web page."""
