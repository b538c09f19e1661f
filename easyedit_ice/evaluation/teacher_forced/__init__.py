"""EasyEdit's teacher-forced scores, in batches."""
