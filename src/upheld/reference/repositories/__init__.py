"""One repository a table family: queries and nothing else. They never commit."""
