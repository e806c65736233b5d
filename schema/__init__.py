"""What clients see. The graph itself is `schema.graph`."""
