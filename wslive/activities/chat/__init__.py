"""Lines from people, in order."""
