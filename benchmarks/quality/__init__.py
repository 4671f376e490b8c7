"""kseq's models and FuxiCTR's on ordered histories of real users."""
