"""Back ends of the thesis, for comparisons: distance of an embedding to what is normal, higher = more anomalous."""
