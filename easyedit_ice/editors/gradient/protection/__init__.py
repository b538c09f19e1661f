"""What an edit must not read: directions of general text, of earlier edits, of neighbours."""
