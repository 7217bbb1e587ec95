"""What types can not say: names, references to the past, shapes, arms, claims."""
