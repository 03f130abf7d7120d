"""A web page that searches a gallery; it needs the extra `demo`."""
