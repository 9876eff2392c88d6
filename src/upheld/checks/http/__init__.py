"""How the service speaks HTTP: statuses, methods, sizes, redirects."""
