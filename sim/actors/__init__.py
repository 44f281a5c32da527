"""Who works with a cluster and expects it to keep its promises."""
