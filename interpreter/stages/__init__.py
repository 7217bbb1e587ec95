"""What a stage does, in the process that does it: fit and evaluate, by Lightning Fabric under one small loop; combine; import."""
