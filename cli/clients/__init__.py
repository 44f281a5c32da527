"""The servers that commands talk to: masters, gateways, Marathon; and which cluster is meant."""
