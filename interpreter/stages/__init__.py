"""What a stage does, in the process that does it: fit and evaluate, driven by Lightning Fabric under one small loop."""
