"""The use cases. They know problems and units of work, and nothing of HTTP."""
