"""An edit: the request, its settings, the change of weights, and the one call that makes it."""
