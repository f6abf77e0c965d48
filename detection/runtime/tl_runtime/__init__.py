"""The in-vehicle runtime: an exported file in, traffic lights out; numpy and onnxruntime are all that it imports."""
