"""The `edged` command: one file per command group, each thin: parse, call, print."""
