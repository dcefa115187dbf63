"""Events on their way to other people's systems: an MQTT broker."""
