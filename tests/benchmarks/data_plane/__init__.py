"""Parts of the gateway's benchmark: a scripted model, the peers as processes, and two kinds of load."""
