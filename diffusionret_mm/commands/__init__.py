"""What `text-video index`, `text-video search` and `text-video demo` do."""
