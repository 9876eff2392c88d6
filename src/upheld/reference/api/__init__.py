"""What speaks HTTP: routes, and what they depend on."""
