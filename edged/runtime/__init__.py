"""The parts of the running daemon: streams, their queues, the worker, the verbs."""
