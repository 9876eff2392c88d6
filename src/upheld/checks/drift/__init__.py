"""Whether the running service is the one that the contract describes."""
