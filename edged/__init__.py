"""edged: a streaming edge-monitoring daemon for anomalous machine sounds and few-shot keywords.

Start reading at :mod:`edged.pipeline`: it is the flow of each monitor, in order.
"""

__version__ = "0.1.0"
