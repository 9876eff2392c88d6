"""``upheld init``: begins the contract of a service that nobody here knows."""
