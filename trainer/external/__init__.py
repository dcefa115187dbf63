"""Embeddings that were trained elsewhere (thesis 5.5): any ONNX encoder, or a bundle, with a shallow classifier on top.

clip -> windows -> (log-mel) -> encoder -> vectors over time -> shallow classifier -> 128 -> back end
"""
