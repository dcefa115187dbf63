"""What an operator sees of the daemon itself: metrics, sd_notify, input health."""
