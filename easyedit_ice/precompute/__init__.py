"""Second moments of what projections read over general text: measured once on the unedited model, kept on disk."""
