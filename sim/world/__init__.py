"""Virtual time, and the things in it: network, disks, processes, elections."""
