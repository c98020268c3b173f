"""What reproduces the paper: the catalogue of experiments, their records, and what the book draws from them."""
