"""How reads are batched: one statement for each edge, whatever the number of parents."""
