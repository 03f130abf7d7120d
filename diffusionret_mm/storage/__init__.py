"""What touches disks and processes: files, locks, fingerprints, progress, process pools."""
