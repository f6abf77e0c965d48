"""The 15 common image corruptions at five severities, for measuring robustness: never for training."""
