"""One module a resource. Each has a ``router``; ``app.py`` includes them."""
