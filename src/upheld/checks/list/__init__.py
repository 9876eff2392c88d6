"""Collections: pages, bounds, links, filters, order."""
