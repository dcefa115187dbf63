"""From a bundle to an engine for this device: built, compared with ONNX Runtime, installed: `edged compile`."""
