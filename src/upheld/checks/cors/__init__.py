"""Which web pages of other origins may call the service, and what they can read."""
