"""Tables of deployments."""
