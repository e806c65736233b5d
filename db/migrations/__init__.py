"""The shapes the database has had, from a CloneAI database of its own to one graph. Run by `db.migrate`."""
