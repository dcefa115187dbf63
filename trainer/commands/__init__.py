"""The commands of `edged-train`, one file each; thin: parse, call, print."""
