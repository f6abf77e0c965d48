"""What is shown of a run while it runs: TensorBoard, pictures of predictions, and MLflow where it is asked for."""
