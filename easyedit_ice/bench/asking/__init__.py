"""The questions of a run, and the lines that answers become."""
