"""Embedders: from segments to vectors. `onnx` and `tensorrt` adapt one runtime each; `bundle` reads what they run."""
