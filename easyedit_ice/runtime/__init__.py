"""What every part stands on: the cache, files of tensors, processes, progress, draws from a seed."""
