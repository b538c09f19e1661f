"""What a run keeps: the ledger and the manifest."""
