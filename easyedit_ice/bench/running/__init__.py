"""From a configuration to a finished folder: modes, processes, checkpoints."""
