"""How much of a detector's score is left when its frames are corrupted, or their weather changes."""
