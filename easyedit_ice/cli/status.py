"""What the exit status of a command says."""

DONE, FOUND, BAD_INPUT, MISSED, INTERRUPTED = 0, 1, 2, 3, 130

EPILOG = (
    f"Exit status: {DONE} done; {FOUND} looked, and something is not as it should be (doctor, edits conflicts, demo); "
    f"{BAD_INPUT} something that was given cannot be used; {MISSED} a fact did not take, and nothing was saved; "
    f"{INTERRUPTED} interrupted."
)
