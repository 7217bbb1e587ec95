"""What a stage does, in the process that does it: fit, evaluate, score, by Lightning Fabric in a small loop; combine; import."""
