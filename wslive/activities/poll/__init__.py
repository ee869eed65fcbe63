"""A question with options; at most one ballot a participant and round."""
