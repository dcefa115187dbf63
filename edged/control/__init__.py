"""The control socket: protocol, server, client."""
