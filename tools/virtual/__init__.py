"""What virtual time needs, for tools and tests alike; the tests have this folder on their path."""
