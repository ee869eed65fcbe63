"""What a person types in a notebook. Read `room` first, then `poll`, `participant` and `widget`."""
