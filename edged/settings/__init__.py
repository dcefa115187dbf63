"""The sections of `edged.yaml`, one file per part; `edged.config` puts them together."""
