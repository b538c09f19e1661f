"""What the exit status of a command says."""

DONE, BAD_INPUT, MISSED, INTERRUPTED = 0, 2, 3, 130

EPILOG = (
    f"Exit status: {DONE} done; {BAD_INPUT} something that was given cannot be used; {MISSED} a fact did not take, and "
    f"nothing was saved; {INTERRUPTED} interrupted."
)
