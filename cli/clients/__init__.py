"""Who the commands talk to: masters, gateways, Marathon; and which cluster is meant."""
