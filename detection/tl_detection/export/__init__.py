"""Export to ONNX: one self-contained file, and the proof that it does what the checkpoint does."""
