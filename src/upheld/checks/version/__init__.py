"""Where the version of the API stands, and what becomes of old ones."""
