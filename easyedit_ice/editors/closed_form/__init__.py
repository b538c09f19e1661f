"""The key-value path: what projections read, and closed-form writes to them."""
