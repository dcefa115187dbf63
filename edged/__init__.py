"""edged: a streaming edge-monitoring daemon for anomalous machine sounds and few-shot keywords.

Start reading at :mod:`edged.pipeline`: it is the flow of each monitor, in order.
"""

import os

__version__ = "0.1.0"

# The daemon's matrices are small: a second BLAS thread only spins (measured: anomaly features took five times the CPU).
# Works when edged is imported before numpy, as its commands do; a value that is set already stands.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# ONNX Runtime (1.32) writes an identifier of the device into the home directory and reports its use to its maker.
# What runs here stays here; works before onnxruntime is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
