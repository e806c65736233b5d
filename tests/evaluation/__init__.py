"""How well search finds: questions of people about the demo's documents, and how often the right one comes first."""
