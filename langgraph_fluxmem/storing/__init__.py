"""How the store works: checking operations and values, filters, what is indexed, the shelves that searches read, expiry."""
