"""What the people of a room see: who is there, and the frames that tell them what has changed."""
