"""Tables of registry."""
