"""kseq and its peers: see `benchmarks.runners` for what a module offers."""
