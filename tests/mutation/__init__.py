"""Whether the tests see a fault: code is changed, and some test must fail."""
