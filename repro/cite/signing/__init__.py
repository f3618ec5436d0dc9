"""Who vouches for a bundle: keys, envelopes, in-toto statements."""
