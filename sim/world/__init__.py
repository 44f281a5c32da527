"""Virtual time and what is in it: network, disks, processes, elections."""
