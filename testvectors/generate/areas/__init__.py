"""One module for each file of vectors, each with a function vectors()."""
