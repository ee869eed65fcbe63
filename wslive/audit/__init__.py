"""Whether a store holds together, and whether the tallies are what the votes in it say."""
