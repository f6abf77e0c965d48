"""The in-vehicle runtime: an exported file in, traffic lights out. It imports numpy and onnxruntime and nothing else."""
