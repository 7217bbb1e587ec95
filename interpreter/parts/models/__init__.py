"""Models: encoders, one builder a file, and the head."""
