"""The ASGI layers, each one idea. Their order is in ``app.py`` and nowhere else.

What they tell each other stands in ``scope["state"]``: ``request_id``, ``credential``, ``subject``, ``decision``.
"""
