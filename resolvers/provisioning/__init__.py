"""Provisioning: what clones need at an AI provider, made, kept right and removed, whatever crashes meanwhile."""
