"""From devices and files to blocks of samples."""
