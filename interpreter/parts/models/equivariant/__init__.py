"""Layers whose maps are fields that turn with the volume: see `interpreter.parts.models.equivariant_resnet`."""
