"""What a run costs and logs."""
